// SPDX-License-Identifier: BSL-1.0

/// \file
/// Others asked the same question: ps(1) before and after, libproc2, getauxval(3), dl_iterate_phdr(3).

#include <taskpeek/taskpeek.hpp>

#include "skip.hpp"
#include "support/child.hpp"
#include "support/threads.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libproc2/pids.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;

namespace {

/// A task as ps prints it.
struct ps_row {
    int ppid;
    int threads;
    char state;
    unsigned ruid, euid;
};

std::map<std::pair<int, int>, ps_row> ps()
{
    std::map<std::pair<int, int>, ps_row> rows;
    auto* const output = popen("ps -eLo tgid=,lwp=,ppid=,nlwp=,stat=,ruid=,euid=", "r");
    if (output == nullptr) return rows;
    int tgid, tid, ppid, threads;
    char state[16];
    unsigned ruid, euid;
    while (std::fscanf(output, "%d %d %d %d %15s %u %u", &tgid, &tid, &ppid, &threads, state, &ruid, &euid) == 7)
        rows[{tgid, tid}] = {ppid, threads, state[0], ruid, euid};
    pclose(output);
    return rows;
}

std::uint64_t ticks_since_boot()
{
    timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    auto const rate = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    return static_cast<std::uint64_t>(now.tv_sec) * rate + static_cast<std::uint64_t>(now.tv_nsec) * rate / 1'000'000'000;
}

tp::process open(tp::tgid id)
{
    auto handle = tp::process::open(id);
    REQUIRE(handle.has_value());
    return std::move(handle.value());
}

} // namespace

TEST_CASE("rows equal those of ps taken before and after, but for births and deaths")
{
    std::vector<tp::tests::child> children;
    for (int i = 0; i < 5; ++i) children.emplace_back();
    children.push_back(tp::tests::make_zombie());
    tp::tests::waiting_threads const threads{std::vector<std::string>(30, "agreeing")};
    std::vector<char> listing(32 * 65536);

    auto const began = ticks_since_boot();
    auto const before = ps();
    REQUIRE(before.size() > 36);
    std::map<std::pair<int, int>, ps_row> ours;
    std::map<std::pair<int, int>, std::uint64_t> started;
    std::set<int> incomplete; // threads of others may come and go too fast for any list
    for (auto const& row : tp::threads<pf::stat, pf::status>({.listing = listing})) {
        auto const& [id, stat, status] = row;
        REQUIRE(stat.has_value());
        REQUIRE(status.has_value());
        auto const& s = stat.value();
        std::pair const key{id.tgid.value, id.tid.value};
        ours[key] = {s.ppid.value, static_cast<int>(s.num_threads), s.state.letter, status.value().uid->real.value,
                     status.value().uid->effective.value};
        started[key] = s.starttime.count;
        if (row.possibly_incomplete()) incomplete.insert(id.tgid.value);
    }
    auto const after = ps();

    for (auto const& one : before) { // no bindings: clang 14 cannot capture them
        auto const& key = one.first;
        auto const& theirs = one.second;
        auto const later = after.find(key);
        if (later == after.end()) continue; // it died, or nearly so
        CAPTURE(key.first);
        CAPTURE(key.second);
        if (ours.count(key) == 0 && incomplete.count(key.first) == 1) continue;
        REQUIRE(ours.count(key) == 1);
        if (theirs.ppid == later->second.ppid) CHECK(ours[key].ppid == theirs.ppid);
        if (theirs.ruid == later->second.ruid) CHECK(ours[key].ruid == theirs.ruid);
        if (theirs.euid == later->second.euid) CHECK(ours[key].euid == theirs.euid);
    }
    for (auto const& one : ours) {
        auto const& key = one.first;
        if (before.count(key) != 0 || after.count(key) != 0) continue;
        // where threads of another process die while ps lists them, it misses living ones
        if (key.first != key.second && key.first != getpid()) continue;
        CAPTURE(key.first);
        CAPTURE(key.second);
        CHECK(started[key] + 1 >= began); // it lived between the two
    }
    for (auto const& c : children) {
        std::pair const key{c.pid(), c.pid()};
        REQUIRE(ours.count(key) == 1);
        CHECK(ours[key].ppid == getpid());
        CHECK(ours[key].state == before.at(key).state);
    }
    for (std::size_t i = 0; i < threads.size(); ++i) {
        std::pair const key{getpid(), threads.tid(i)};
        REQUIRE(ours.count(key) == 1);
        CHECK(ours[key].threads == before.at(key).threads);
        CHECK(ours[key].state == before.at(key).state);
    }
}

