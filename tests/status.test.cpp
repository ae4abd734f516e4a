// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/status.hpp>

#include <iterator>
#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::tests::check_every_beginning;
using tp::tests::check_every_damage;
using tp::tests::check_malformed;
using tp::tests::decode_error;
using tp::tests::decode_exactly;
using tp::tests::ends_with_a_line;
using tp::tests::gives;

namespace {

// Linux 6.18, x86-64: a process in a pid namespace of its own. Each number is another, so that no two keys can be mixed up.
constexpr auto linux_6_18 =
    "Name:\ta\\\\b\\nc\n"
    "Umask:\t0027\n"
    "State:\tS (sleeping)\n"
    "Tgid:\t4101\n"
    "Ngid:\t4102\n"
    "Pid:\t4103\n"
    "PPid:\t4104\n"
    "TracerPid:\t4105\n"
    "Uid:\t1001\t1002\t1003\t1004\n"
    "Gid:\t2001\t2002\t2003\t2004\n"
    "FDSize:\t256\n"
    "Groups:\t4 24 4294967295 \n"
    "NStgid:\t4101\t11\n"
    "NSpid:\t4103\t12\n"
    "NSpgid:\t4106\t13\n"
    "NSsid:\t4107\t14\n"
    "Kthread:\t0\n"
    "VmPeak:\t   18400 kB\n"
    "VmSize:\t   18401 kB\n"
    "VmLck:\t       2 kB\n"
    "VmPin:\t       3 kB\n"
    "VmHWM:\t   14676 kB\n"
    "VmRSS:\t   14677 kB\n"
    "RssAnon:\t    7612 kB\n"
    "RssFile:\t    7064 kB\n"
    "RssShmem:\t       1 kB\n"
    "VmData:\t    9400 kB\n"
    "VmStk:\t     132 kB\n"
    "VmExe:\t       4 kB\n"
    "VmLib:\t    4852 kB\n"
    "VmPTE:\t      72 kB\n"
    "VmSwap:\t       5 kB\n"
    "HugetlbPages:\t    2048 kB\n"
    "CoreDumping:\t0\n"
    "THP_enabled:\t1\n"
    "untag_mask:\t0xfffffffffffffffe\n"
    "Threads:\t9\n"
    "SigQ:\t6/96365\n"
    "SigPnd:\t0000000000000001\n"
    "ShdPnd:\t0000000000000002\n"
    "SigBlk:\t0000000000010000\n"
    "SigIgn:\t0000000001001000\n"
    "SigCgt:\t0000000100000442\n"
    "CapInh:\t0000000000000001\n"
    "CapPrm:\t000001fffeffffff\n"
    "CapEff:\t0000000000080000\n"
    "CapBnd:\t000001ffffffffff\n"
    "CapAmb:\t0000000000000400\n"
    "NoNewPrivs:\t1\n"
    "Seccomp:\t2\n"
    "Seccomp_filters:\t3\n"
    "Speculation_Store_Bypass:\tthread vulnerable\n"
    "SpeculationIndirectBranch:\tconditional enabled\n"
    "Cpus_allowed:\t3f\n"
    "Cpus_allowed_list:\t0-5\n"
    "Mems_allowed:\t00000000,00000003\n"
    "Mems_allowed_list:\t0-1\n"
    "voluntary_ctxt_switches:\t16\n"
    "nonvoluntary_ctxt_switches:\t4\n"
    "x86_Thread_features:\tshstk wrss \n"
    "x86_Thread_features_locked:\tshstk \n"sv;

constexpr pf::status s = pf::status::parse(linux_6_18).value();
static_assert(s.name == "a\\\\b\\nc");                                                       // Name
static_assert(s.umask == pf::file_mode_mask{027});                                           // Umask
static_assert(s.state == pf::task_state::sleeping);                                          // State
static_assert(s.tgid == tp::tgid{4101});                                                     // Tgid
static_assert(s.ngid == 4102);                                                               // Ngid
static_assert(s.pid == tp::tid{4103});                                                       // Pid
static_assert(s.ppid == tp::tgid{4104});                                                     // PPid
static_assert(s.tracer_pid == tp::tid{4105});                                                // TracerPid
static_assert(s.uid == pf::credentials<tp::uid>{tp::uid{1001}, tp::uid{1002}, tp::uid{1003}, tp::uid{1004}}); // Uid
static_assert(s.gid == pf::credentials<tp::gid>{tp::gid{2001}, tp::gid{2002}, tp::gid{2003}, tp::gid{2004}}); // Gid
static_assert(s.fd_size == 256u);                                                            // FDSize
static_assert(gives(*s.groups, {tp::gid{4}, tp::gid{24}, tp::gid{UINT32_MAX}}));             // Groups
static_assert(gives(*s.ns_tgid, {tp::tgid{4101}, tp::tgid{11}}));                            // NStgid
static_assert(gives(*s.ns_pid, {tp::tid{4103}, tp::tid{12}}));                               // NSpid
static_assert(gives(*s.ns_pgid, {tp::pgid{4106}, tp::pgid{13}}));                            // NSpgid
static_assert(gives(*s.ns_sid, {tp::sid{4107}, tp::sid{14}}));                               // NSsid
static_assert(s.kthread == false);                                                           // Kthread
static_assert(s.vm_peak == tp::kibibytes{18400});                                            // VmPeak
static_assert(s.vm_size == tp::kibibytes{18401});                                            // VmSize
static_assert(s.vm_lck == tp::kibibytes{2});                                                 // VmLck
static_assert(s.vm_pin == tp::kibibytes{3});                                                 // VmPin
static_assert(s.vm_hwm == tp::kibibytes{14676});                                             // VmHWM
static_assert(s.vm_rss == tp::kibibytes{14677});                                             // VmRSS
static_assert(s.rss_anon == tp::kibibytes{7612});                                            // RssAnon
static_assert(s.rss_file == tp::kibibytes{7064});                                            // RssFile
static_assert(s.rss_shmem == tp::kibibytes{1});                                              // RssShmem
static_assert(s.vm_data == tp::kibibytes{9400});                                             // VmData
static_assert(s.vm_stk == tp::kibibytes{132});                                               // VmStk
static_assert(s.vm_exe == tp::kibibytes{4});                                                 // VmExe
static_assert(s.vm_lib == tp::kibibytes{4852});                                              // VmLib
static_assert(s.vm_pte == tp::kibibytes{72});                                                // VmPTE
static_assert(!s.vm_pmd);                                                                    // VmPMD: 4.0 to 4.14, see below
static_assert(s.vm_swap == tp::kibibytes{5});                                                // VmSwap
static_assert(s.hugetlb_pages == tp::kibibytes{2048});                                       // HugetlbPages
static_assert(s.core_dumping == false);                                                      // CoreDumping
static_assert(s.thp_enabled == true);                                                        // THP_enabled
static_assert(s.untag_mask == pf::address_mask{0xfffffffffffffffe});                         // untag_mask
static_assert(s.threads == 9u);                                                              // Threads
static_assert(s.sig_q->queued == 6 && s.sig_q->limit.value() == tp::signal_count{96365});    // SigQ
static_assert(s.sig_pnd->has(1) && !s.sig_pnd->has(2));                                      // SigPnd
static_assert(s.shd_pnd->has(2) && !s.shd_pnd->has(1));                                      // ShdPnd
static_assert(s.sig_blk->has(17));                                                           // SigBlk
static_assert(s.sig_ign->has(13) && s.sig_ign->has(25));                                     // SigIgn
static_assert(s.sig_cgt->bits == 0x100000442);                                               // SigCgt
static_assert(s.cap_inh->has(pf::capability::chown));                                        // CapInh
static_assert(!s.cap_prm->has(pf::capability::sys_resource));                                // CapPrm
static_assert(s.cap_eff == pf::capability_set{1 << 19});                                     // CapEff
static_assert(s.cap_bnd->bits == 0x1ffffffffff);                                             // CapBnd
static_assert(s.cap_amb->has(pf::capability::net_bind_service));                             // CapAmb
static_assert(s.no_new_privs == true);                                                       // NoNewPrivs
static_assert(s.seccomp->name() == "filter");                                                // Seccomp
static_assert(s.seccomp_filters == 3u);                                                      // Seccomp_filters
static_assert(s.speculation_store_bypass == "thread vulnerable");                            // Speculation_Store_Bypass
static_assert(s.speculation_indirect_branch == "conditional enabled");                       // SpeculationIndirectBranch
static_assert(s.cpus_allowed->count() == 6 && s.cpus_allowed->has(5));                       // Cpus_allowed
static_assert(gives(*s.cpus_allowed_list, {pf::cpu_range{0, 5}}));                           // Cpus_allowed_list
static_assert(s.mems_allowed->count() == 2 && s.mems_allowed->has(1));                       // Mems_allowed
static_assert(gives(*s.mems_allowed_list, {pf::cpu_range{0, 1}}));                           // Mems_allowed_list
static_assert(s.voluntary_ctxt_switches == 16u);                                             // voluntary_ctxt_switches
static_assert(s.nonvoluntary_ctxt_switches == 4u);                                           // nonvoluntary_ctxt_switches
static_assert(s.x86_thread_features == "shstk wrss ", "never trimmed");                      // x86_Thread_features
static_assert(s.x86_thread_features_locked == "shstk ");                                     // x86_Thread_features_locked

// Linux 3.10: no NoNewPrivs, no Speculation, no NS*, ids printed as signed numbers.
constexpr auto linux_3_10 =
    "Name:\tbash\n"
    "State:\tx (dead)\n"
    "Tgid:\t100\n"
    "Pid:\t101\n"
    "PPid:\t1\n"
    "TracerPid:\t0\n"
    "Uid:\t-2\t1000\t-1\t0\n"
    "Gid:\t-2147483648\t100\t100\t100\n"
    "FDSize:\t256\n"
    "Groups:\t10 -2 100 \n"
    "VmPeak:\t  115420 kB\n"
    "VmSize:\t  115416 kB\n"
    "VmLck:\t       0 kB\n"
    "VmPin:\t       0 kB\n"
    "VmHWM:\t    1916 kB\n"
    "VmRSS:\t    1915 kB\n"
    "VmData:\t     316 kB\n"
    "VmStk:\t     136 kB\n"
    "VmExe:\t     884 kB\n"
    "VmLib:\t    2100 kB\n"
    "VmPTE:\t      56 kB\n"
    "VmSwap:\t       0 kB\n"
    "Threads:\t1\n"
    "SigQ:\t0/18446744073709551615\n"
    "SigPnd:\t0000000000000000\n"
    "ShdPnd:\t0000000000000000\n"
    "SigBlk:\t0000000000010000\n"
    "SigIgn:\t0000000000384004\n"
    "SigCgt:\t000000004b813efb\n"
    "CapInh:\t0000000000000000\n"
    "CapPrm:\t0000000000000000\n"
    "CapEff:\t0000000000000000\n"
    "CapBnd:\t0000001fffffffff\n"
    "Seccomp:\t0\n"
    "Cpus_allowed:\tf\n"
    "Cpus_allowed_list:\t0-3\n"
    "Mems_allowed:\t00000000,00000001\n"
    "Mems_allowed_list:\t0\n"
    "voluntary_ctxt_switches:\t150\n"
    "nonvoluntary_ctxt_switches:\t545\n"sv;

constexpr pf::status old = pf::status::parse(linux_3_10).value();
static_assert(old.state->letter == 'x' && old.state->name() == "dead");
static_assert(old.uid->real == tp::uid{4294967294} && old.uid->saved == tp::uid{UINT32_MAX} && old.gid->real == tp::gid{0x80000000});
static_assert(gives(*old.groups, {tp::gid{10}, tp::gid{4294967294}, tp::gid{100}}));
static_assert(old.sig_q->limit.is_unlimited());
static_assert(old.vm_rss == tp::kibibytes{1915} && old.nonvoluntary_ctxt_switches == 545u);
static_assert(!old.umask && !old.ngid && !old.ns_tgid && !old.ns_pid && !old.ns_pgid && !old.ns_sid);
static_assert(!old.kthread && !old.rss_anon && !old.rss_file && !old.rss_shmem);
static_assert(!old.hugetlb_pages && !old.core_dumping && !old.thp_enabled && !old.untag_mask);
static_assert(!old.cap_amb && !old.no_new_privs && !old.seccomp_filters);
static_assert(!old.speculation_store_bypass && !old.speculation_indirect_branch);
static_assert(!old.x86_thread_features && !old.x86_thread_features_locked);

// Linux 4.9 had a key that later went.
static_assert(pf::status::parse("VmPTE:\t      56 kB\nVmPMD:\t      12 kB\nVmSwap:\t       0 kB\n").value().vm_pmd == tp::kibibytes{12});

// Linux 6.1, x86-64.
constexpr auto kernel_thread_6_1 =
    "Name:\tkthreadd\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t2\nNgid:\t0\nPid:\t2\nPPid:\t0\nTracerPid:\t0\nUid:\t0\t0\t0\t0\n"
    "Gid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t \nNStgid:\t2\nNSpid:\t2\nNSpgid:\t0\nNSsid:\t0\nThreads:\t1\nSigQ:\t0/2846\n"
    "SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigIgn:\tffffffffffffffff\n"
    "SigCgt:\t0000000000000000\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n"
    "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n"
    "Speculation_Store_Bypass:\tnot vulnerable\nSpeculationIndirectBranch:\talways enabled\nCpus_allowed:\t1\nCpus_allowed_list:\t0\n"
    "Mems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t69\nnonvoluntary_ctxt_switches:\t1\n"sv;
constexpr pf::status kthreadd = pf::status::parse(kernel_thread_6_1).value();
static_assert(kthreadd.name == "kthreadd" && kthreadd.sig_ign->bits == UINT64_MAX && kthreadd.groups && kthreadd.groups->empty());
static_assert(!kthreadd.vm_size && !kthreadd.vm_rss && !kthreadd.core_dumping && !kthreadd.thp_enabled);
static_assert(kthreadd.nonvoluntary_ctxt_switches == 1u);

constexpr auto zombie_6_1 =
    "Name:\tspecimen\nState:\tZ (zombie)\nTgid:\t94\nNgid:\t0\nPid:\t94\nPPid:\t83\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"
    "FDSize:\t0\nGroups:\t \nNStgid:\t94\nNSpid:\t94\nNSpgid:\t0\nNSsid:\t0\nThreads:\t1\nSigQ:\t0/2846\nSigPnd:\t0000000000000000\n"
    "ShdPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000006\nSigCgt:\t0000000100000000\n"
    "CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n"
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\nSpeculation_Store_Bypass:\tnot vulnerable\n"
    "SpeculationIndirectBranch:\talways enabled\nCpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t00000000,00000001\n"
    "Mems_allowed_list:\t0\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t0\n"sv;
constexpr pf::status zombie = pf::status::parse(zombie_6_1).value();
static_assert(zombie.state == pf::task_state::zombie && zombie.ppid == tp::tgid{83} && zombie.fd_size == 0u);
static_assert(!zombie.umask && !zombie.vm_peak && !zombie.vm_swap && !zombie.untag_mask && zombie.voluntary_ctxt_switches == 1u);

} // namespace

