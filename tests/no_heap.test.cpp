// SPDX-License-Identifier: BSL-1.0

/// \file
/// No walk, decoder or handle allocates, and none touches errno, whether it succeeds or fails.

#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/allocations.hpp"
#include "support/child.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;

namespace {

/// Runs \p body twice: it must not allocate, and leave errno as it was.
template <class Body>
void check_quiet(Body body)
{
    for (int const before : {0, 4711}) {
        int after = 0;
        auto const count = tp::tests::allocations_in([&] {
            errno = before;
            body();
            after = errno;
        });
        CHECK(count == 0);
        CHECK(after == before);
    }
}

/// Memory for the largest file, from before anything is counted.
char text_memory[1 << 20];
char listing_memory[32 * 65536];

volatile std::size_t sink; // what a walk finds must be found

template <class File>
void read_quietly(tp::process const& process, tp::thread const& thread)
{
    CAPTURE(name_of(File::file));
    check_quiet([&] { sink = process.read<File>(text_memory).has_value(); });
    check_quiet([&] { sink = thread.read<File>(text_memory).has_value(); });
    check_quiet([&] { sink = process.read<File>({text_memory, 10}).has_value(); });
    check_quiet([&] {
        auto const r = process.read<File>({text_memory, 1});
        if (r.has_value()) return;
        auto const message = r.error().message();
        sink = message.view().size();
    });
}

template <class... Files>
void read_all_quietly(tp::process const& process, tp::thread const& thread)
{
    (read_quietly<Files>(process, thread), ...);
}

template <class Range>
void walk_quietly(Range const& fresh)
{
    check_quiet([&] {
        Range range{fresh};
        std::size_t count = 0;
        for (auto const& row : range) {
            (void)row;
            ++count;
        }
        sink = count + range.status().has_value();
    });
}

template <class... Files>
void walk_everything_quietly(tp::process const& process)
{
    walk_quietly(tp::processes<Files...>());
    walk_quietly(tp::threads<Files...>());
    walk_quietly(tp::threads<Files...>({.listing = listing_memory, .text = text_memory}));
    walk_quietly(process.threads<Files...>());
    walk_quietly(tp::processes<Files...>({.root = "/nonexistent"}));
    walk_quietly(tp::threads<Files...>({.root = "/dev/null"}));
}

} // namespace

TEST_CASE("malloc and its kin are counted")
{
    if (tp::tests::sanitized) return tp::tests::skip("a sanitizer's malloc cannot be counted");
    void* volatile p = nullptr;
    CHECK(tp::tests::allocations_in([&] { p = std::malloc(10); }) == 1);
    std::free(p);
    CHECK(tp::tests::allocations_in([&] { p = std::calloc(10, 1); }) == 1);
    CHECK(tp::tests::allocations_in([&] { p = std::realloc(p, 20); }) == 1);
    std::free(p);
    CHECK(tp::tests::allocations_in([&] { p = new char; }) == 1);
    delete static_cast<char*>(p);
    CHECK(tp::tests::allocations_in([&] { p = new std::string(100, 'x'); }) == 2);
    delete static_cast<std::string*>(p);
    CHECK(tp::tests::allocations_in([&] { p = std::aligned_alloc(64, 64); }) == 1);
    std::free(p);
}

