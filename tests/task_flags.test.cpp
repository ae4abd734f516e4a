// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/task_flags.hpp>

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
        {pf::task_flag::superpriv, 0x00000100, "PF_SUPERPRIV"},
        {pf::task_flag::dumpcore, 0x00000200, "PF_DUMPCORE"},
        {pf::task_flag::signaled, 0x00000400, "PF_SIGNALED"},
        {pf::task_flag::memalloc, 0x00000800, "PF_MEMALLOC"},
        {pf::task_flag::kthread, 0x00200000, "PF_KTHREAD"},
        {pf::task_flag::randomize, 0x00400000, "PF_RANDOMIZE"},
        {pf::task_flag::no_setaffinity, 0x04000000, "PF_NO_SETAFFINITY"},
    };
    std::uint32_t all = 0;
    for (auto const& [flag, bit, name] : cases) {
        CHECK(name_of(flag) == name);
        CHECK(pf::task_flags{bit}.has(flag));
        CHECK_FALSE(pf::task_flags{~bit}.has(flag));
        all |= bit;
    }
    CHECK(all == 0x04600f64);
    CHECK(name_of(static_cast<pf::task_flag>(0x80000000)) == "");
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