TEST_CASE("status: a text cut within a line is truncated; behind one it is a text with fewer keys")
{
    for (auto const text : {linux_6_18, linux_3_10, kernel_thread_6_1, zombie_6_1})
        check_every_beginning<pf::status>(text, ends_with_a_line);
}

TEST_CASE("status: damage anywhere is survived, and errors stay within the text")
{
    check_every_damage<pf::status>(linux_6_18);
}

TEST_CASE("status: a name comes back byte for byte, escaped as the kernel does")
{
    for (auto const name : {""sv, " "sv, " a"sv, "\ta"sv, "  \t "sv, "a  b "sv, "a) R 1 (b"sv, "x:y\tz"sv,
                            "new\\nline"sv, "\\\\"sv, "\xff\xfe"sv, "Umask:\t0"sv, "\r"sv}) {
        auto const text = "Name:\t" + std::string{name} + "\nUmask:\t0022\n";
        CAPTURE(name);
        auto const decoded = pf::status::parse(text);
        REQUIRE(decoded);
        CHECK(decoded.value().name == name);
        CHECK(decoded.value().umask == pf::file_mode_mask{022});
    }
}

TEST_CASE("status: unknown keys, and lines without a colon, are skipped wherever they stand")
{
    for (std::size_t at = 0; at < linux_6_18.size(); ++at) {
        if (at != 0 && linux_6_18[at - 1] != '\n') continue;
        for (auto const line : {"Future:\t12 kB\n"sv, "no colon here\n"sv, "\n"sv, ":\n"sv, "VmRSSX:\t1 kB\n"sv, "VmRS:\t1 kB\n"sv, " VmRSS:\t1 kB\n"sv}) {
            auto text = std::string{linux_6_18};
            text.insert(at, line);
            auto const decoded = pf::status::parse(text);
            CAPTURE(at);
            CAPTURE(line);
            REQUIRE(decoded);
            CHECK(decoded.value().name == "a\\\\b\\nc");
            CHECK(decoded.value().vm_rss == tp::kibibytes{14677});
            CHECK(decoded.value().x86_thread_features_locked == "shstk ");
        }
    }
}

