// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/deep_file.hpp"
#include "support/specimen.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/model.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <csignal>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace vas = taskpeek::vas;

TEST_CASE("the totals are those of status and smaps_rollup")
{
    tp::tests::specimen const s{"vas-specimen-pie"};
    if (!s.is_there()) return tp::tests::skip("the specimen could not be built here");
    auto const process = tp::process::open(tp::tgid{s.pid()});
    REQUIRE(process);
    auto const model = vas::read_model(process.value(), {.numbers = true});
    REQUIRE(model);
    auto const& sum = model.value()->sum;
    tp::buffer<pf::status::typical_size> memory;
    auto const status = process.value().read<pf::status>(memory);
    REQUIRE(status);
    REQUIRE(status.value().vm_size);
    CHECK(sum.mapped == tp::to_bytes(*status.value().vm_size));
    tp::buffer<pf::smaps_rollup::typical_size> rollup_memory;
    auto const rollup = process.value().read<pf::smaps_rollup>(rollup_memory);
    REQUIRE(rollup);
    CHECK(sum.rss == *rollup.value().rss);
    // Pss of each vma is cut to whole KiB, the rollup's sum only once (fs/proc/task_mmu.c, PSS_SHIFT)
    REQUIRE(rollup.value().pss);
    CHECK(sum.pss <= *rollup.value().pss);
    CHECK(sum.pss.count + sum.vmas >= rollup.value().pss->count);

    std::size_t vmas = 0;
    for (auto const& vma : process.value().maps())
        if (vma.path != "[vsyscall]") ++vmas;
    CHECK(sum.vmas == vmas);
    CHECK(sum.user_size.count == sum.mapped.count + sum.sparse().count);
    REQUIRE(sum.max_map_count);
    CHECK(*sum.vmas_left() == *sum.max_map_count - vmas);
    tp::bytes classes;
    for (auto const size : sum.by_class) classes += size;
    auto const last = model.value()->ranges.back().end;
    CHECK(classes.count == last.value);
    CHECK(sum.heap_room->count > 0);
}

TEST_CASE("too little memory is said, with how much there was")
{
    auto const process = tp::process::self();
    REQUIRE(process);
    std::vector<vas::image> images(64);
    std::vector<vas::stack_pointer> pointers(64);
    std::vector<vas::range> ranges(3);
    std::vector<char> text(65536);
    auto const few = vas::read_model(process.value(), {{images, pointers}, ranges, text});
    REQUIRE_FALSE(few);
    CHECK(few.error().code == tp::errc::truncated);
    CHECK(few.error().offset == 3);
    ranges.resize(4096);
    auto const enough = vas::read_model(process.value(), {{images, pointers}, ranges, text});
    REQUIRE(enough);
    CHECK(enough.value().ranges.size() > 10);
    text.resize(8);
    CHECK(vas::read_model(process.value(), {{images, pointers}, ranges, text}).error().code == tp::errc::truncated);
    images.resize(1);
    text.resize(65536);
    CHECK(vas::read_model(process.value(), {{images, pointers}, ranges, text}).error().code == tp::errc::truncated);
}

TEST_CASE("a model is found by address, and lives on when it moves")
{
    auto const process = tp::process::self();
    auto read = vas::read_model(process.value());
    REQUIRE(read);
    auto const model = static_cast<vas::model&&>(read.value());
    // not a local's address: a sanitizer may keep locals elsewhere
    auto const* const stack = model->find(tp::address{reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))});
    REQUIRE(stack != nullptr);
    CHECK(stack->mapping.path == "[stack]");
    CHECK(model->find(tp::address{0})->kind == vas::range_class::null_page);
    CHECK(model->find(tp::address{0xffffffffffffffff}) == nullptr);
}

