// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/status` and `/proc/<tgid>/task/<tid>/status`: a task's ids, memory, signals and privileges.
/// To add a key: a field in `status`, a line in `each_field`, a row in docs/support.md, a line in tests/status.test.cpp.

#include <taskpeek/procfs/capabilities.hpp>
#include <taskpeek/procfs/cpu_set.hpp>
#include <taskpeek/procfs/seccomp.hpp>
#include <taskpeek/procfs/signals.hpp>
#include <taskpeek/procfs/task_state.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/text/keyed.hpp>
#include <taskpeek/text/list.hpp>
#include <taskpeek/units.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// `Umask`, in octal: the permission bits that new files do not get.
struct file_mode_mask {
    std::uint32_t bits = 0;
    friend constexpr bool operator==(file_mode_mask, file_mode_mask) noexcept = default;
};

/// `Uid` and `Gid`: four ids.
template <class Id>
struct credentials {
    Id real, effective, saved, filesystem;
    friend constexpr bool operator==(credentials const&, credentials const&) noexcept = default;
};

/// `SigQ`: signals queued for the real user id, and how many may be (RLIMIT_SIGPENDING; of a 32-bit kernel ask limit_of).
struct signal_queue {
    std::uint64_t queued = 0;
    limit_value<signal_count> limit;
    friend constexpr bool operator==(signal_queue const&, signal_queue const&) noexcept = default;
};

/// `untag_mask`: the address bits that are not a tag.
struct address_mask {
    std::uint64_t bits = 0;
    friend constexpr bool operator==(address_mask, address_mask) noexcept = default;
};

constexpr void read_value(text::cursor& in, file_mode_mask& out) noexcept { out.bits = in.octal<std::uint32_t>(); }
constexpr void read_value(text::cursor& in, address_mask& out) noexcept { out.bits = in.prefixed_hex<std::uint64_t>(); }

template <class Id>
[[gnu::always_inline]] constexpr void read_value(text::cursor& in, credentials<Id>& out) noexcept
{
    read_value(in, out.real);
    in.expect('\t');
    read_value(in, out.effective);
    in.expect('\t');
    read_value(in, out.saved);
    in.expect('\t');
    read_value(in, out.filesystem);
}

[[gnu::always_inline]] constexpr void read_value(text::cursor& in, signal_queue& out) noexcept
{
    read_value(in, out.queued);
    in.expect('/');
    read_value(in, out.limit);
}

/// The fields of `status` (fs/proc/array.c, proc_pid_status), in the kernel's order. Which are there depends on the kernel and
/// its configuration, and on the task: kernel threads and zombies have no `Vm*`. What is absent is `nullopt`.
/// Errors: truncated (no newline at the end), malformed (a known key with a value of another form).
/// Lifetime: `name`, lists and masks are views into the text.
struct status {
    static constexpr kernel_file file = kernel_file::status; ///< what it decodes
    static constexpr std::size_t typical_size = 6144; ///< bytes; room for the CPU masks of 8,192 CPUs