TEST_CASE("status: keys in another order are found, and what follows a value is passed over")
{
    auto const decoded = pf::status::parse("Threads:\t3 and more\nVmRSS:\t      8 kB (inexact)\nPid:\t7\nName:\tz\n");
    REQUIRE(decoded);
    CHECK(decoded.value().threads == 3u);
    CHECK(decoded.value().vm_rss == tp::kibibytes{8});
    CHECK(decoded.value().pid == tp::tid{7});
    CHECK(decoded.value().name == "z");
}

TEST_CASE("status: numbers at the limits of their types")
{
    auto const decoded = pf::status::parse(
        "Tgid:\t2147483647\nUid:\t4294967295\t0\t0\t0\nVmPeak:\t18446744073709551615 kB\nuntag_mask:\t0xffffffffffffffff\nThreads:\t4294967295\n"
        "SigQ:\t18446744073709551614/18446744073709551614\nCapEff:\tffffffffffffffff\nvoluntary_ctxt_switches:\t18446744073709551615\n");
    REQUIRE(decoded);
    auto const& most = decoded.value();
    CHECK(most.tgid->value == INT32_MAX);
    CHECK(most.uid->real.value == UINT32_MAX);
    CHECK(most.vm_peak->count == UINT64_MAX);
    CHECK(most.untag_mask->bits == UINT64_MAX);
    CHECK(most.threads == UINT32_MAX);
    CHECK(most.sig_q->queued == UINT64_MAX - 1);
    CHECK(most.sig_q->limit.value() == tp::signal_count{UINT64_MAX - 1});
    CHECK(most.cap_eff->bits == UINT64_MAX);
    CHECK(most.voluntary_ctxt_switches == UINT64_MAX);
}

