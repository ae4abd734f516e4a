// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Opt-in: `taskpeek::errc` as a std::error_code. Nothing else here includes it: <system_error> is dear.

#include <taskpeek/error.hpp>

#include <string>
#include <system_error>

namespace taskpeek {

/// The category of `errc`. Each code compares equal to its std::errc, where there is one.
[[nodiscard]] inline std::error_category const& error_category() noexcept
{
    static class category final : public std::error_category {
    public:
        [[nodiscard]] char const* name() const noexcept override { return "taskpeek"; }
        [[nodiscard]] std::string message(int code) const override { return std::string{name_of(static_cast<errc>(code))}; }
        [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override
        {
            switch (static_cast<errc>(code)) {
            case errc::vanished:
            case errc::zombie: return std::errc::no_such_process;
            case errc::denied: return std::errc::permission_denied;
            case errc::unsupported:
            case errc::kernel_thread: return std::errc::not_supported;
            case errc::truncated: return std::errc::message_size;
            case errc::malformed: return std::errc::bad_message;
            case errc::invalid: return std::errc::invalid_argument;
            case errc::os: break;
            }
            return {code, *this};
        }
    } const instance;
    return instance;
}

/// Found by std::error_code, which so is made from an `errc`.
[[nodiscard]] inline std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), error_category()}; }

/// Found by Boost.Outcome and by those who hold an `error`: its errno as a system error where there is one, else its code.
[[nodiscard]] inline std::error_code make_error_code(error const& e) noexcept
{
    if (e.os_error != 0) return {e.os_error, std::system_category()};
    return make_error_code(e.code);
}

} // namespace taskpeek

template <>
struct std::is_error_code_enum<taskpeek::errc> : std::true_type {};