namespace {

/// The items asked of libproc2, and where each came.
enum item { cmd, pid, ppid, pgrp, session, tpgid, tty, nice_value, nlwp, priority, rt_priority, rss, rss_rlim, vsize, ticks_user,
            ticks_system, ticks_began, state, policy, code_start, code_end, stack_start, vm_size, vm_rss, vm_rss_anon,
            vm_rss_file, vm_data, vm_exe, vm_lib, vm_stack, vm_swap, ruid, euid, suid, fuid, rgid, egid, sgid, fgid, blocked,
            caught, ignored, mem_virt, mem_res, mem_shr, mem_code, oom_adj, oom_score, read_chars, write_chars, read_ops,
            write_ops, wchan, item_count };

pids_item items[item_count] = {
    PIDS_CMD, PIDS_ID_PID, PIDS_ID_PPID, PIDS_ID_PGRP, PIDS_ID_SESSION, PIDS_ID_TPGID, PIDS_TTY, PIDS_NICE, PIDS_NLWP,
    PIDS_PRIORITY, PIDS_PRIORITY_RT, PIDS_RSS, PIDS_RSS_RLIM, PIDS_VSIZE_BYTES, PIDS_TICS_USER, PIDS_TICS_SYSTEM, PIDS_TICS_BEGAN,
    PIDS_STATE, PIDS_SCHED_CLASS, PIDS_ADDR_CODE_START, PIDS_ADDR_CODE_END, PIDS_ADDR_STACK_START, PIDS_VM_SIZE, PIDS_VM_RSS,
    PIDS_VM_RSS_ANON, PIDS_VM_RSS_FILE, PIDS_VM_DATA, PIDS_VM_EXE, PIDS_VM_LIB, PIDS_VM_STACK, PIDS_VM_SWAP, PIDS_ID_RUID,
    PIDS_ID_EUID, PIDS_ID_SUID, PIDS_ID_FUID, PIDS_ID_RGID, PIDS_ID_EGID, PIDS_ID_SGID, PIDS_ID_FGID, PIDS_SIGBLOCKED,
    PIDS_SIGCATCH, PIDS_SIGIGNORE, PIDS_MEM_VIRT_PGS, PIDS_MEM_RES_PGS, PIDS_MEM_SHR_PGS, PIDS_MEM_CODE_PGS, PIDS_OOM_ADJ,
    PIDS_OOM_SCORE, PIDS_IO_READ_CHARS, PIDS_IO_WRITE_CHARS, PIDS_IO_READ_OPS, PIDS_IO_WRITE_OPS, PIDS_WCHAN_NAME};

std::uint64_t mask_of(char const* hex) { return std::strtoull(hex, nullptr, 16); }

} // namespace