TEST_CASE("no read through a handle allocates or touches errno: living, zombie, kernel thread, vanished")
{
    auto const read = [](tp::tgid id, auto meanwhile) {
        auto process = tp::process::open(id);
        REQUIRE(process.has_value());
        auto thread = process.value().thread(tp::tid{id.value});
        REQUIRE(thread.has_value());
        meanwhile();
        auto const& p = process.value();
        read_all_quietly<pf::stat, pf::statm, pf::status, pf::comm, pf::cmdline, pf::environ, pf::auxv, pf::smaps_rollup,
                         pf::limits, pf::stack, pf::wchan, pf::syscall, pf::io, pf::schedstat, pf::children, pf::cgroup,
                         pf::oom_score, pf::oom_score_adj, pf::exe, pf::cwd, pf::root>(p, thread.value());
        walk_quietly(p.maps());
        walk_quietly(p.maps(text_memory));
        walk_quietly(p.maps({text_memory, 300}));
        walk_quietly(p.smaps());
        walk_quietly(p.children());
        walk_quietly(p.fds());
        walk_everything_quietly<pf::stat>(p);
        check_quiet([&] { sink = p.check().has_value(); });
        check_quiet([&] { sink = tp::get_rlimit<tp::resource::stack>(p).has_value(); });
        check_quiet([&] { sink = tp::process::open(id).has_value(); });
        check_quiet([&] { sink = p.thread(tp::tid{id.value}).has_value(); });
    };
    SUBCASE("living")
    {
        tp::tests::child const c;
        read(c.id(), [] {});
    }
    SUBCASE("oneself")
    {
        tp::tests::child const one_to_list;
        read(tp::tgid{getpid()}, [] {});
    }
    SUBCASE("zombie")
    {
        auto const c = tp::tests::make_zombie();
        read(c.id(), [] {});
    }
    SUBCASE("kernel thread")
    {
        tp::tgid found;
        for (auto const& [id, stat] : tp::processes<pf::stat>())
            if (stat && stat.value().is_kernel_thread()) { found = id.tgid; break; }
        if (found == tp::tgid{}) return tp::tests::skip("no kernel thread is visible here (a container?)");
        read(found, [] {});
    }
    SUBCASE("vanished")
    {
        tp::tests::child c;
        auto const id = c.id();
        read(id, [&] {
            c.kill();
            c.reap();
        });
    }
}

TEST_CASE("no walk allocates or touches errno, whatever it reads")
{
    tp::tests::child const c;
    auto const p = tp::process::open(c.id());
    REQUIRE(p.has_value());
    walk_everything_quietly<>(p.value());
    walk_everything_quietly<pf::status>(p.value());
    walk_everything_quietly<pf::stat, pf::status, pf::comm, pf::statm, pf::limits, pf::schedstat>(p.value());
    walk_quietly(p.value().threads<pf::cmdline, pf::environ, pf::auxv>());
}

TEST_CASE("lists and meanings of decoded records are walked without allocating")
{
    tp::tests::child const c;
    auto const p = tp::process::open(c.id());
    REQUIRE(p.has_value());
    check_quiet([&] {
        auto const status = p.value().read<pf::status>(text_memory);
        std::size_t n = 0;
        for (auto const group : *status.value().groups) n += group.value;
        for (auto const id : *status.value().ns_pid) n += static_cast<std::size_t>(id.value);
        sink = n;
    });
    check_quiet([&] {
        auto const variables = p.value().read<pf::environ>(text_memory);
        std::size_t n = 0;
        for (auto const& variable : variables.value().entries) {
            (void)variable;
            ++n;
        }
        sink = n;
    });
    check_quiet([&] {
        auto const frames = p.value().read<pf::stack>(text_memory);
        std::size_t n = 0;
        if (frames)
            for (auto const& frame : frames.value().frames) n += frame.base_name().size();
        sink = n;
    });
    check_quiet([&] {
        char memory[64];
        sink = tp::text::unescape_name("a\\nb\\\\", memory).text.size() + tp::text::escape_for_terminal("\x1b]0;x\a\xff", memory).text.size();
    });
}

TEST_CASE("limits, clocks and the system's numbers neither allocate nor touch errno")
{
    tp::tests::child const c;
    auto const p = tp::process::open(c.id());
    REQUIRE(p.has_value());
    check_quiet([] { sink = tp::read_system_info().has_value(); });
    check_quiet([] { sink = tp::read_system_info("/nonexistent").has_value(); });
    check_quiet([] { sink = tp::monotonic_now().count; });
    check_quiet([] { sink = tp::get_rlimit<tp::resource::nofile>().has_value(); });
    check_quiet([] { sink = tp::set_rlimit<tp::resource::core>(tp::get_rlimit<tp::resource::core>().value()).has_value(); });
    check_quiet([&] {
        tp::rlimit<tp::resource::core> const wrong{tp::limit_value{tp::bytes{2}}, tp::limit_value{tp::bytes{1}}};
        sink = tp::set_rlimit<tp::resource::core>(p.value(), wrong).has_value();
    });
    check_quiet([&] { sink = tp::process::self().has_value(); });
    check_quiet([&] { sink = tp::thread::open({tp::tgid{1}, tp::tid{0}}).has_value(); });
}