TEST_CASE("status: a known key with a value of another form is malformed where that stands")
{
    check_malformed<pf::status>({
        {"Umask:\t9\n", 7},
        {"Umask:\t40000000000\n", 7},
        {"State:\t\n", 7},
        {"Tgid:\tx\n", 6},
        {"Tgid:\t\n", 6},
        {"Tgid:\t2147483648\n", 6},
        {"Uid:\t0\t0\t0\n", 10},
        {"Uid:\t0 0\t0\t0\n", 6},
        {"Uid:\t4294967296\t0\t0\t0\n", 5},
        {"Uid:\t-2147483649\t0\t0\t0\n", 5},
        {"Groups:\t1 x\n", 10},
        {"Groups:\t1;2\n", 9},
        {"NSpid:\t1\t2x\n", 10},
        {"VmRSS:\t 12 MB\n", 11},
        {"VmRSS:\t 12kB\n", 10},
        {"VmRSS:\t 18446744073709551616 kB\n", 27},
        {"VmRSS:\t -1 kB\n", 8},
        {"Kthread:\t2\n", 9},
        {"CoreDumping:\t\n", 13},
        {"untag_mask:\tffff\n", 12},
        {"untag_mask:\t0xffffffffffffffff0\n", 30},
        {"SigQ:\t1\n", 7},
        {"SigQ:\t1/x\n", 8},
        {"SigPnd:\tg\n", 8},
        {"CapEff:\t10000000000000000\n", 24},
        {"Cpus_allowed:\tff,\n", 17},
        {"Cpus_allowed_list:\t3-1\n", 22},
        {"VmRSS:\t 12 kBs\n", 13},
        {"Pid:\t12x\n", 7},
        {"NoNewPrivs:\t10\n", 13},
        {"SigPnd:\t0000000000000001x\n", 24},
        {"Name:\tfine\nThreads:\t-1\n", 20},
    });
}

TEST_CASE("status: 65,536 groups")
{
    std::string text = "Name:\tmany\nGroups:\t";
    for (int i = 0; i < 65536; ++i) text += std::to_string(4294901760 + static_cast<std::uint32_t>(i)) + ' ';
    text += "\nThreads:\t1\n";
    decode_exactly<pf::status>(text, [](auto const& decoded) {
        REQUIRE(decoded);
        CHECK(decoded.value().threads == 1u);
        std::uint32_t n = 0, wrong = 0;
        for (auto const group : *decoded.value().groups) wrong += group.value != 4294901760 + n++;
        CHECK(n == 65536);
        CHECK(wrong == 0);
    });
}

TEST_CASE("status: each key is listed once, in the kernel's order")
{
    auto rest = linux_6_18;
    std::size_t listed = 0;
    pf::status::each_field(s, [&](std::string_view key, auto const& field) {
        ++listed;
        if (key == "VmPMD") return;
        CAPTURE(key);
        CHECK(rest.substr(0, rest.find(':')) == key);
        CHECK(field.has_value());
        rest.remove_prefix(rest.find('\n') + 1);
    });
    CHECK(rest.empty());
    CHECK(listed == 62);
}