TEST_CASE("values of a sleeping child equal libproc2's")
{
    tp::tests::child const c{[] {
        prctl(PR_SET_NAME, "agree with me");
        (void)!::nice(7);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, nullptr);
        signal(SIGUSR2, SIG_IGN);
        signal(SIGHUP, [](int) {});
    }};
    auto const p = open(c.id());
    tp::buffer<> memory;
    for (int i = 0; i < 1000; ++i) { // it is ready before it sleeps
        if (p.read<pf::stat>(memory).value().state == pf::task_state::sleeping) break;
        usleep(10'000);
    }

    pids_info* info = nullptr;
    REQUIRE(procps_pids_new(&info, items, item_count) == 0);
    auto number = static_cast<unsigned>(c.pid());
    auto const* const fetched = procps_pids_select(info, &number, 1, PIDS_SELECT_PID);
    REQUIRE(fetched != nullptr);
    REQUIRE(fetched->counts->total == 1);
    auto const* const head = fetched->stacks[0]->head;
    auto const text = [&](item i) { return std::string_view{head[i].result.str}; };
    auto const signed_int = [&](item i) { return head[i].result.s_int; };
    auto const unsigned_int = [&](item i) { return head[i].result.u_int; };
    auto const long_int = [&](item i) { return std::uint64_t{head[i].result.ul_int}; };
    auto const long_long = [&](item i) { return std::uint64_t{head[i].result.ull_int}; };

    auto const stat_result = p.read<pf::stat>(memory);
    REQUIRE(stat_result.has_value());
    auto const& stat = stat_result.value();
    CHECK(stat.comm == text(cmd));
    CHECK(stat.comm == "agree with me");
    CHECK(stat.pid.value == signed_int(pid));
    CHECK(stat.ppid.value == signed_int(ppid));
    CHECK(stat.pgrp.value == signed_int(pgrp));
    CHECK(stat.session.value == signed_int(session));
    CHECK(stat.tpgid.value == signed_int(tpgid));
    CHECK(stat.tty_nr == signed_int(tty));
    CHECK(stat.nice == signed_int(nice_value));
    CHECK(stat.num_threads == signed_int(nlwp));
    CHECK(stat.priority == signed_int(priority));
    CHECK(static_cast<int>(stat.rt_priority) == signed_int(rt_priority));
    CHECK(stat.rss.count == long_int(rss));
    CHECK(tp::to_rlim(stat.rsslim) == long_int(rss_rlim));
    CHECK(stat.vsize.count == long_int(vsize));
    CHECK(stat.utime.count == long_long(ticks_user));
    CHECK(stat.stime.count == long_long(ticks_system));
    CHECK(stat.starttime.count == long_long(ticks_began));
    CHECK(stat.state.letter == head[state].result.s_ch);
    CHECK(static_cast<int>(stat.policy.number) == signed_int(policy));
    CHECK(stat.startcode.raw() == long_int(code_start));
    CHECK(stat.endcode.raw() == long_int(code_end));
    CHECK(stat.startstack.raw() == long_int(stack_start));

    auto const status_result = p.read<pf::status>(memory);
    REQUIRE(status_result.has_value());
    auto const& status = status_result.value();
    CHECK(status.vm_size->count == long_int(vm_size));
    CHECK(status.vm_rss->count == long_int(vm_rss));
    CHECK(status.rss_anon->count == long_int(vm_rss_anon));
    CHECK(status.rss_file->count == long_int(vm_rss_file));
    CHECK(status.vm_data->count == long_int(vm_data));
    CHECK(status.vm_exe->count == long_int(vm_exe));
    CHECK(status.vm_lib->count == long_int(vm_lib));
    CHECK(status.vm_stk->count == long_int(vm_stack));
    CHECK(status.vm_swap->count == long_int(vm_swap));
    CHECK(status.uid->real.value == unsigned_int(ruid));
    CHECK(status.uid->effective.value == unsigned_int(euid));
    CHECK(status.uid->saved.value == unsigned_int(suid));
    CHECK(status.uid->filesystem.value == unsigned_int(fuid));
    CHECK(status.gid->real.value == unsigned_int(rgid));
    CHECK(status.gid->effective.value == unsigned_int(egid));
    CHECK(status.gid->saved.value == unsigned_int(sgid));
    CHECK(status.gid->filesystem.value == unsigned_int(fgid));
    CHECK(status.sig_blk->bits == mask_of(head[blocked].result.str));
    CHECK(status.sig_cgt->bits == mask_of(head[caught].result.str));
    CHECK(status.sig_ign->bits == mask_of(head[ignored].result.str));

    auto const statm = p.read<pf::statm>();
    REQUIRE(statm.has_value());
    CHECK(statm.value().size.count == long_int(mem_virt));
    CHECK(statm.value().resident.count == long_int(mem_res));
    CHECK(statm.value().shared.count == long_int(mem_shr));
    CHECK(statm.value().text.count == long_int(mem_code));
    CHECK(p.read<pf::oom_score_adj>().value().value == signed_int(oom_adj));
    CHECK(p.read<pf::oom_score>().value().value == signed_int(oom_score));
    if (auto const io = p.read<pf::io>()) {
        CHECK(io.value().rchar->count == long_int(read_chars));
        CHECK(io.value().wchar->count == long_int(write_chars));
        CHECK(*io.value().syscr == long_int(read_ops));
        CHECK(*io.value().syscw == long_int(write_ops));
    }
    if (auto const waits_in = p.read<pf::wchan>(memory); waits_in && !waits_in.value().symbol().empty())
        CHECK(waits_in.value().symbol().ends_with(text(wchan))); // which libproc2 tells without the underscores in front
    procps_pids_unref(&info);
}

