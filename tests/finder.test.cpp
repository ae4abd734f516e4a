// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"
#include "support/sanitizers.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/finder.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <csignal>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

namespace {

/// Reads `maps` whole and looks addresses up in it: the scan, done once for many.
struct table {
    struct row { std::uint64_t start, end; std::string path; };
    std::vector<row> rows;

    explicit table(tp::process const& process)
    {
        for (auto const& v : process.maps()) rows.push_back({v.start.value, v.end.value, std::string{v.path}});
    }
    [[nodiscard]] row const* find(std::uint64_t a) const
    {
        for (auto const& r : rows)
            if (r.start <= a && a < r.end) return &r;
        return nullptr;
    }
};

bool has_query(tp::process const& process)
{
    char names[64];
    auto finder = vas::finder::open(process, names);
    auto const found = finder.value().find(tp::address{reinterpret_cast<std::uintptr_t>(&has_query)});
    return found && found.value() && found.value()->method == vas::find_method::query;
}

vas::finder* for_signal = nullptr;
char* wild = nullptr;

} // namespace

TEST_CASE("query and scan agree on 100,000 addresses")
{
    tp::tests::child const still{[] {
        for (int i = 0; i < 200; ++i)
            (void)!mmap(nullptr, 4096u * static_cast<unsigned>(1 + i % 7), i % 2 ? PROT_READ : PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }};
    auto const process = tp::process::open(tp::tgid{still.pid()});
    REQUIRE(process);
    char names[4096];
    auto finder = vas::finder::open(process.value(), names);
    REQUIRE(finder);
    auto scanner = vas::finder::open(process.value(), names);
    REQUIRE(scanner);
    scanner.value().only_scan();
    table const all{process.value()};
    std::mt19937_64 random{20};
    int wrong = 0;
    auto const* const fewer = std::getenv("TASKPEEK_ADDRESSES"); // an emulated machine has no time for all
    int const addresses = fewer != nullptr ? std::atoi(fewer) : 100'000;
    REQUIRE(addresses >= 1000);
    for (int i = 0; i < addresses; ++i) {
        // near the borders of a vma, where mistakes are made, or anywhere
        auto const& near = all.rows[random() % all.rows.size()];
        auto const address = i % 4 == 0 ? near.start + random() % (near.end - near.start) : i % 4 == 1 ? near.start - 1 + random() % 3
                           : i % 4 == 2 ? near.end - 1 + random() % 3 : random() >> 17;
        auto const* const expected = all.find(address);
        bool const scan = i % 100 == 0;
        auto const found = (scan ? scanner : finder).value().find(tp::address{address});
        bool const right = found && found.value().has_value() == (expected != nullptr) &&
                           (expected == nullptr ||
                            (found.value()->mapping.start.value == expected->start &&
                             found.value()->mapping.end.value == expected->end && found.value()->mapping.path == expected->path));
        if (!right) { ++wrong; CAPTURE(address); CHECK(right); }
    }
    CHECK(wrong == 0);
}

TEST_CASE("the query tells name, offset and build id; the scan tells the same but for the build id")
{
    auto const process = tp::process::self();
    REQUIRE(process);
    char names[4096];
    auto finder = vas::finder::open(process.value(), names);
    tp::address const here{reinterpret_cast<std::uintptr_t>(&has_query)};
    auto const found = finder.value().find(here);
    REQUIRE(found);
    REQUIRE(found.value());
    auto const by_query = *found.value();
    std::string const name{by_query.mapping.path};
    CHECK(by_query.mapping.perms.execute);
    CHECK(by_query.file_offset(here) == by_query.mapping.offset + (here - by_query.mapping.start));
    finder.value().only_scan();
    auto const again = finder.value().find(here);
    REQUIRE(again);
    auto const& by_scan = *again.value();
    CHECK(by_scan.method == vas::find_method::scan);
    CHECK(by_scan.mapping.path == name);
    CHECK(by_scan.mapping.start == by_query.mapping.start);
    CHECK(by_scan.mapping.offset == by_query.mapping.offset);
    CHECK(by_scan.mapping.inode == by_query.mapping.inode);
    CHECK(by_scan.mapping.dev == by_query.mapping.dev);
    CHECK(by_scan.build_id().empty());
    CHECK_FALSE(by_scan.page_size);
    if (by_query.method == vas::find_method::query) CHECK(by_query.page_size->count == static_cast<std::uint64_t>(getpagesize()));
    if (by_query.method == vas::find_method::query) CHECK((by_query.build_id().size() == 20 || by_query.build_id().empty()));
}

TEST_CASE("a name that is longer than the memory is truncated, not lost")
{
    auto const process = tp::process::self();
    char few[4];
    for (bool const scan : {false, true}) {
        auto finder = vas::finder::open(process.value(), few);
        if (scan) finder.value().only_scan();
        auto const found = finder.value().find(tp::address{reinterpret_cast<std::uintptr_t>(&has_query)});
        REQUIRE(found);
        REQUIRE(found.value());
        CHECK(found.value()->mapping.path_truncated);
        CHECK(found.value()->mapping.perms.execute);
    }
    auto nameless = vas::finder::open(process.value());
    auto const found = nameless.value().find(tp::address{reinterpret_cast<std::uintptr_t>(&has_query)});
    REQUIRE(found.value());
    CHECK(found.value()->mapping.path.empty());
}

TEST_CASE("[vsyscall] is known although the query does not report it")
{
    auto const process = tp::process::self();
    bool listed = false;
    for (auto const& v : process.value().maps()) listed = listed || v.path == "[vsyscall]";
    char names[64];
    auto finder = vas::finder::open(process.value(), names);
    for (int i = 0; i < 2; ++i) {
        auto const found = finder.value().find(tp::address{0xffffffffff600010});
        REQUIRE(found);
        CHECK(found.value().has_value() == listed);
        if (listed) CHECK(found.value()->mapping.path == "[vsyscall]");
    }
    CHECK_FALSE(finder.value().find(tp::address{0xffffffffff601000}).value().has_value());
    CHECK_FALSE(finder.value().find(tp::address{0}).value().has_value());
}

TEST_CASE("a finder notices an exec, and an exit")
{
    int go[2];
    int gone[2];
    REQUIRE(pipe(go) == 0);
    REQUIRE(pipe2(gone, O_CLOEXEC) == 0);
    auto const pid = fork();
    if (pid == 0) {
        close(go[1]);
        close(gone[0]);
        char c;
        if (read(go[0], &c, 1) != 1) _exit(1);
        execl("/bin/sleep", "sleep", "60", static_cast<char*>(nullptr));
        _exit(1);
    }
    close(go[0]);
    close(gone[1]);
    auto const process = tp::process::open(tp::tgid{pid});
    REQUIRE(process);
    char names[4096];
    auto finder = vas::finder::open(process.value(), names);
    tp::address const ours{reinterpret_cast<std::uintptr_t>(&has_query)};
    auto const before = finder.value().find(ours);
    REQUIRE(before);
    CHECK(before.value().has_value());
    (void)!write(go[1], "x", 1);
    char c;
    CHECK(read(gone[0], &c, 1) == 0); // closed by the exec
    tp::address text;
    for (auto const& v : process.value().maps())
        if (v.perms.execute && v.path.ends_with("sleep")) text = v.start;
    REQUIRE(text.value != 0);
    auto const after = finder.value().find(text);
    REQUIRE(after);
    REQUIRE(after.value());
    CHECK(after.value()->mapping.path.ends_with("sleep"));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    auto const last = finder.value().find(text);
    REQUIRE_FALSE(last);
    CHECK(last.error().code == tp::errc::vanished);
    close(go[1]);
    close(gone[0]);
}

TEST_CASE("while another thread maps and unmaps, every answer was true at some time")
{
    constexpr std::size_t page = 4096;
    auto* const base = static_cast<char*>(mmap(nullptr, 64 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(base != MAP_FAILED);
    std::atomic<bool> stop{false};
    auto* const churned = base + 16 * page;
    std::thread churn{[&] { // two states: 8 pages readable and shared, or nothing
        while (!stop) {
            (void)!mmap(churned, 8 * page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            munmap(churned, 8 * page);
        }
    }};
    auto const process = tp::process::self();
    char names[256];
    auto finder = vas::finder::open(process.value(), names);
    int mapped = 0, unmapped = 0, wrong = 0;
    auto const start = reinterpret_cast<std::uintptr_t>(churned);
    for (int i = 0; i < 20'000 || (i < 2'000'000 && (mapped == 0 || unmapped == 0)); ++i) {
        auto const found = finder.value().find(tp::address{start + 3 * page});
        if (!found) { ++wrong; continue; }
        if (!found.value()) { ++unmapped; continue; }
        auto const& m = found.value()->mapping;
        bool const before_the_first = m.start.value == reinterpret_cast<std::uintptr_t>(base) && !m.perms.read;
        if (m.start.value == start && m.end.value == start + 8 * page && m.perms.shared) ++mapped;
        else if (!before_the_first) ++wrong;
    }
    stop = true;
    churn.join();
    munmap(base, 64 * page);
    CHECK(wrong == 0);
    CHECK(mapped > 0);
    CHECK(unmapped > 0);
}

TEST_CASE("a crash handler finds the vma of the address that faulted")
{
    if (tp::tests::sanitized) return tp::tests::skip("the sanitizer has the signal");
    tp::tests::child const crashes{[] {}, [] {
        static tp::process const* process = nullptr;
        static char names[4096];
        auto self = tp::process::self();
        process = &self.value();
        auto finder = vas::finder::open(*process, names);
        for_signal = &finder.value();
        wild = static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        struct sigaction action{};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int, siginfo_t* info, void*) {
            auto const found = for_signal->find(tp::address{reinterpret_cast<std::uintptr_t>(info->si_addr)});
            bool const right = found && found.value() && found.value()->mapping.start.value == reinterpret_cast<std::uintptr_t>(wild)
                            && !found.value()->mapping.perms.read;
            _exit(right ? 42 : 43);
        };
        sigaction(SIGSEGV, &action, nullptr);
        *static_cast<char volatile*>(wild) = 1;
        _exit(44);
    }};
    int status = 0;
    REQUIRE(waitpid(crashes.pid(), &status, 0) == crashes.pid());
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 42);
}

TEST_CASE("a finder works on a recorded tree, by scanning")
{
    tp::tests::recorded_tree const tree{"linux-6.1-x86_64"};
    REQUIRE(tree.is_unpacked());
    auto const process = tp::process::open(tp::tgid{83}, tree.root().c_str());
    REQUIRE(process);
    char names[256];
    auto finder = vas::finder::open(process.value(), names);
    REQUIRE(finder);
    auto const found = finder.value().find(tp::address{0x7f8743942100});
    REQUIRE(found);
    REQUIRE(found.value());
    CHECK(found.value()->mapping.path == "/tmp/new\nline.bin");
    CHECK(found.value()->path_ambiguous);
    CHECK(found.value()->method == vas::find_method::scan);
}

TEST_CASE("this kernel answers the query, or it is older than 6.11")
{
    std::ifstream release{"/proc/sys/kernel/osrelease"};
    int major = 0, minor = 0;
    char dot = 0;
    release >> major >> dot >> minor;
    auto const process = tp::process::self();
    CHECK(has_query(process.value()) == (major > 6 || (major == 6 && minor >= 11)));
}
