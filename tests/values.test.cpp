// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/values.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace text = taskpeek::text;

using namespace std::string_view_literals;

namespace {

// The value that \p s spells, if all of it does.
template <class T>
[[nodiscard]] constexpr std::optional<T> value(std::string_view s)
{
    text::cursor in{s};
    T read{};
    read_value(in, read);
    if (!in.ok() || !in.at_end()) return std::nullopt;
    return read;
}

// The byte at which \p s stops being a T; none if it is one.
template <class T>
[[nodiscard]] constexpr std::optional<std::size_t> fault(std::string_view s)
{
    text::cursor in{s};
    T read{};
    read_value(in, read);
    if (in.ok()) return std::nullopt;
    return in.failure(tp::kernel_file::none).offset;
}

using text::read_value;

// ids
static_assert(value<tp::tid>("2147483647") == tp::tid{2147483647} && value<tp::pgid>("-1") == tp::pgid{-1});
static_assert(fault<tp::tid>("2147483648") == 0);
static_assert(value<tp::uid>("4294967295") == tp::uid{4294967295u} && fault<tp::uid>("4294967296") == 0);
static_assert(value<tp::uid>("-2") == tp::uid{4294967294u}, "kernels before 4.10 print ids as signed");
static_assert(value<tp::gid>("-2147483648") == tp::gid{2147483648u} && fault<tp::gid>("-2147483649") == 0);

// quantities
static_assert(value<tp::bytes>("18446744073709551615") == tp::bytes{UINT64_MAX} && fault<tp::bytes>("18446744073709551616") == 19);
static_assert(value<tp::signed_clock_ticks>("-9223372036854775808") == tp::signed_clock_ticks{INT64_MIN});
static_assert(fault<tp::pages>("-1") == 0);

// kB, right-aligned as seq_put_decimal_ull_width prints it
static_assert(value<tp::kibibytes>("       4 kB") == tp::kibibytes{4} && value<tp::kibibytes>("12345678 kB") == tp::kibibytes{12345678});
static_assert(value<tp::kibibytes>("18446744073709551615 kB") == tp::kibibytes{UINT64_MAX});
static_assert(fault<tp::kibibytes>("4") == 1 && fault<tp::kibibytes>("4 k") == 3 && fault<tp::kibibytes>("4 mB") == 2 &&
              fault<tp::kibibytes>("4kB") == 1);
static_assert(fault<tp::kibibytes>("    kB") == 4);

// flags
static_assert(value<bool>("0") == false && value<bool>("1") == true);
static_assert(fault<bool>("2") == 0 && fault<bool>("") == 0 && fault<bool>("x") == 0);

// what may not be told
static_assert(value<tp::optional_address>("0") == tp::optional_address{0} && !value<tp::optional_address>("1")->has_value());
static_assert(**value<tp::optional_address>("18446744073699065856") == tp::address{0xffffffffff600000});

// limits
static_assert(value<tp::limit_value<tp::bytes>>("18446744073709551615")->is_unlimited());
static_assert(value<tp::limit_value<tp::bytes>>("18446744073709551614")->value() == tp::bytes{UINT64_MAX - 1});
static_assert(value<tp::limit_value<tp::bytes>>("0")->value() == tp::bytes{0});

// text: the rest of the line
static_assert(value<std::string_view>("") == ""sv && value<std::string_view>(" a  b \t") == " a  b \t"sv);
static_assert([] {
    text::cursor in{"a b\nc"};
    std::string_view read;
    read_value(in, read);
    return in.ok() && read == "a b" && in.rest() == "\nc"; // the newline is the caller's
}());

// optional: there, whatever the value
static_assert(value<std::optional<std::uint32_t>>("7") == std::optional{7u} && fault<std::optional<std::uint32_t>>("x") == 0);

} // namespace

TEST_CASE("values: an optional field that could not be read does not pass for one that is absent")
{
    text::cursor in{"x"};
    std::optional<std::uint64_t> field;
    read_value(in, field);
    CHECK_FALSE(in.ok());
    CHECK(in.failure(tp::kernel_file::status).code == tp::errc::malformed);
}
