// SPDX-License-Identifier: BSL-1.0

/// \file
/// The recorded trees of two architectures, read as roots: every file of every task decodes, and a process that is known by hand
/// comes out as it was.

#include <taskpeek/taskpeek.hpp>

#include "support/fixtures.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;

namespace {

struct machine {
    std::string name;
    std::uint64_t boot_time;
    std::uint64_t specimen_started; ///< clock ticks since boot
    std::size_t specimen_vmas;
};

machine const machines[] = {
    {"linux-6.1-x86_64", 1795425530, 274, 41},
    {"linux-6.1-aarch64", 1795425529, 289, 39},
};

/// The machine's tree, unpacked once for all test cases.
tp::tests::recorded_tree const& tree_of(machine const& wanted)
{
    static std::map<std::string, tp::tests::recorded_tree> trees;
    auto const& tree = trees.try_emplace(wanted.name, wanted.name).first->second;
    REQUIRE(tree.is_unpacked());
    return tree;
}

constexpr tp::tgid specimen_id{83};

/// Reads \p File, and counts how often each outcome came.
template <class File>
void read(tp::task_handle const& task, std::map<std::string, int>& outcomes)
{
    static tp::buffer<1 << 20> memory;
    auto const r = task.read<File>(memory);
    auto const outcome = std::string{name_of(File::file)} + " " + (r ? "ok" : std::string{name_of(r.error().code)});
    ++outcomes[outcome];
    if (r) return;
    auto const message = r.error().message();
    CAPTURE(message.view());
    // nothing is malformed, cut or unexplained
    CHECK((r.error().code == errc::kernel_thread || r.error().code == errc::zombie || r.error().code == errc::unsupported));
}

template <class... Files>
void read_all(tp::task_handle const& task, std::map<std::string, int>& outcomes)
{
    (read<Files>(task, outcomes), ...);
}

template <class Range>
std::size_t walk(Range range, errc allowed, errc also_allowed = errc{})
{
    std::size_t count = 0;
    for (auto const& row : range) {
        (void)row;
        ++count;
    }
    if (range.status().has_error()) {
        auto const message = range.status().error().message();
        CAPTURE(message.view());
        CHECK((range.status().error().code == allowed || range.status().error().code == also_allowed));
        CHECK(count == 0);
    }
    return count;
}

tp::process specimen_of(tp::tests::recorded_tree const& tree)
{
    auto specimen = tp::process::open(specimen_id, tree.root().c_str());
    REQUIRE(specimen.has_value());
    return std::move(specimen.value());
}

} // namespace

TEST_CASE("every file of every recorded task decodes, or is one that its task has not")
{
    for (auto const& machine : machines) {
        CAPTURE(machine.name);
        auto const& tree = tree_of(machine);
        auto const root = tree.root();
        std::map<std::string, int> outcomes;
        int processes = 0, threads = 0, kernel_threads = 0, zombies = 0;
        std::size_t vmas = 0, smaps = 0;
        for (auto const& [id, stat] : tp::processes<pf::stat>({.root = root.c_str()})) {
            ++processes;
            REQUIRE(stat.has_value());
            kernel_threads += stat.value().is_kernel_thread();
            zombies += stat.value().state == pf::task_state::zombie;
            auto const p = tp::process::open(id.tgid, root.c_str());
            REQUIRE(p.has_value());
            CHECK(p.value().check().has_value());
            read_all<pf::stat, pf::statm, pf::status, pf::comm, pf::cmdline, pf::environ, pf::auxv, pf::smaps_rollup, pf::limits,
                     pf::stack, pf::wchan, pf::syscall, pf::io, pf::schedstat, pf::cgroup, pf::oom_score, pf::oom_score_adj,
                     pf::exe, pf::cwd, pf::root>(p.value(), outcomes);
            vmas += walk(p.value().maps(), errc::kernel_thread, errc::zombie);
            smaps += walk(p.value().smaps(), errc::kernel_thread, errc::zombie);
            walk(p.value().fds(), errc::zombie, errc::unsupported); // directories without an entry are not in the tree
            walk(p.value().children(), errc{});
            auto range = p.value().threads<>();
            for (auto const& row : range) {
                ++threads;
                auto const t = p.value().thread(row.id().tid);
                REQUIRE(t.has_value());
                read_all<pf::stat, pf::status, pf::comm, pf::schedstat, pf::stack, pf::wchan, pf::syscall,
                         pf::children>(t.value(), outcomes);
            }
            CHECK(range.status().has_value());
            CHECK(range.report().vanished == 0);
        }
        CHECK(processes == static_cast<int>(kernel_threads + 4)); // init, the specimen, its child and its zombie
        CHECK(zombies == 1);
        CHECK(threads == processes + 8);
        CHECK(outcomes["stat ok"] == processes + threads);
        CHECK(outcomes["status ok"] == processes + threads);
        CHECK(outcomes["comm ok"] == processes + threads);
        CHECK(outcomes["limits ok"] == processes);
        CHECK(outcomes["stack ok"] == processes + threads);
        CHECK(outcomes["children ok"] == threads);
        CHECK(outcomes["auxv ok"] == 3);
        CHECK(outcomes["auxv zombie"] == 1);
        CHECK(outcomes["cmdline kernel_thread"] == kernel_threads);
        CHECK(outcomes["smaps_rollup ok"] == 3);
        CHECK(outcomes["smaps_rollup zombie"] == 1);
        CHECK(outcomes["smaps_rollup kernel_thread"] == kernel_threads);
        CHECK(outcomes["exe kernel_thread"] == kernel_threads);
        CHECK(vmas > machine.specimen_vmas);
        CHECK(vmas == smaps);
    }
}

