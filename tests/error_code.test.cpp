// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/error_code.hpp>

#include <cerrno>
#include <ostream>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <doctest/doctest.h>

namespace tp = taskpeek;

static_assert(std::is_error_code_enum_v<tp::errc>);
static_assert(std::is_convertible_v<tp::errc, std::error_code>);

TEST_CASE("error_code: each code says its name and equals its std::errc")
{
    struct {
        tp::errc code;
        std::string_view word;
        std::errc same;
    } const cases[] = {
        {tp::errc::vanished, "vanished", std::errc::no_such_process},
        {tp::errc::denied, "denied", std::errc::permission_denied},
        {tp::errc::unsupported, "unsupported", std::errc::not_supported},
        {tp::errc::truncated, "truncated", std::errc::message_size},
        {tp::errc::malformed, "malformed", std::errc::bad_message},
        {tp::errc::zombie, "zombie", std::errc::no_such_process},
        {tp::errc::kernel_thread, "kernel_thread", std::errc::not_supported},
        {tp::errc::invalid, "invalid", std::errc::invalid_argument},
    };
    for (auto const& c : cases) {
        std::error_code const code = c.code;
        CAPTURE(c.word);
        CHECK(code);
        CHECK(code.category() == tp::error_category());
        CHECK(code.message() == c.word);
        CHECK(code == c.same);
        CHECK(code == c.code);
    }
    std::error_code const os = tp::errc::os;
    CHECK(os);
    CHECK(os != std::errc::io_error);
    CHECK(os == std::error_condition{static_cast<int>(tp::errc::os), tp::error_category()});
    CHECK(tp::error_category().name() == std::string_view{"taskpeek"});
}

TEST_CASE("error_code: an error is its errno where there is one, else its code")
{
    auto const failed = make_error_code(tp::os_failure(EMFILE, tp::kernel_file::fd));
    CHECK(failed.category() == std::system_category());
    CHECK(failed == std::errc::too_many_files_open);

    auto const cut = make_error_code(tp::error{tp::errc::truncated, tp::kernel_file::status, 0, {}, 7});
    CHECK(cut == tp::errc::truncated);
}