TEST_CASE("the last of 65,530 vmas is told")
{
    tp::tests::child const many{[] {
        constexpr std::size_t page = 4096;
        auto* const at =
            static_cast<char*>(mmap(nullptr, 2 * 64'000 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (at == MAP_FAILED) return;
        for (std::size_t i = 0; i < 2 * 64'000; i += 2)
            if (mprotect(at + i * page, page, PROT_NONE) != 0) return;
    }};
    auto const process = tp::process::open(tp::tgid{many.pid()});
    REQUIRE(process);
    auto const model = vas::read_model(process.value());
    REQUIRE(model);
    CHECK(model.value()->sum.vmas > 60'000);
    std::uint64_t at = 0;
    bool tiled = true;
    for (auto const& r : model.value()->ranges) {
        tiled = tiled && r.start.value == at;
        at = r.end.value;
    }
    CHECK(tiled);
    CHECK(model.value()->sum.vmas_left().value_or(0) < 5'600);
}

TEST_CASE("pages are told for each range, a part of a vma too")
{
    constexpr std::size_t page = 4096;
    // shared: it merges with nothing
    auto* const at = static_cast<char*>(mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(at != MAP_FAILED);
    for (int const i : {0, 1, 5}) at[static_cast<std::size_t>(i) * page] = 1;
    auto const process = tp::process::self();
    auto const model = vas::read_model(process.value(), {.pages = true});
    REQUIRE(model);
    CHECK_FALSE(model.value()->pages_failed);
    auto const* const ours = model.value()->find(tp::address{reinterpret_cast<std::uintptr_t>(at)});
    REQUIRE(ours->pages);
    CHECK(ours->pages->present.count == 3 * page);
    CHECK(ours->pages->file.count == 3 * page); // shared memory is of a file
    CHECK(ours->pages->guard.count == 0);
    tp::bytes data, bss;
    for (auto const& r : model.value()->ranges) {
        CHECK(r.pages.has_value() == (r.is_mapped() && r.kind != vas::range_class::vsyscall));
        if (r.pages) CHECK(r.pages->present <= r.size());
        if (r.kind == vas::range_class::data) data += r.pages->present;
        if (r.kind == vas::range_class::bss) bss += r.pages->present;
    }
    CHECK(data.count > 0);
    CHECK(bss.count > 0);
    munmap(at, 8 * page);
    auto const without = vas::read_model(process.value());
    for (auto const& r : without.value()->ranges) CHECK_FALSE(r.pages);
}

TEST_CASE("lightweight guards split what they guard, where they are looked for")
{
    constexpr std::size_t page = 4096;
    constexpr int guard_install = 102; // MADV_GUARD_INSTALL
    auto* const at = static_cast<char*>(mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(at != MAP_FAILED);
    if (madvise(at, page, guard_install) != 0 || madvise(at + 3 * page, 2 * page, guard_install) != 0)
        return tp::tests::skip("this kernel has no lightweight guards in shared memory: they came with 6.15");
    auto const process = tp::process::self();
    tp::address const start{reinterpret_cast<std::uintptr_t>(at)};
    auto const spelled = [&](vas::model_options const& options) {
        std::string out;
        auto const model = vas::read_model(process.value(), options);
        std::size_t vmas = 0;
        for (auto const& r : model.value()->ranges) {
            vmas += r.is_first_part() && r.kind != vas::range_class::vsyscall ? 1u : 0u;
            if (r.start < start || r.end > start + tp::bytes{8 * page}) continue;
            out += std::string{name_of(r.kind)} + " " + std::to_string(r.size().count / page) + (r.numbers ? " n, " : ", ");
            CHECK(r.mapping.start == start);
        }
        CHECK(model.value()->sum.vmas == vmas);
        return out;
    };
    CHECK(spelled({}) == "shared_anonymous 8, ");
    CHECK(spelled({.pages = true}) == "guard 1, shared_anonymous 2, guard 2, shared_anonymous 3, ");
    CHECK(spelled({.numbers = true}) == "guard 1 n, shared_anonymous 2, guard 2, shared_anonymous 3, ");
    std::vector<vas::image> images(64);
    std::vector<vas::stack_pointer> pointers(64);
    std::vector<char> text(65536);
    std::size_t const wanted = vas::read_model(process.value(), {.pages = true}).value()->ranges.size();
    std::vector<vas::range> ranges(wanted - 1);
    vas::model_memory const memory{{images, pointers}, ranges, text};
    CHECK(vas::read_model(process.value(), memory, {.pages = true}).error().code == tp::errc::truncated); // the guards are one too many
    munmap(at, 8 * page);
}

TEST_CASE("a process that dies while it is read has vanished, is a zombie, or was read before")
{
    for (int round = 0; round < 40; ++round) {
        auto const pid = fork();
        if (pid == 0) {
            pause();
            _exit(0);
        }
        auto const process = tp::process::open(tp::tgid{pid});
        REQUIRE(process);
        std::thread killer{[&] {
            usleep(static_cast<useconds_t>(round * 40));
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }};
        auto const model = vas::read_model(process.value(), {.numbers = true, .pages = true});
        killer.join();
        if (model) {
            CHECK(model.value()->find(tp::address{0}) != nullptr);
            CHECK(model.value()->sum.vmas > 5);
        } else {
            auto const why = model.error().message();
            CAPTURE(std::string{why.view()});
            CHECK((model.error().code == tp::errc::vanished || model.error().code == tp::errc::zombie));
        }
        CHECK(vas::read_model(process.value()).error().code == tp::errc::vanished);
    }
}

TEST_CASE("a process that executes another program while it is read is told as one of the two")
{
    auto const self = std::filesystem::read_symlink("/proc/self/exe").string();
    for (int round = 0; round < 40; ++round) {
        tp::tests::child const other{[] {}, [&] {
            usleep(static_cast<useconds_t>(round * 50));
            execl("/bin/sleep", "sleep", "600", static_cast<char*>(nullptr));
            _exit(1);
        }};
        auto const process = tp::process::open(other.id());
        REQUIRE(process);
        auto const model = vas::read_model(process.value());
        REQUIRE(model);
        for (auto const& r : model.value()->ranges) {
            if (r.kind != vas::range_class::text) continue;
            CHECK(r.why.rests_on == vas::basis::program_header);
            CHECK((r.mapping.path == self || r.mapping.path.ends_with("/sleep") || r.mapping.path.ends_with("/coreutils")));
        }
    }
}

TEST_CASE("a line of maps of 80 KB has its range, with the beginning of its path")
{
    tp::tests::deep_file const file{400};
    if (!file.is_made()) return tp::tests::skip("so deep a file cannot be made here");
    auto* const at = mmap(nullptr, 8192, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
    REQUIRE(at != MAP_FAILED);
    auto const process = tp::process::self();
    auto const model = vas::read_model(process.value());
    REQUIRE(model);
    auto const* const found = model.value()->find(tp::address{reinterpret_cast<std::uintptr_t>(at)});
    REQUIRE(found != nullptr);
    CHECK(found->kind == vas::range_class::file_mapping);
    CHECK(found->mapping.path.starts_with('/'));
    CHECK(found->mapping.path_truncated);
    auto const* const stack = model.value()->find(tp::address{reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0))});
    CHECK(stack->mapping.path == "[stack]"); // the lines behind it are whole
    munmap(at, 8192);
}