TEST_CASE("the recorded machines' numbers are their own")
{
    for (auto const& machine : machines) {
        auto const& tree = tree_of(machine);
        auto const info = tp::read_system_info(tree.root().c_str());
        REQUIRE(info.has_value());
        CHECK(info.value().page_size == tp::bytes{4096});
        CHECK(info.value().ticks_per_second == 100);
        CHECK(info.value().word_size == 8);
        CHECK(info.value().boot_time == tp::seconds{machine.boot_time});
        tp::buffer<> memory;
        auto const stat = specimen_of(tree).read<pf::stat>(memory);
        REQUIRE(stat.has_value());
        CHECK(stat.value().starttime.count == machine.specimen_started);
        CHECK(tp::start_time(stat.value(), info.value()).value().count
              == machine.boot_time * 1'000'000'000 + machine.specimen_started * 10'000'000);
    }
}

TEST_CASE("the specimen's threads, child and zombie carry their names")
{
    std::map<int, std::string> const wanted{{83, "specimen"}, {85, "worker"}, {86, "a b"}, {87, "a) R 1 (b"}, {88, "x:y\tz"}, {89, "new\nline"},
                                            {90, "\xff\xfe"}, {91, ""}, {92, "kworker/0:1-lie"}};
    for (auto const& machine : machines) {
        auto const& tree = tree_of(machine);
        auto const root = tree.root();
        std::map<int, std::string> stats, statuses, comms;
        for (auto const& [id, stat, status, comm] : tp::threads<pf::stat, pf::status, pf::comm>({.root = root.c_str()})) {
            if (id.tgid != specimen_id) continue;
            REQUIRE(stat.has_value());
            REQUIRE(status.has_value());
            REQUIRE(comm.has_value());
            stats[id.tid.value] = stat.value().comm;
            char memory[64];
            statuses[id.tid.value] = tp::text::unescape_name(*status.value().name, memory).text;
            comms[id.tid.value] = comm.value().name;
            CHECK_FALSE(stat.value().is_kernel_thread()); // whatever it calls itself
        }
        CHECK(stats == wanted);
        CHECK(statuses == wanted);
        CHECK(comms == wanted);

        auto const specimen = specimen_of(tree);
        std::vector<int> children;
        auto range = specimen.children();
        for (auto const& child : range) children.push_back(child.value);
        CHECK(range.status().has_value());
        CHECK(children == std::vector{93, 94});
        tp::buffer<> memory;
        auto const child = tp::process::open(tp::tgid{93}, root.c_str()).value().read<pf::stat>(memory);
        REQUIRE(child.has_value());
        CHECK(child.value().comm == "a) R 1 (b");
        CHECK(child.value().state == pf::task_state::sleeping);
        CHECK(child.value().ppid == specimen_id);
        auto const zombie = tp::process::open(tp::tgid{94}, root.c_str()).value().read<pf::stat>(memory);
        REQUIRE(zombie.has_value());
        CHECK(zombie.value().comm == "specimen");
        CHECK(zombie.value().state == pf::task_state::zombie);
        CHECK(zombie.value().exit_code == 768); // it called exit(3)
    }
}

TEST_CASE("the specimen's limits, status and files are what it set up")
{
    for (auto const& machine : machines) {
        auto const& tree = tree_of(machine);
        auto const specimen = specimen_of(tree);
        auto const limits = specimen.read<pf::limits>();
        REQUIRE(limits.has_value());
        CHECK(limits.value().max_stack_size->soft.value() == tp::bytes{4 << 20});
        CHECK(limits.value().max_stack_size->hard.is_unlimited());
        CHECK(limits.value().max_core_file_size->soft.value() == tp::bytes{0});
        CHECK(limits.value().max_core_file_size->hard.value() == tp::bytes{0});
        CHECK(limits.value().max_open_files->soft.value() == tp::file_count{1024});
        CHECK(limits.value().max_open_files->hard.value() == tp::file_count{4096});
        CHECK(limits.value().max_nice_priority->soft.value().has_value());
        CHECK(limits.value().max_realtime_timeout->hard.is_unlimited());

        tp::buffer<> memory;
        auto const status = specimen.read<pf::status>(memory);
        REQUIRE(status.has_value());
        CHECK(status.value().threads == 9u);
        CHECK(status.value().vm_lck == tp::kibibytes{8});
        CHECK(status.value().groups->empty());
        CHECK_FALSE(status.value().kthread.has_value()); // since 6.8
        CHECK_FALSE(status.value().vm_pmd.has_value());
        CHECK(status.value().uid->effective == tp::uid{0});

        std::map<int, std::string> files;
        auto fds = specimen.fds();
        for (auto const& [number, target] : fds) {
            REQUIRE(target.has_value());
            files[number] = target.value().target;
            if (number == 3) {
                CHECK(target.value().kind() == pf::fd_kind::memfd);
                CHECK(target.value().name() == "pool");
            }
        }
        CHECK(fds.status().has_value());
        CHECK(files == std::map<int, std::string>{{0, "/dev/null"}, {1, "/tmp/ready"}, {2, "/dev/console"}, {3, "/memfd:pool (deleted)"}});

        auto const exe = specimen.read<pf::exe>(memory);
        REQUIRE(exe.has_value());
        CHECK(exe.value().target == "/specimen");
        auto const arguments = specimen.read<pf::cmdline>(memory);
        REQUIRE(arguments.has_value());
        CHECK(arguments.value().arguments.count() == 1);
        CHECK(*arguments.value().arguments.begin() == "/specimen");
    }
}

TEST_CASE("the specimen's vmas are what it mapped")
{
    for (auto const& machine : machines) {
        CAPTURE(machine.name);
        auto const& tree = tree_of(machine);
        auto const specimen = specimen_of(tree);
        std::size_t count = 0;
        tp::address end;
        std::map<std::string, pf::vma> by_path; // the views inside are not looked at
        int write_execute = 0, thread_stacks = 0, guards = 0;
        auto maps = specimen.maps();
        for (auto const& v : maps) {
            ++count;
            CHECK(v.start >= end);
            CHECK(v.end > v.start);
            CHECK_FALSE(v.path_truncated);
            end = v.end;
            by_path.emplace(std::string{v.path}, v);
            write_execute += v.is_writable_and_executable();
            thread_stacks += v.path.empty() && v.size() == tp::bytes{256 * 1024} && v.perms == pf::permissions{true, true, false, false};
            guards += v.path.empty() && v.perms == pf::permissions{};
            CHECK(v.has_special_name() == v.path.starts_with('['));
            if (v.path == "/tmp/new\\012line.bin") CHECK(v.path_is_ambiguous());
            else CHECK_FALSE(v.path_is_ambiguous());
        }
        CHECK(maps.status().has_value());
        CHECK(count == machine.specimen_vmas);
        CHECK(write_execute == 1);
        CHECK(thread_stacks == 7); // the eighth has grown together with the mapping above it
        CHECK(guards == 9); // one below each thread's stack, and one of a mebibyte

        for (auto const* const path : {"/SYSV00000000 (deleted)", "/memfd:pool (deleted)", "/dev/zero (deleted)", "/tmp/new\\012line.bin"}) {
            CAPTURE(path);
            REQUIRE(by_path.count(path) == 1);
            CHECK(by_path.at(path).perms == pf::permissions{true, true, false, true});
        }
        for (auto const* const path : {"/tmp/\xff\xfe bytes", "/tmp/named (deleted)", "/tmp/plain.bin"}) {
            CAPTURE(path);
            REQUIRE(by_path.count(path) == 1);
            CHECK(by_path.at(path).perms == pf::permissions{true, false, false, false});
            CHECK(by_path.at(path).offset == tp::bytes{4096});
            CHECK(by_path.at(path).inode > 0);
        }
        REQUIRE(by_path.count("/tmp/two  spaces.bin") == 1);
        REQUIRE(by_path.count("/tmp/gone.bin (deleted)") == 1);
        REQUIRE(by_path.count("[stack]") == 1);
        REQUIRE(by_path.count("[heap]") == 1);
        CHECK(by_path.at("/memfd:pool (deleted)").inode == 3);
        CHECK(by_path.at("/memfd:pool (deleted)").size() == tp::bytes{8192});

        std::size_t with_numbers = 0;
        std::uint64_t locked = 0;
        auto smaps = specimen.smaps();
        for (auto const& s : smaps) {
            ++with_numbers;
            CHECK(s.size->count * 1024 == s.mapping.size().count);
            CHECK(s.kernel_page_size == tp::kibibytes{4});
            locked += s.locked->count;
            CHECK_FALSE(s.ksm.has_value()); // since 6.6
        }
        CHECK(smaps.status().has_value());
        CHECK(with_numbers == count);
        CHECK(locked == 8);
    }
}
