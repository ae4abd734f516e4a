// SPDX-License-Identifier: BSL-1.0

/// \file
/// A random record, printed as the kernel prints it and decoded, is the same record; and no bytes whatsoever make a decoder read
/// beyond them or blame a byte that is not there. The printers follow the kernel's printf formats, not the decoders.
/// Seeded, so that each run tries the same; `RC_PARAMS="seed=7 max_success=100000"` tries others.

#include "kernel_text.hpp"

#include <taskpeek/procfs/auxv.hpp>
#include <taskpeek/procfs/cgroup.hpp>
#include <taskpeek/procfs/children.hpp>
#include <taskpeek/procfs/cmdline.hpp>
#include <taskpeek/procfs/comm.hpp>
#include <taskpeek/procfs/environ.hpp>
#include <taskpeek/procfs/fdinfo.hpp>
#include <taskpeek/procfs/io.hpp>
#include <taskpeek/procfs/limits.hpp>
#include <taskpeek/procfs/link.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/procfs/ns.hpp>
#include <taskpeek/procfs/oom_score.hpp>
#include <taskpeek/procfs/oom_score_adj.hpp>
#include <taskpeek/procfs/schedstat.hpp>
#include <taskpeek/procfs/smaps.hpp>
#include <taskpeek/procfs/smaps_rollup.hpp>
#include <taskpeek/procfs/stack.hpp>
#include <taskpeek/procfs/stat.hpp>
#include <taskpeek/procfs/statm.hpp>
#include <taskpeek/procfs/status.hpp>
#include <taskpeek/procfs/syscall.hpp>
#include <taskpeek/procfs/wchan.hpp>
#include <taskpeek/text/escapes.hpp>

#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rapidcheck.h>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace text = taskpeek::text;

using namespace std::string_view_literals;
using tp::tests::printed;
using tp::tests::ull;

namespace {

[[maybe_unused]] int const seeded = setenv("RC_PARAMS", "seed=1 max_success=200", 0);

// ---- random values, those at the ends of their types often

template <std::integral T>
[[nodiscard]] T any()
{
    if constexpr (std::same_as<T, bool>) {
        return *rc::gen::arbitrary<bool>();
    } else {
        using limits = std::numeric_limits<T>;
        return *rc::gen::weightedOneOf<T>({
            {3, rc::gen::arbitrary<T>()},
            {2, rc::gen::inRange<T>(limits::min(), limits::max())},
            {1, rc::gen::element<T>(T{0}, T{1}, limits::max(), static_cast<T>(limits::max() - 1), limits::min())},
        });
    }
}

[[nodiscard]] std::size_t below(std::size_t end) { return *rc::gen::inRange<std::size_t>(0, end); }

// Up to \p most bytes, those of \p favourites often, none of \p excluded.
[[nodiscard]] std::string any_bytes(std::size_t most, std::string_view favourites, std::string_view excluded = "")
{
    std::string bytes;
    for (auto left = below(most + 1); left > 0; --left) {
        auto const c = below(2) == 0 ? favourites[below(favourites.size())] : static_cast<char>(below(256));
        if (excluded.find(c) == std::string_view::npos) bytes += c;
    }
    return bytes;
}

// Keeps the texts that a record's views look into.
class memory {
public:
    [[nodiscard]] std::string_view keep(std::string s) { return texts_.emplace_back(std::move(s)); }

