// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/task_flags.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

[[nodiscard]] constexpr pf::task_flags read(std::string_view text)
{
    tp::text::cursor in{text};
    pf::task_flags flags;
    read_value(in, flags);
    return flags;
}

// Of Linux 6.1: kthreadd, a process, a zombie.
constexpr auto kthreadd = read("2129984");
static_assert(kthreadd.has(pf::task_flag::kthread) && kthreadd.has(pf::task_flag::forknoexec) && !kthreadd.has(pf::task_flag::randomize));
constexpr auto process = read("4194304");
static_assert(process.has(pf::task_flag::randomize) && !process.has(pf::task_flag::kthread) && !process.has(pf::task_flag::exiting));
constexpr auto zombie = read("4227148");
static_assert(zombie.has(pf::task_flag::exiting) && zombie.has(pf::task_flag::forknoexec));
static_assert(read("4294967295").bits == UINT32_MAX);

} // namespace

TEST_CASE("task_flags: each flag has its bit and its name in the kernel")
{
    // include/linux/sched.h
    struct {
        pf::task_flag flag;
        std::uint32_t bit;
        std::string_view name;
    } const cases[] = {
        {pf::task_flag::exiting, 0x00000004, "PF_EXITING"},
        {pf::task_flag::wq_worker, 0x00000020, "PF_WQ_WORKER"},
        {pf::task_flag::forknoexec, 0x00000040, "PF_FORKNOEXEC"},
        {pf::task_flag::mce_process, 0x00000080, "PF_MCE_PROCESS"},
        {pf::task_flag::superpriv, 0x00000100, "PF_SUPERPRIV"},
        {pf::task_flag::dumpcore, 0x00000200, "PF_DUMPCORE"},
        {pf::task_flag::signaled, 0x00000400, "PF_SIGNALED"},
        {pf::task_flag::memalloc, 0x00000800, "PF_MEMALLOC"},
        {pf::task_flag::nproc_exceeded, 0x00001000, "PF_NPROC_EXCEEDED"},
        {pf::task_flag::used_math, 0x00002000, "PF_USED_MATH"},
        {pf::task_flag::nofreeze, 0x00008000, "PF_NOFREEZE"},
        {pf::task_flag::memalloc_noio, 0x00080000, "PF_MEMALLOC_NOIO"},
        {pf::task_flag::kthread, 0x00200000, "PF_KTHREAD"},
        {pf::task_flag::randomize, 0x00400000, "PF_RANDOMIZE"},
        {pf::task_flag::no_setaffinity, 0x04000000, "PF_NO_SETAFFINITY"},
        {pf::task_flag::mce_early, 0x08000000, "PF_MCE_EARLY"},
        {pf::task_flag::suspend_task, 0x80000000, "PF_SUSPEND_TASK"},
    };
    std::uint32_t all = 0;
    for (auto const& [flag, bit, name] : cases) {
        CHECK(name_of(flag) == name);
        CHECK(pf::task_flags{bit}.has(flag));
        CHECK_FALSE(pf::task_flags{~bit}.has(flag));
        all |= bit;
    }
    CHECK(all == 0x8c68bfe4);
    CHECK(name_of(static_cast<pf::task_flag>(0)) == "");
}

TEST_CASE("task_flags: a bit that has meant one thing and another is kept, and has no name")
{
    struct {
        std::uint32_t bit;
        std::string_view one_of_its_names;
    } const cases[] = {
        {0x00100000, "PF_LESS_THROTTLE"},
        {0x00000010, "PF_VCPU"},
        {0x00000001, "PF_VCPU"},
        {0x00000002, "PF_IDLE"},
        {0x00000008, "PF_EXITPIDONE"},
        {0x00000008, "PF_POSTCOREDUMP"},
        {0x20000000, "PF_IO_WORKER"},
        {0x00000010, "PF_IO_WORKER"},
        {0x00004000, "PF_USED_ASYNC"},
        {0x00004000, "PF_USER_WORKER"},
        {0x00010000, "PF_FROZEN"},
        {0x00010000, "PF_KCOMPACTD"},
        {0x00020000, "PF_FSTRANS"},
        {0x00040000, "PF_KSWAPD"},
        {0x00020000, "PF_KSWAPD"},
        {0x00040000, "PF_MEMALLOC_NOFS"},
        {0x00800000, "PF_SWAPWRITE"},
        {0x00800000, "PF_NO_NOTIFY_SIGNAL"},
        {0x01000000, "PF_SPREAD_PAGE"},
        {0x01000000, "PF_MEMSTALL"},
        {0x02000000, "PF_SPREAD_SLAB"},
        {0x02000000, "PF_UMH"},
        {0x10000000, "PF_MEMPOLICY"},
        {0x10000000, "PF_MEMALLOC_NOCMA"},
        {0x20000000, "PF_MUTEX_TESTER"},
        {0x20000000, "PF_BLOCK_TS"},
        {0x40000000, "PF_FREEZER_SKIP"},
    };
    for (auto const& one : cases) { // no bindings: clang 14 cannot capture them
        CAPTURE(one.one_of_its_names);
        auto const flags = read(std::to_string(one.bit) + " ");
        CHECK(flags.bits == one.bit);
        CHECK(name_of(static_cast<pf::task_flag>(one.bit)) == "");
    }
}

TEST_CASE("task_flags: a number past 32 bits is an error")
{
    tp::text::cursor in{"4294967296 "};
    pf::task_flags flags;
    read_value(in, flags);
    CHECK_FALSE(in.ok());
    CHECK(in.failure(tp::kernel_file::stat).code == tp::errc::malformed);
    CHECK(in.failure(tp::kernel_file::stat).offset == 0);
}
