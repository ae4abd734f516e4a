// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How a task's system calls are filtered.

#include <taskpeek/text/values.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// `Seccomp:` of `status` (include/uapi/linux/seccomp.h). A mode of a kernel to come is kept; its `name()` is empty.
struct seccomp_mode {
    std::uint32_t number = 0;

    [[nodiscard]] constexpr std::string_view name() const noexcept
    {
        switch (number) {
        case 0: return "disabled";
        case 1: return "strict";
        case 2: return "filter"; // since 3.5
        default: return "";
        }
    }

    friend constexpr bool operator==(seccomp_mode, seccomp_mode) noexcept = default;
};

template <text::gives_decimals In>
[[gnu::always_inline]] constexpr void read_value(In& in, seccomp_mode& out) noexcept { out.number = in.template decimal<std::uint32_t>(); }

} // namespace taskpeek::procfs