    template <std::integral T>
    void fill(T& v) { v = any<T>(); }
    template <class Tag, class Rep>
    void fill(tp::strong_id<Tag, Rep>& v) { v.value = any<Rep>(); }
    template <class Unit, class Rep>
    void fill(tp::quantity<Unit, Rep>& v) { v.count = any<Rep>(); }
    void fill(tp::address& v) { v.value = any<std::uint64_t>(); }
    void fill(tp::optional_address& v) { v = tp::optional_address{any<std::uint64_t>()}; }
    template <class Unit>
    void fill(tp::limit_value<Unit>& v) { v = tp::from_rlim<Unit>(any<std::uint64_t>()); }
    template <tp::resource R>
    void fill(tp::rlimit<R>& v) { fill(v.soft), fill(v.hard); }
    void fill(pf::task_state& v) { v.letter = "RSDTtXZPIKWx"[below(12)]; }
    void fill(pf::task_flags& v) { fill(v.bits); }
    void fill(pf::scheduling_policy& v) { fill(v.number); }
    void fill(pf::seccomp_mode& v) { fill(v.number); }
    void fill(pf::signal_set& v) { fill(v.bits); }
    void fill(pf::capability_set& v) { fill(v.bits); }
    void fill(pf::address_mask& v) { fill(v.bits); }
    void fill(pf::file_mode_mask& v) { v.bits = static_cast<std::uint32_t>(below(01000)); }
    void fill(pf::open_flags& v) { fill(v.bits); }
    void fill(pf::eventfd_counter& v) { fill(v.value); }
    void fill(pf::signal_queue& v) { fill(v.queued), fill(v.limit); }
    template <class Id>
    void fill(pf::credentials<Id>& v) { fill(v.real), fill(v.effective), fill(v.saved), fill(v.filesystem); }
    void fill(std::string_view& v) { v = keep(any_bytes(20, " \t:\\;", "\n")); }
    void fill(pf::cpu_mask& v)
    {
        auto mask = printed("%x", static_cast<unsigned>(below(256)));
        for (auto words = below(4); words > 0; --words) mask += printed(",%08x", any<std::uint32_t>());
        v = pf::cpu_mask{keep(mask)};
    }
    void fill(pf::cpu_list& v)
    {
        std::string list;
        std::size_t cpu = 0;
        for (auto ranges = below(5); ranges > 0; --ranges) {
            auto const first = cpu + below(10), last = first + below(10);
            list += (list.empty() ? "" : ",") + (first == last ? std::to_string(first) : std::to_string(first)
                + "-" + std::to_string(last));
            cpu = last + 2;
        }
        v = pf::cpu_list{keep(list)};
    }
    // Groups end in a blank each; the ids of namespaces have a tab before each, which is passed over with the key's.
    void fill(text::list<tp::gid>& v)
    {
        std::string list;
        for (auto n = below(10); n > 0; --n) list += std::to_string(any<std::uint32_t>()) + " ";
        v = text::list<tp::gid>{keep(list)};
    }
    template <class Id>
    void fill(text::list<Id>& v)
    {
        std::string list;
        for (auto n = below(4); n > 0; --n) list += std::to_string(any<std::int32_t>()) + (n > 1 ? "\t" : "");
        v = text::list<Id>{keep(list)};
    }
    void fill(pf::vm_flags& v)
    {
        std::string flags;
        for (auto n = below(12); n > 0; --n) flags += (flags.empty() ? "" : " ") + std::string{"rdwrexshmrmwmemsgd??sd", 2 * below(11), 2};
        v = pf::vm_flags{keep(flags)};
    }
    void fill(text::lines<pf::epoll_target>& v)
    {
        std::string lines;
        for (auto n = below(4); n > 0; --n) {
            lines += printed("tfd: %8d events: %8x data: %16llx ", any<std::int32_t>(), any<std::uint32_t>(),
                static_cast<ull>(any<std::uint64_t>()));
            if (below(2) == 0) lines += printed(" pos:%lli ino:%llx sdev:%x", static_cast<long long>(any<std::int64_t>()),
                static_cast<ull>(any<std::uint64_t>()), any<std::uint32_t>());
            lines += "\n";
        }
        v = text::lines<pf::epoll_target>{keep(lines)};
    }
    template <class T>
    void fill(std::optional<T>& v)
    {
        if (below(4) == 0) v.reset();
        else fill(v.emplace());
    }

    template <class Record>
    [[nodiscard]] Record any_record()
    {
        Record r{};
        Record::each_field(r, [&](std::string_view, auto& field) { fill(field); });
        return r;
    }