TEST_CASE("the auxiliary vector equals what getauxval(3) tells")
{
    auto const p = open(tp::tgid{getpid()});
    tp::buffer<4096> memory;
    auto const auxv = p.read<pf::auxv>(memory);
    REQUIRE(auxv.has_value());
    CHECK(auxv.value().word_size() == sizeof(long));
    int compared = 0;
    for (auto const& entry : auxv.value().entries) {
        if (entry.key == pf::auxv_key::hwcap) continue; // of x86, glibc tells its own instead
        errno = 0;
        auto const wanted = getauxval(static_cast<unsigned long>(entry.key));
        if (errno == ENOENT) continue;
        CAPTURE(name_of(entry.key));
        CHECK(entry.value == wanted);
        ++compared;
    }
    CHECK(compared > 10);
    CHECK(auxv.value().get(pf::auxv_key::pagesz) == static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
    CHECK(auxv.value().get(pf::auxv_key::phdr) == getauxval(AT_PHDR));
}

TEST_CASE("maps hold every segment that dl_iterate_phdr(3) tells, with its permissions and its file")
{
    struct segment {
        std::uint64_t start, end;
        std::uint32_t flags;
        std::string object;
    };
    std::vector<segment> segments;
    auto const collect = [](dl_phdr_info* object, std::size_t, void* out) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
            auto const& header = object->dlpi_phdr[i];
            if (header.p_type != PT_LOAD || header.p_memsz == 0) continue;
            auto const start = object->dlpi_addr + header.p_vaddr;
            static_cast<std::vector<segment>*>(out)->push_back({start, start + header.p_memsz, header.p_flags, object->dlpi_name});
        }
        return 0;
    };
    dl_iterate_phdr(collect, &segments);
    REQUIRE(segments.size() > 4);

    auto const p = open(tp::tgid{getpid()});
    std::set<std::size_t> found;
    auto maps = p.maps();
    for (auto const& vma : maps) {
        for (std::size_t i = 0; i < segments.size(); ++i) {
            auto const& s = segments[i];
            if (!vma.contains(tp::address{s.start})) continue;
            CAPTURE(s.object);
            found.insert(i);
            CHECK(vma.perms.read == ((s.flags & PF_R) != 0));
            CHECK(vma.perms.execute == ((s.flags & PF_X) != 0));
            if ((s.flags & PF_W) == 0) CHECK_FALSE(vma.perms.write); // the other way round the loader may have taken it away (RELRO)
            if (s.object.starts_with('/')) {
                char real[4096];
                REQUIRE(realpath(s.object.c_str(), real) != nullptr);
                CHECK(vma.path == real);
                CHECK(vma.has_inode());
            }
        }
    }
    CHECK(maps.status().has_value());
    CHECK(found.size() == segments.size());
}