    std::optional<std::string_view> name;              ///< `Name`: comm with `\n` and `\\` escaped; see text/escapes.hpp
    std::optional<file_mode_mask> umask;               ///< `Umask`: since 4.7; not of a zombie
    std::optional<task_state> state;                   ///< `State`
    std::optional<taskpeek::tgid> tgid;                ///< `Tgid`
    std::optional<std::int32_t> ngid;                  ///< `Ngid`: NUMA group, 0 for none; since 3.13
    std::optional<tid> pid;                            ///< `Pid`
    std::optional<taskpeek::tgid> ppid;                ///< `PPid`: 0 for none that the reader can see
    std::optional<tid> tracer_pid;                     ///< `TracerPid`: 0 when it is not traced
    std::optional<credentials<taskpeek::uid>> uid;     ///< `Uid`
    std::optional<credentials<taskpeek::gid>> gid;     ///< `Gid`
    std::optional<std::uint64_t> fd_size;              ///< `FDSize`: slots allocated for descriptors, not the number open
    std::optional<text::list<taskpeek::gid>> groups;   ///< `Groups`: supplementary groups; up to 65,536
    std::optional<text::list<taskpeek::tgid>> ns_tgid; ///< `NStgid`: one per pid namespace, the reader's first; since 4.1
    std::optional<text::list<tid>> ns_pid;             ///< `NSpid`: since 4.1
    std::optional<text::list<pgid>> ns_pgid;           ///< `NSpgid`: since 4.1
    std::optional<text::list<sid>> ns_sid;             ///< `NSsid`: since 4.1
    std::optional<bool> kthread;                       ///< `Kthread`: since 6.4
    std::optional<kibibytes> vm_peak;                  ///< `VmPeak`
    std::optional<kibibytes> vm_size;                  ///< `VmSize`
    std::optional<kibibytes> vm_lck;                   ///< `VmLck`
    std::optional<kibibytes> vm_pin;                   ///< `VmPin`: since 3.2
    std::optional<kibibytes> vm_hwm;                   ///< `VmHWM`
    std::optional<kibibytes> vm_rss;                   ///< `VmRSS`: inexact
    std::optional<kibibytes> rss_anon;                 ///< `RssAnon`: since 4.5
    std::optional<kibibytes> rss_file;                 ///< `RssFile`: since 4.5
    std::optional<kibibytes> rss_shmem;                ///< `RssShmem`: since 4.5
    std::optional<kibibytes> vm_data;                  ///< `VmData`
    std::optional<kibibytes> vm_stk;                   ///< `VmStk`
    std::optional<kibibytes> vm_exe;                   ///< `VmExe`
    std::optional<kibibytes> vm_lib;                   ///< `VmLib`
    std::optional<kibibytes> vm_pte;                   ///< `VmPTE`
    std::optional<kibibytes> vm_pmd;                   ///< `VmPMD`: 4.0 to 4.14
    std::optional<kibibytes> vm_swap;                  ///< `VmSwap`
    std::optional<kibibytes> hugetlb_pages;            ///< `HugetlbPages`: since 4.4
    std::optional<bool> core_dumping;                  ///< `CoreDumping`: since 4.15
    std::optional<bool> thp_enabled;                   ///< `THP_enabled`: since 5.0
    std::optional<address_mask> untag_mask;            ///< `untag_mask`: since 6.4
    std::optional<std::uint32_t> threads;              ///< `Threads`
    std::optional<signal_queue> sig_q;                 ///< `SigQ`
    std::optional<signal_set> sig_pnd;                 ///< `SigPnd`: pending for this thread
    std::optional<signal_set> shd_pnd;                 ///< `ShdPnd`: pending for the process
    std::optional<signal_set> sig_blk;                 ///< `SigBlk`: blocked
    std::optional<signal_set> sig_ign;                 ///< `SigIgn`: ignored
    std::optional<signal_set> sig_cgt;                 ///< `SigCgt`: caught
    std::optional<capability_set> cap_inh;             ///< `CapInh`: inheritable
    std::optional<capability_set> cap_prm;             ///< `CapPrm`: permitted
    std::optional<capability_set> cap_eff;             ///< `CapEff`: effective
    std::optional<capability_set> cap_bnd;             ///< `CapBnd`: bounding
    std::optional<capability_set> cap_amb;             ///< `CapAmb`: ambient; since 4.3
    std::optional<bool> no_new_privs;                  ///< `NoNewPrivs`: since 4.10
    std::optional<seccomp_mode> seccomp;               ///< `Seccomp`: since 3.8
    std::optional<std::uint32_t> seccomp_filters;      ///< `Seccomp_filters`: since 5.9
    std::optional<std::string_view> speculation_store_bypass;    ///< `Speculation_Store_Bypass`: since 4.17
    std::optional<std::string_view> speculation_indirect_branch; ///< `SpeculationIndirectBranch`: since 5.11
    std::optional<cpu_mask> cpus_allowed;              ///< `Cpus_allowed`
    std::optional<cpu_list> cpus_allowed_list;         ///< `Cpus_allowed_list`
    std::optional<cpu_mask> mems_allowed;              ///< `Mems_allowed`
    std::optional<cpu_list> mems_allowed_list;         ///< `Mems_allowed_list`
    std::optional<std::uint64_t> voluntary_ctxt_switches;    ///< `voluntary_ctxt_switches`: this thread's
    std::optional<std::uint64_t> nonvoluntary_ctxt_switches; ///< `nonvoluntary_ctxt_switches`: this thread's
    std::optional<std::string_view> x86_thread_features;        ///< `x86_Thread_features`: since 6.6
    std::optional<std::string_view> x86_thread_features_locked; ///< `x86_Thread_features_locked`: since 6.6