    [[nodiscard]] pf::vma any_vma()
    {
        pf::vma v;
        fill(v.start), fill(v.end);
        if (v.end < v.start) std::swap(v.start, v.end);
        v.perms = {any<bool>(), any<bool>(), any<bool>(), any<bool>()};
        if (below(3) == 0) return v; // anonymous memory, as most is
        fill(v.offset);
        v.dev = {static_cast<std::uint32_t>(below(1u << 12)), static_cast<std::uint32_t>(below(1u << 20))};
        fill(v.inode);
        v.path = keep(any_bytes(60, " /[]:\\012(deleted)", "\n"));
        return v;
    }

private:
    std::deque<std::string> texts_;
};

// ---- equality of records, field by field

template <class T>
[[nodiscard]] bool same(T const& a, T const& b)
{
    if constexpr (requires { a == b; }) return a == b;
    else return a.text() == b.text();
}
// The rows: their text may hold other lines between them.
template <class Row>
[[nodiscard]] bool same(text::lines<Row> const& a, text::lines<Row> const& b)
{
    auto j = b.begin();
    for (auto i = a.begin(); i != a.end(); ++i, ++j)
        if (j == b.end() || !(*i == *j)) return false;
    return j == b.end();
}
template <class T>
[[nodiscard]] bool same(std::optional<T> const& a, std::optional<T> const& b) { return a.has_value() == b.has_value() &&
    (!a || same(*a, *b)); }

template <class Record>
void assert_same(Record const& a, Record const& b)
{
    std::string differing; // no throwing in there: it is noexcept
    Record::each_field(a, [&](std::string_view name, auto const& field) {
        auto const offset = reinterpret_cast<char const*>(&field) - reinterpret_cast<char const*>(&a);
        auto const& other = *reinterpret_cast<decltype(&field)>(reinterpret_cast<char const*>(&b) + offset);
        if (!same(field, other)) differing += std::string{name} + " ";
    });
    if (!differing.empty()) RC_FAIL(differing);
}

// In memory of exactly its size, so that the address sanitizer sees any read behind it.
class exact {
public:
    explicit exact(std::string_view s) : size_{s.size()}, bytes_{std::make_unique<char[]>(s.size())} { s.copy(bytes_.get(), s.size()); }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

template <class Record>
void assert_decodes_to(Record const& wanted, std::string_view printed_text)
{
    exact const copy{printed_text};
    auto const decoded = Record::parse(copy.view());
    RC_LOG() << printed_text << "\n";
    if (!decoded) RC_FAIL("byte " + std::to_string(decoded.error().offset));
    assert_same(wanted, decoded.value());
}

// ---- the kernel's printf formats

template <class T>
[[nodiscard]] std::string number(T const& v)
{
    if constexpr (std::integral<T>) return std::to_string(v);
    else if constexpr (requires { v.count; }) return std::to_string(v.count);
    else if constexpr (requires { v.raw(); }) return std::to_string(v.raw());
    else return std::to_string(v.value);
}
template <class Unit>
[[nodiscard]] std::string number(tp::limit_value<Unit> const& v) { return std::to_string(tp::to_rlim(v)); }

// fs/proc/array.c, do_task_stat
[[nodiscard]] std::string print(pf::stat const& s)
{
    std::string out = number(s.pid) + " (" + std::string{s.comm} + ") " + s.state.letter;
    auto const put = [&out](auto const&... values) { ((out += " " + number(values)), ...); };
    put(s.ppid, s.pgrp, s.session, s.tty_nr, s.tpgid, s.flags.bits, s.minflt, s.cminflt, s.majflt, s.cmajflt, s.utime,
        s.stime, s.cutime, s.cstime);
    put(s.priority, s.nice, s.num_threads, s.itrealvalue, s.starttime, s.vsize, s.rss, s.rsslim, s.startcode, s.endcode, s.startstack);
    put(s.kstkesp, s.kstkeip, s.signal, s.blocked, s.sigignore, s.sigcatch, s.wchan, s.nswap, s.cnswap, s.exit_signal, s.processor);
    put(s.rt_priority, s.policy.number, s.delayacct_blkio_ticks, s.guest_time, s.cguest_time, s.start_data, s.end_data, s.start_brk);
    put(s.arg_start, s.arg_end, s.env_start, s.env_end, s.exit_code);
    return out + "\n";
}

// fs/proc/array.c, proc_pid_status; fs/proc/task_mmu.c, task_mem
[[nodiscard]] std::string print(pf::status const& s)
{
    std::string out;
    auto const line = [&out](char const* key, std::string const& value) { out += std::string{key} + ":\t" + value + "\n"; };
    auto const decimal = [&line](char const* key, auto const& field) { if (field) line(key, number(*field)); };
    auto const ids = [&line](char const* key, auto const& field) {
        if (field) line(key, number(field->real) + "\t" + number(field->effective) + "\t" + number(field->saved)
            + "\t" + number(field->filesystem));
    };
    auto const kb = [&line](char const* key, auto const& field) { if (field) line(key, printed("%8llu kB",
        static_cast<ull>(field->count))); };
    auto const set = [&line](char const* key, auto const& field) { if (field) line(key, printed("%016llx",
        static_cast<ull>(field->bits))); };
    auto const verbatim = [&line](char const* key, auto const& field) { if (field) line(key, std::string{field->text()}); };
    auto const words = [&line](char const* key, auto const& field) { if (field) line(key, std::string{*field}); };

    words("Name", s.name);
    if (s.umask) line("Umask", printed("%#04o", s.umask->bits));
    if (s.state) line("State", std::string{s.state->letter} + " (" + std::string{s.state->name()} + ")");
    decimal("Tgid", s.tgid);
    decimal("Ngid", s.ngid);
    decimal("Pid", s.pid);
    decimal("PPid", s.ppid);
    decimal("TracerPid", s.tracer_pid);
    ids("Uid", s.uid);
    ids("Gid", s.gid);
    decimal("FDSize", s.fd_size);
    verbatim("Groups", s.groups);
    verbatim("NStgid", s.ns_tgid);
    verbatim("NSpid", s.ns_pid);
    verbatim("NSpgid", s.ns_pgid);
    verbatim("NSsid", s.ns_sid);
    decimal("Kthread", s.kthread);
    kb("VmPeak", s.vm_peak);
    kb("VmSize", s.vm_size);
    kb("VmLck", s.vm_lck);
    kb("VmPin", s.vm_pin);
    kb("VmHWM", s.vm_hwm);
    kb("VmRSS", s.vm_rss);
    kb("RssAnon", s.rss_anon);
    kb("RssFile", s.rss_file);
    kb("RssShmem", s.rss_shmem);
    kb("VmData", s.vm_data);
    kb("VmStk", s.vm_stk);
    kb("VmExe", s.vm_exe);
    kb("VmLib", s.vm_lib);
    kb("VmPTE", s.vm_pte);
    kb("VmPMD", s.vm_pmd);
    kb("VmSwap", s.vm_swap);
    kb("HugetlbPages", s.hugetlb_pages);
    decimal("CoreDumping", s.core_dumping);
    decimal("THP_enabled", s.thp_enabled);
    if (s.untag_mask) line("untag_mask", s.untag_mask->bits == 0 ? "0x0" : printed("%#llx", static_cast<ull>(s.untag_mask->bits)));
    decimal("Threads", s.threads);
    if (s.sig_q) line("SigQ", number(s.sig_q->queued) + "/" + number(s.sig_q->limit));
    set("SigPnd", s.sig_pnd);
    set("ShdPnd", s.shd_pnd);
    set("SigBlk", s.sig_blk);
    set("SigIgn", s.sig_ign);
    set("SigCgt", s.sig_cgt);
    set("CapInh", s.cap_inh);
    set("CapPrm", s.cap_prm);
    set("CapEff", s.cap_eff);
    set("CapBnd", s.cap_bnd);
    set("CapAmb", s.cap_amb);
    decimal("NoNewPrivs", s.no_new_privs);
    if (s.seccomp) line("Seccomp", number(s.seccomp->number));
    decimal("Seccomp_filters", s.seccomp_filters);
    words("Speculation_Store_Bypass", s.speculation_store_bypass);
    words("SpeculationIndirectBranch", s.speculation_indirect_branch);
    verbatim("Cpus_allowed", s.cpus_allowed);
    verbatim("Cpus_allowed_list", s.cpus_allowed_list);
    verbatim("Mems_allowed", s.mems_allowed);
    verbatim("Mems_allowed_list", s.mems_allowed_list);
    decimal("voluntary_ctxt_switches", s.voluntary_ctxt_switches);
    decimal("nonvoluntary_ctxt_switches", s.nonvoluntary_ctxt_switches);
    words("x86_Thread_features", s.x86_thread_features);
    words("x86_Thread_features_locked", s.x86_thread_features_locked);
    return out;
}

// fs/proc/task_mmu.c, show_smaps_rollup: the keys of smaps, and Pss_* behind Pss_Dirty
[[nodiscard]] std::string print(pf::smaps_rollup const& s)
{
    auto out = tp::tests::maps_line(s.span);
    auto const put = [&out](char const* key, std::optional<tp::kibibytes> const& k) { if (k) out += tp::tests::memory_line(key, *k); };
    put("Rss", s.rss);
    put("Pss", s.pss);
    put("Pss_Dirty", s.pss_dirty);
    put("Pss_Anon", s.pss_anon);
    put("Pss_File", s.pss_file);
    put("Pss_Shmem", s.pss_shmem);
    put("Shared_Clean", s.shared_clean);
    put("Shared_Dirty", s.shared_dirty);
    put("Private_Clean", s.private_clean);
    put("Private_Dirty", s.private_dirty);
    put("Referenced", s.referenced);
    put("Anonymous", s.anonymous);
    put("KSM", s.ksm);
    put("LazyFree", s.lazy_free);
    put("AnonHugePages", s.anon_huge_pages);
    put("ShmemPmdMapped", s.shmem_pmd_mapped);
    put("FilePmdMapped", s.file_pmd_mapped);
    put("Shared_Hugetlb", s.shared_hugetlb);
    put("Private_Hugetlb", s.private_hugetlb);
    put("Swap", s.swap);
    put("SwapPss", s.swap_pss);
    put("Locked", s.locked);
    return out;
}

// fs/proc/base.c, proc_pid_limits
[[nodiscard]] std::string print(pf::limits const& l)
{
    auto out = printed("%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    auto const row = [&out](char const* name, auto const& limit, char const* unit) {
        if (!limit) return;
        auto const value = [](auto const& v) { return v.is_unlimited() ? std::string{"unlimited"} : number(v); };
        out += printed("%-25s %-20s %-20s ", name, value(limit->soft).c_str(), value(limit->hard).c_str());
        out += unit == nullptr ? "\n" : printed("%-10s\n", unit);
    };
    row("Max cpu time", l.max_cpu_time, "seconds");
    row("Max file size", l.max_file_size, "bytes");
    row("Max data size", l.max_data_size, "bytes");
    row("Max stack size", l.max_stack_size, "bytes");
    row("Max core file size", l.max_core_file_size, "bytes");
    row("Max resident set", l.max_resident_set, "bytes");
    row("Max processes", l.max_processes, "processes");
    row("Max open files", l.max_open_files, "files");
    row("Max locked memory", l.max_locked_memory, "bytes");
    row("Max address space", l.max_address_space, "bytes");
    row("Max file locks", l.max_file_locks, "locks");
    row("Max pending signals", l.max_pending_signals, "signals");
    row("Max msgqueue size", l.max_msgqueue_size, "bytes");
    row("Max nice priority", l.max_nice_priority, nullptr);
    row("Max realtime priority", l.max_realtime_priority, nullptr);
    row("Max realtime timeout", l.max_realtime_timeout, "us");
    return out;
}

// fs/proc/base.c, do_io_accounting
[[nodiscard]] std::string print(pf::io const& i)
{
    std::string out;
    auto const line = [&out](char const* key, auto const& field) { if (field) out += std::string{key} + ": " + number(*field) + "\n"; };
    line("rchar", i.rchar);
    line("wchar", i.wchar);
    line("syscr", i.syscr);
    line("syscw", i.syscw);
    line("read_bytes", i.read_bytes);
    line("write_bytes", i.write_bytes);
    line("cancelled_write_bytes", i.cancelled_write_bytes);
    return out;
}

// fs/proc/fd.c, seq_show; fs/eventfd.c, eventfd_show_fdinfo
[[nodiscard]] std::string print(pf::fdinfo const& f)
{
    std::string out;
    if (f.pos) out += printed("pos:\t%lli\n", static_cast<long long>(*f.pos));
    if (f.flags) out += printed("flags:\t0%o\n", f.flags->bits);
    if (f.mnt_id) out += printed("mnt_id:\t%i\n", *f.mnt_id);
    if (f.ino) out += printed("ino:\t%llu\n", static_cast<ull>(*f.ino));
    if (f.eventfd_count) out += printed("eventfd-count: %16llx\n", static_cast<ull>(f.eventfd_count->value));
    if (f.eventfd_id) out += printed("eventfd-id: %d\n", *f.eventfd_id);
    if (f.eventfd_semaphore) out += printed("eventfd-semaphore: %d\n", *f.eventfd_semaphore ? 1 : 0);
    return out + std::string{f.epoll_targets.text()};
}

// A text with some random edits.
[[nodiscard]] std::string damaged(std::string s)
{
    for (auto edits = 1 + below(4); edits > 0 && !s.empty(); --edits) {
        auto const at = below(s.size());
        switch (below(4)) {
        case 0: s[at] = static_cast<char>(below(256)); break;
        case 1: s.erase(at, 1 + below(8)); break;
        case 2: s.insert(at, any_bytes(8, "\n :-0123456789abcdef")); break;
        default: s.resize(at); break;
        }
    }
    return s;
}

// Whatever the text, an error lies in it and names the file.
template <class Record>
void assert_survives(std::string const& s)
{
    exact const copy{s};
    auto const decoded = Record::parse(copy.view());
    RC_LOG() << "bytes: " << s << "\n";
    if (decoded) return;
    RC_ASSERT(decoded.error().file == Record::file);
    RC_ASSERT(decoded.error().offset <= s.size());
    RC_ASSERT((decoded.error().code != tp::errc::truncated || decoded.error().offset == s.size()));
}
template <class Table>
void assert_table_survives(std::string const& s)
{
    exact const copy{s};
    Table table{copy.view()};
    std::size_t rows = 0;
    for (auto const& row : table) {
        (void)row;
        RC_ASSERT(++rows <= s.size());
    }
    if (table.status()) return;
    RC_ASSERT(table.status().error().offset <= s.size());
    RC_ASSERT((table.status().error().code != tp::errc::truncated || table.status().error().offset == s.size()));
}

template <class Record>
void all_comes_back()
{
    memory m;
    auto const record = m.any_record<Record>();
    assert_decodes_to(record, print(record));
    assert_survives<Record>(damaged(print(record)));
}

} // namespace

TEST_CASE("properties: stat")
{
    CHECK(rc::check([] {
        memory m;
        auto s = m.any_record<pf::stat>();
        s.comm = m.keep(any_bytes(63, ")( \n\tR"));
        assert_decodes_to(s, print(s));
        assert_survives<pf::stat>(damaged(print(s)));
    }));
}

TEST_CASE("properties: status")
{
    CHECK(rc::check([] {
        memory m;
        auto s = m.any_record<pf::status>();
        auto const comm = any_bytes(63, "\\\n n\t", "\0"sv);
        std::string escaped; // lib/string_helpers.c: "\n\\"
        for (char const c : comm) escaped += c == '\n' ? std::string{"\\n"} : c == '\\' ? std::string{"\\\\"} : std::string{c};
        s.name = escaped;
        assert_decodes_to(s, print(s));
        char raw[128];
        auto const name = text::unescape_name(*s.name, raw);
        RC_ASSERT(name.text == comm);
        assert_survives<pf::status>(damaged(print(s)));
    }));
}

TEST_CASE("properties: maps")
{
    CHECK(rc::check([] {
        memory m;
        std::vector<pf::vma> lines;
        std::string printed_text;
        for (auto n = below(6); n > 0; --n) {
            lines.push_back(m.any_vma());
            if (lines.back().path.starts_with(' ') && lines.back().path.find_first_not_of(' ') == std::string_view::npos)
                lines.back().path = "";
            printed_text += tp::tests::maps_line(lines.back());
        }
        exact const copy{printed_text};
        RC_LOG() << printed_text;
        pf::maps table{copy.view()};
        std::size_t n = 0;
        for (auto const& v : table) {
            RC_ASSERT(n < lines.size());
            RC_ASSERT(tp::tests::same(v, lines[n]));
            ++n;
        }
        RC_ASSERT(n == lines.size());
        RC_ASSERT(table.status().has_value());
        assert_table_survives<pf::maps>(damaged(printed_text));
    }));
}

TEST_CASE("properties: a newline in a path comes back, and is called ambiguous")
{
    CHECK(rc::check([] {
        auto const path = "/" + any_bytes(40, "\n\\ 2");
        auto const shown = tp::tests::mangled(path);
        char raw[256];
        auto const undone = text::unescape_path(shown, raw);
        RC_PRE(path.find("\\012") == std::string::npos);
        RC_ASSERT(undone.text == path);
        RC_ASSERT(undone.ambiguous == (path.find('\n') != std::string::npos));
    }));
}

TEST_CASE("properties: smaps")
{
    CHECK(rc::check([] {
        memory m;
        std::vector<pf::smap> entries;
        std::string printed_text;
        for (auto n = below(5); n > 0; --n) {
            entries.push_back(m.any_record<pf::smap>());
            entries.back().mapping = m.any_vma();
            entries.back().mapping.path = m.keep("/" + std::string{entries.back().mapping.path});
            printed_text += tp::tests::smaps_entry(entries.back(), any<bool>());
        }
        exact const copy{printed_text};
        RC_LOG() << printed_text;
        pf::smaps table{copy.view()};
        std::size_t n = 0;
        for (auto const& s : table) {
            RC_ASSERT(n < entries.size());
            RC_ASSERT(tp::tests::same(s.mapping, entries[n].mapping));
            assert_same(s, entries[n]);
            ++n;
        }
        RC_ASSERT(n == entries.size());
        RC_ASSERT(table.status().has_value());
        assert_table_survives<pf::smaps>(damaged(printed_text));
    }));
}

TEST_CASE("properties: smaps_rollup")
{
    CHECK(rc::check([] {
        memory m;
        auto s = m.any_record<pf::smaps_rollup>();
        s.span = m.any_vma();
        s.span.path = "[rollup]";
        assert_decodes_to(s, print(s));
        assert_survives<pf::smaps_rollup>(damaged(print(s)));
    }));
}

TEST_CASE("properties: limits") { CHECK(rc::check(all_comes_back<pf::limits>)); }
TEST_CASE("properties: io") { CHECK(rc::check(all_comes_back<pf::io>)); }
TEST_CASE("properties: fdinfo") { CHECK(rc::check(all_comes_back<pf::fdinfo>)); }

TEST_CASE("properties: statm, schedstat, oom_score, oom_score_adj")
{
    CHECK(rc::check([] {
        memory m;
        auto const s = m.any_record<pf::statm>();
        assert_decodes_to(s, printed("%llu %llu %llu %llu %llu %llu %llu\n", static_cast<ull>(s.size.count),
            static_cast<ull>(s.resident.count),
                                     static_cast<ull>(s.shared.count), static_cast<ull>(s.text.count), static_cast<ull>(s.lib.count),
                                     static_cast<ull>(s.data.count), static_cast<ull>(s.dt.count)));

        pf::schedstat t;
        m.fill(t.sum_exec_runtime.emplace()), m.fill(t.run_delay.emplace()), m.fill(t.pcount.emplace());
        auto const line = printed("%llu %llu %llu\n", static_cast<ull>(t.sum_exec_runtime->count),
            static_cast<ull>(t.run_delay->count), static_cast<ull>(*t.pcount));
        assert_decodes_to(line == "0 0 0\n" ? pf::schedstat{} : t, line);
        assert_survives<pf::schedstat>(damaged(line));

        auto const score = m.any_record<pf::oom_score>();
        assert_decodes_to(score, printed("%llu\n", static_cast<ull>(score.value)));
        auto const adjustment = m.any_record<pf::oom_score_adj>();
        assert_decodes_to(adjustment, printed("%d\n", adjustment.value));
    }));
}

TEST_CASE("properties: syscall")
{
    CHECK(rc::check([] {
        memory m;
        pf::syscall s;
        std::string line = "running\n";
        auto const sp = any<std::uint64_t>() | 2, pc = any<std::uint64_t>();
        switch (below(4)) {
        case 0: break;
        case 1:
            line = printed("-1 0x%llx 0x%llx\n", static_cast<ull>(sp), static_cast<ull>(pc));
            s.kind = pf::syscall::form::outside;
            break;
        case 2:
            line = "0 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n";
            s.kind = pf::syscall::form::no_user_registers;
            break;
        default:
            s.kind = pf::syscall::form::inside;
            s.nr = static_cast<std::int64_t>(below(1000));
            line = std::to_string(*s.nr);
            s.args.emplace();
            for (auto& arg : s.args->values) {
                m.fill(arg);
                line += printed(" 0x%llx", static_cast<ull>(arg));
            }
            line += printed(" 0x%llx 0x%llx\n", static_cast<ull>(sp), static_cast<ull>(pc));
        }
        if (s.kind == pf::syscall::form::inside || s.kind == pf::syscall::form::outside) {
            s.sp = tp::address{sp};
            s.pc = tp::address{pc};
        }
        assert_decodes_to(s, line);
        RC_ASSERT(pf::syscall::parse(line).value().kind == s.kind);
        assert_survives<pf::syscall>(damaged(line));
    }));
}

TEST_CASE("properties: stack")
{
    CHECK(rc::check([] {
        memory m;
        std::vector<pf::kernel_frame> frames;
        std::string lines;
        auto const word = [] {
            std::string s{"abcXYZ_"[below(7)]};
            for (auto n = below(30); n > 0; --n) s += "abcXYZ_.$0189"[below(13)];
            return s;
        };
        for (auto n = below(10); n > 0; --n) {
            auto& f = frames.emplace_back();
            bool const told = below(3) == 0; // up to 4.14
            f.pc = tp::optional_address{told ? any<std::uint64_t>() : 0};
            f.symbol = m.keep(word());
            m.fill(f.offset), m.fill(f.size);
            f.reliable = below(4) != 0;
            lines += (told ? printed("[<%016llx>] ", static_cast<ull>(f.pc.raw())) : "[<0>] ") + (f.reliable ? "" : "? ")
                + std::string{f.symbol} +
                     printed("+0x%llx/0x%llx", static_cast<ull>(f.offset.count), static_cast<ull>(f.size.count));
            if (below(3) == 0) lines += " [" + std::string{f.module = m.keep(word())} + "]";
            lines += "\n";
        }
        exact const copy{lines};
        RC_LOG() << lines;
        auto const decoded = pf::stack::parse(copy.view());
        RC_ASSERT(decoded.has_value());
        std::size_t n = 0;
        for (auto const frame : decoded.value().frames) {
            RC_ASSERT(n < frames.size());
            RC_ASSERT((frame == frames[n]));
            ++n;
        }
        RC_ASSERT(n == frames.size());
        assert_survives<pf::stack>(damaged(lines));
    }));
}

TEST_CASE("properties: cmdline and environ")
{
    CHECK(rc::check([] {
        std::vector<std::string> strings;
        std::string whole;
        for (auto n = below(10); n > 0; --n) whole += strings.emplace_back(any_bytes(12, "= \n", "\0"sv)) + '\0';
        exact const copy{whole};
        auto const arguments = pf::cmdline::parse(copy.view());
        auto const environment = pf::environ::parse(copy.view());
        RC_ASSERT(arguments.has_value() && environment.has_value());
        RC_ASSERT(arguments.value().arguments.count() == strings.size());
        RC_ASSERT(arguments.value().ends_with_nul() == !strings.empty());
        std::size_t n = 0;
        for (auto const argument : arguments.value().arguments) RC_ASSERT(argument == strings[n++]);
        n = 0;
        for (auto const entry : environment.value().entries) {
            RC_ASSERT(entry.text == strings[n++]);
            auto joined = std::string{entry.name()};
            if (entry.value()) joined += "=" + std::string{*entry.value()};
            RC_ASSERT(joined == entry.text);
        }
        RC_ASSERT(n == strings.size());
    }));
}

TEST_CASE("properties: auxv, of both word sizes")
{
    CHECK(rc::check([] {
        std::size_t const word_size = any<bool>() ? 8 : 4;
        std::vector<pf::auxv_entry> entries;
        std::string bytes;
        auto const word = [&](std::uint64_t value) {
            if (word_size == 8) {
                bytes.append(reinterpret_cast<char const*>(&value), sizeof value);
            } else {
                auto const narrow = static_cast<std::uint32_t>(value);
                bytes.append(reinterpret_cast<char const*>(&narrow), sizeof narrow);
            }
        };
        auto const any_word = [&] { return word_size == 8 ? any<std::uint64_t>() : any<std::uint32_t>(); };
        auto const count = below(12);
        auto const phent_at = below(count + 1);
        for (std::size_t i = 0; i <= count; ++i) {
            std::uint64_t key = 5 + below(50), value = any_word();
            if (i == phent_at) {
                key = static_cast<std::uint64_t>(pf::auxv_key::phent);
                value = word_size == 8 ? 56 : 32;
            }
            entries.push_back({pf::auxv_key{key}, value});
            word(key), word(value);
        }
        word(0), word(0);
        bytes += std::string(below(3) * 2 * word_size, '\0'); // a 64-bit kernel pads
        exact const copy{bytes};
        auto const decoded = pf::auxv::parse(copy.view());
        RC_ASSERT(decoded.has_value());
        RC_ASSERT(decoded.value().word_size() == word_size);
        std::size_t n = 0;
        for (auto const entry : decoded.value().entries) {
            RC_ASSERT(n < entries.size());
            RC_ASSERT((entry == entries[n]));
            ++n;
        }
        RC_ASSERT(n == entries.size());

        exact const cut{damaged(bytes)};
        for (auto const& broken : {pf::auxv::parse(cut.view()), pf::auxv::parse(cut.view(), 8), pf::auxv::parse(cut.view(), 4)}) {
            if (!broken) RC_ASSERT(broken.error().offset <= cut.view().size());
            else for (auto const entry : broken.value().entries) RC_ASSERT((entry.key != pf::auxv_key::null));
        }
    }));
}

TEST_CASE("properties: cgroup")
{
    CHECK(rc::check([] {
        memory m;
        std::vector<pf::cgroup_membership> wanted;
        std::string lines;
        for (auto n = below(8); n > 0; --n) {
            auto& c = wanted.emplace_back();
            m.fill(c.hierarchy_id);
            c.controllers = m.keep(any_bytes(20, ",=cpu", "\n:"));
            c.path = m.keep("/" + any_bytes(30, "/: .", "\n"));
            lines += printed("%u", c.hierarchy_id) + ":" + std::string{c.controllers} + ":" + std::string{c.path} + "\n";
        }
        exact const copy{lines};
        auto const decoded = pf::cgroup::parse(copy.view());
        RC_LOG() << lines;
        RC_ASSERT(decoded.has_value());
        std::size_t n = 0;
        for (auto const membership : decoded.value().memberships) {
            RC_ASSERT(n < wanted.size());
            RC_ASSERT((membership == wanted[n]));
            ++n;
        }
        RC_ASSERT(n == wanted.size());
        assert_survives<pf::cgroup>(damaged(lines));
    }));
}

TEST_CASE("properties: children, ns, comm, links")
{
    CHECK(rc::check([] {
        memory m;
        std::vector<tp::tgid> wanted;
        std::string line;
        for (auto n = below(20); n > 0; --n) {
            auto const id = static_cast<std::int32_t>(1 + below(4194304));
            wanted.emplace_back(id);
            line += printed("%d ", id);
        }
        auto const children = pf::children::parse(line);
        RC_ASSERT(children.has_value());
        std::size_t n = 0;
        for (auto const id : children.value().ids) RC_ASSERT((n < wanted.size() && id == wanted[n++]));
        RC_ASSERT(n == wanted.size());
        assert_survives<pf::children>(damaged(line));

        pf::ns ns;
        ns.type = pf::namespace_links[below(std::size(pf::namespace_links))];
        m.fill(ns.inode);
        auto const link = std::string{ns.type} + printed(":[%llu]", static_cast<ull>(ns.inode));
        assert_decodes_to(ns, link);
        assert_survives<pf::ns>(damaged(link));

        pf::comm comm;
        comm.name = m.keep(any_bytes(63, "\n\\ "));
        assert_decodes_to(comm, std::string{comm.name} + "\n");

        auto const target = "/" + any_bytes(60, " (deleted)/\n");
        assert_decodes_to(pf::exe{target}, target);
    }));
}

TEST_CASE("properties: random bytes break no decoder")
{
    CHECK(rc::check([] {
        auto const bytes = any_bytes(300, "\n\n  \t:-0123456789abcdefx/[]()+kBVmRs,=\0"sv);
        assert_survives<pf::stat>(bytes);
        assert_survives<pf::statm>(bytes);
        assert_survives<pf::status>(bytes);
        assert_survives<pf::smaps_rollup>(bytes);
        assert_survives<pf::limits>(bytes);
        assert_survives<pf::io>(bytes);
        assert_survives<pf::schedstat>(bytes);
        assert_survives<pf::syscall>(bytes);
        assert_survives<pf::stack>(bytes);
        assert_survives<pf::cgroup>(bytes);
        assert_survives<pf::children>(bytes);
        assert_survives<pf::ns>(bytes);
        assert_survives<pf::fdinfo>(bytes);
        assert_survives<pf::comm>(bytes);
        assert_survives<pf::wchan>(bytes);
        assert_survives<pf::oom_score>(bytes);
        assert_survives<pf::oom_score_adj>(bytes);
        assert_survives<pf::vma>(bytes);
        assert_table_survives<pf::maps>(bytes);
        assert_table_survives<pf::smaps>(bytes);
    }));
}
