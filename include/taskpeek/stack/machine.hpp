// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The registers of a thread's user side, numbered as DWARF numbers them.

#include <taskpeek/units.hpp>

#include <cstdint>

namespace taskpeek::stack {

/// The instruction set that a thread runs; unwinding knows these.
enum class machine : std::uint8_t {
    x86_64,  ///< System V ABI; numbers of "x86-64 psABI", figure 3.36
    aarch64  ///< AAPCS64; numbers of "DWARF for the Arm 64-bit Architecture", section 4.1
};

/// The machine that this program was compiled for.
#if defined __aarch64__
inline constexpr machine native_machine = machine::aarch64;
#else
inline constexpr machine native_machine = machine::x86_64;
#endif

/// A register by its DWARF number.
using register_number = std::uint8_t;

inline constexpr register_number register_count = 35; ///< of which we keep track on any machine; 34 is aarch64's RA_SIGN_STATE

/// What unwinding must know of a machine.
struct machine_traits {
    register_number sp;
    register_number fp;             ///< the frame pointer, where one is used
    register_number return_address; ///< the column that stands for it where a CIE does not say; on aarch64 LR
    register_number pc;             ///< where we keep the program counter
    std::uint64_t callee_saved;     ///< a bit for each: what a function without a rule for it leaves alone
};

[[nodiscard]] constexpr machine_traits traits_of(machine m) noexcept
{
    if (m == machine::aarch64) return {31, 29, 30, 32, 0x1ff8'0000u}; // x19 … x28
    return {7, 6, 16, 16, 1u << 3 | 1u << 6 | 0xf000u};               // rbx, rbp, r12 … r15
}

/// The registers of a thread, or of a caller as far as they could be restored. What is not known is never guessed: `has` tells.
class registers {
public:
    constexpr registers() noexcept = default;
    constexpr explicit registers(machine m) noexcept : machine_{m} {}

    [[nodiscard]] constexpr machine isa() const noexcept { return machine_; }
    [[nodiscard]] constexpr machine_traits traits() const noexcept { return traits_of(machine_); }

    [[nodiscard]] constexpr bool has(register_number r) const noexcept { return r < register_count && (known_ >> r & 1) != 0; }
    /// The value of \p r; 0 when it is not known.
    [[nodiscard]] constexpr std::uint64_t operator[](register_number r) const noexcept { return has(r) ? values_[r] : 0; }
    constexpr void set(register_number r, std::uint64_t value) noexcept
    {
        if (r >= register_count) return;
        values_[r] = value;
        known_ |= std::uint64_t{1} << r;
    }
    constexpr void forget(register_number r) noexcept
    {
        if (r < register_count) known_ &= ~(std::uint64_t{1} << r);
    }

    /// Forgets all but those with a bit in \p some.
    constexpr void keep(std::uint64_t some) noexcept { known_ &= some; }

    [[nodiscard]] constexpr address pc() const noexcept { return address{(*this)[traits().pc]}; }
    [[nodiscard]] constexpr address sp() const noexcept { return address{(*this)[traits().sp]}; }

    friend constexpr bool operator==(registers const& a, registers const& b) noexcept
    {
        if (a.machine_ != b.machine_ || a.known_ != b.known_) return false;
        for (register_number r = 0; r < register_count; ++r)
            if (a[r] != b[r]) return false;
        return true;
    }

private:
    std::uint64_t values_[register_count]{};
    std::uint64_t known_ = 0;
    machine machine_ = native_machine;
};

} // namespace taskpeek::stack
