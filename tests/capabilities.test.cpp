// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/capabilities.hpp>

#include <iterator>
#include <string_view>

#include <linux/capability.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

[[nodiscard]] constexpr pf::capability_set read(std::string_view text)
{
    tp::text::cursor in{text};
    pf::capability_set set;
    read_value(in, set);
    return set;
}

static_assert(read("0000000000000000").empty());
static_assert(read("000001ffffffffff").has(pf::capability::chown) && read("000001ffffffffff").has(pf::capability::checkpoint_restore));
static_assert(read("0000000000080000").has(pf::capability::sys_ptrace) && !read("0000000000080000").has(pf::capability::sys_admin));
static_assert([] {
    unsigned sum = 0;
    for (auto const cap : read("8000000000200001")) sum = sum * 100 + static_cast<unsigned>(cap);
    return sum;
}() == 2163, "chown, sys_admin, and 63, which has no name here");
static_assert(!read("ffffffffffffffff").has(static_cast<pf::capability>(64)));
static_assert(read("ffffffffffffffff").bits == UINT64_MAX, "bits of kernels to come are kept");

} // namespace

TEST_CASE("capabilities: each has the number and the name of linux/capability.h")
{
#define TASKPEEK_CAPABILITY(name, macro) {pf::capability::name, macro, #macro}
    struct {
        pf::capability cap;
        unsigned number;
        std::string_view name;
    } const cases[] = {
        TASKPEEK_CAPABILITY(chown, CAP_CHOWN), TASKPEEK_CAPABILITY(dac_override, CAP_DAC_OVERRIDE),
        TASKPEEK_CAPABILITY(dac_read_search, CAP_DAC_READ_SEARCH), TASKPEEK_CAPABILITY(fowner, CAP_FOWNER),
        TASKPEEK_CAPABILITY(fsetid, CAP_FSETID), TASKPEEK_CAPABILITY(kill, CAP_KILL), TASKPEEK_CAPABILITY(setgid, CAP_SETGID),
        TASKPEEK_CAPABILITY(setuid, CAP_SETUID), TASKPEEK_CAPABILITY(setpcap, CAP_SETPCAP),
        TASKPEEK_CAPABILITY(linux_immutable, CAP_LINUX_IMMUTABLE), TASKPEEK_CAPABILITY(net_bind_service, CAP_NET_BIND_SERVICE),
        TASKPEEK_CAPABILITY(net_broadcast, CAP_NET_BROADCAST), TASKPEEK_CAPABILITY(net_admin, CAP_NET_ADMIN),
        TASKPEEK_CAPABILITY(net_raw, CAP_NET_RAW), TASKPEEK_CAPABILITY(ipc_lock, CAP_IPC_LOCK),
        TASKPEEK_CAPABILITY(ipc_owner, CAP_IPC_OWNER), TASKPEEK_CAPABILITY(sys_module, CAP_SYS_MODULE),
        TASKPEEK_CAPABILITY(sys_rawio, CAP_SYS_RAWIO), TASKPEEK_CAPABILITY(sys_chroot, CAP_SYS_CHROOT),
        TASKPEEK_CAPABILITY(sys_ptrace, CAP_SYS_PTRACE), TASKPEEK_CAPABILITY(sys_pacct, CAP_SYS_PACCT),
        TASKPEEK_CAPABILITY(sys_admin, CAP_SYS_ADMIN), TASKPEEK_CAPABILITY(sys_boot, CAP_SYS_BOOT),
        TASKPEEK_CAPABILITY(sys_nice, CAP_SYS_NICE), TASKPEEK_CAPABILITY(sys_resource, CAP_SYS_RESOURCE),
        TASKPEEK_CAPABILITY(sys_time, CAP_SYS_TIME), TASKPEEK_CAPABILITY(sys_tty_config, CAP_SYS_TTY_CONFIG),
        TASKPEEK_CAPABILITY(mknod, CAP_MKNOD), TASKPEEK_CAPABILITY(lease, CAP_LEASE), TASKPEEK_CAPABILITY(audit_write, CAP_AUDIT_WRITE),
        TASKPEEK_CAPABILITY(audit_control, CAP_AUDIT_CONTROL), TASKPEEK_CAPABILITY(setfcap, CAP_SETFCAP),
        TASKPEEK_CAPABILITY(mac_override, CAP_MAC_OVERRIDE), TASKPEEK_CAPABILITY(mac_admin, CAP_MAC_ADMIN),
        TASKPEEK_CAPABILITY(syslog, CAP_SYSLOG), TASKPEEK_CAPABILITY(wake_alarm, CAP_WAKE_ALARM),
        TASKPEEK_CAPABILITY(block_suspend, CAP_BLOCK_SUSPEND), TASKPEEK_CAPABILITY(audit_read, CAP_AUDIT_READ),
        TASKPEEK_CAPABILITY(perfmon, CAP_PERFMON), TASKPEEK_CAPABILITY(bpf, CAP_BPF),
        TASKPEEK_CAPABILITY(checkpoint_restore, CAP_CHECKPOINT_RESTORE),
    };
#undef TASKPEEK_CAPABILITY
    CHECK(std::size(cases) == CAP_LAST_CAP + 1);
    for (auto const& [cap, number, name] : cases) {
        CHECK(static_cast<unsigned>(cap) == number);
        CHECK(name_of(cap) == name);
        CHECK(pf::capability_set{std::uint64_t{1} << number}.has(cap));
        CHECK_FALSE(pf::capability_set{~(std::uint64_t{1} << number)}.has(cap));
    }
    CHECK(name_of(static_cast<pf::capability>(41)) == "");
    CHECK(name_of(static_cast<pf::capability>(63)) == "");
}

TEST_CASE("capabilities: a mask past 64 bits, or none, is an error")
{
    for (auto const text : {"", "\n", "10000000000000000\n", "g\n"}) {
        tp::text::cursor in{text};
        pf::capability_set set;
        read_value(in, set);
        CAPTURE(text);
        CHECK_FALSE(in.ok());
    }
}
