// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Sets of capabilities, as `CapInh` … `CapAmb` of `status` show them.

#include <taskpeek/procfs/set_bits.hpp>
#include <taskpeek/text/values.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// A capability's number: include/uapi/linux/capability.h.
enum class capability : std::uint8_t {
    chown, dac_override, dac_read_search, fowner, fsetid, kill, setgid, setuid, setpcap, linux_immutable, net_bind_service,
    net_broadcast, net_admin, net_raw, ipc_lock, ipc_owner, sys_module, sys_rawio, sys_chroot, sys_ptrace, sys_pacct, sys_admin,
    sys_boot, sys_nice, sys_resource, sys_time, sys_tty_config, mknod, lease, audit_write, audit_control, setfcap, mac_override,
    mac_admin, syslog, wake_alarm, block_suspend,
    audit_read,         ///< since 3.16
    perfmon,            ///< since 5.8
    bpf,                ///< since 5.8
    checkpoint_restore  ///< since 5.9
};

/// `"CAP_SYS_PTRACE"`; empty for a number of a kernel to come.
[[nodiscard]] constexpr std::string_view name_of(capability cap) noexcept
{
    constexpr std::string_view names[] = {
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW",
        "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
        "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
        "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"};
    auto const n = static_cast<unsigned>(cap);
    return n < sizeof names / sizeof *names ? names[n] : std::string_view{};
}

/// A set of capabilities: bit n is capability n. Bits without a name here are kept.
struct capability_set {
    std::uint64_t bits = 0;

    /// Is \p cap in the set?
    [[nodiscard]] constexpr bool has(capability cap) const noexcept
    {
        auto const n = static_cast<unsigned>(cap);
        return n < 64 && (bits >> n & 1) != 0;
    }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits == 0; }

    /// The capabilities, ascending, those without a name too. \code for (auto const cap : *status.cap_eff) use(name_of(cap)); \endcode
    [[nodiscard]] constexpr auto begin() const noexcept { return set_bits<capability>::iterator{bits}; }
    [[nodiscard]] constexpr auto end() const noexcept { return set_bits<capability>::sentinel{}; }

    friend constexpr bool operator==(capability_set, capability_set) noexcept = default;
};

/// Sixteen hex digits: `000001ffffffffff`.
template <text::gives_hex In>
[[gnu::always_inline]] constexpr void read_value(In& in, capability_set& out) noexcept { out.bits = in.template hex<std::uint64_t>(); }

} // namespace taskpeek::procfs