    /// Calls `visit(key, field)` for every field, in the kernel's order. Decoding and printing both go by this list.
    template <class Status, class Visitor>
    [[gnu::always_inline]] static constexpr void each_field(Status& s, Visitor&& visit) noexcept
    {
        visit("Name", s.name);
        visit("Umask", s.umask);
        visit("State", s.state);
        visit("Tgid", s.tgid);
        visit("Ngid", s.ngid);
        visit("Pid", s.pid);
        visit("PPid", s.ppid);
        visit("TracerPid", s.tracer_pid);
        visit("Uid", s.uid);
        visit("Gid", s.gid);
        visit("FDSize", s.fd_size);
        visit("Groups", s.groups);
        visit("NStgid", s.ns_tgid);
        visit("NSpid", s.ns_pid);
        visit("NSpgid", s.ns_pgid);
        visit("NSsid", s.ns_sid);
        visit("Kthread", s.kthread);
        visit("VmPeak", s.vm_peak);
        visit("VmSize", s.vm_size);
        visit("VmLck", s.vm_lck);
        visit("VmPin", s.vm_pin);
        visit("VmHWM", s.vm_hwm);
        visit("VmRSS", s.vm_rss);
        visit("RssAnon", s.rss_anon);
        visit("RssFile", s.rss_file);
        visit("RssShmem", s.rss_shmem);
        visit("VmData", s.vm_data);
        visit("VmStk", s.vm_stk);
        visit("VmExe", s.vm_exe);
        visit("VmLib", s.vm_lib);
        visit("VmPTE", s.vm_pte);
        visit("VmPMD", s.vm_pmd);
        visit("VmSwap", s.vm_swap);
        visit("HugetlbPages", s.hugetlb_pages);
        visit("CoreDumping", s.core_dumping);
        visit("THP_enabled", s.thp_enabled);
        visit("untag_mask", s.untag_mask);
        visit("Threads", s.threads);
        visit("SigQ", s.sig_q);
        visit("SigPnd", s.sig_pnd);
        visit("ShdPnd", s.shd_pnd);
        visit("SigBlk", s.sig_blk);
        visit("SigIgn", s.sig_ign);
        visit("SigCgt", s.sig_cgt);
        visit("CapInh", s.cap_inh);
        visit("CapPrm", s.cap_prm);
        visit("CapEff", s.cap_eff);
        visit("CapBnd", s.cap_bnd);
        visit("CapAmb", s.cap_amb);
        visit("NoNewPrivs", s.no_new_privs);
        visit("Seccomp", s.seccomp);
        visit("Seccomp_filters", s.seccomp_filters);
        visit("Speculation_Store_Bypass", s.speculation_store_bypass);
        visit("SpeculationIndirectBranch", s.speculation_indirect_branch);
        visit("Cpus_allowed", s.cpus_allowed);
        visit("Cpus_allowed_list", s.cpus_allowed_list);
        visit("Mems_allowed", s.mems_allowed);
        visit("Mems_allowed_list", s.mems_allowed_list);
        visit("voluntary_ctxt_switches", s.voluntary_ctxt_switches);
        visit("nonvoluntary_ctxt_switches", s.nonvoluntary_ctxt_switches);
        visit("x86_Thread_features", s.x86_thread_features);
        visit("x86_Thread_features_locked", s.x86_thread_features_locked);
    }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<status> parse(std::string_view text) noexcept
    {
        result<status> decoded{in_place<status>};
        auto const in = text::read_fields(text::cursor{text}, decoded.assume_value());
        if (!in.ok()) decoded = in.failure(file);
        return decoded;
    }
};

} // namespace taskpeek::procfs
