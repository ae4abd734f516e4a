// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/scan.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace text = taskpeek::text;

using namespace std::string_view_literals;

namespace {

// A scanner's answer in terms of the text: the value, how many bytes it took, and where it stopped.
struct answer {
    bool found;
    std::uint64_t value;
    std::size_t stop;
    friend constexpr bool operator==(answer const&, answer const&) = default;
};

template <auto Scan, unsigned Base>
[[nodiscard]] constexpr answer scan(std::string_view s)
{
    auto const found = Scan(s.data(), s.data() + s.size());
    auto const* const stop = found.next != nullptr ? found.next : text::find_misfit(s.data(), s.data() + s.size(), Base);
    return {found.next != nullptr, found.value, static_cast<std::size_t>(stop - s.data())};
}

constexpr auto decimal = [](std::string_view s) { return scan<text::scan_decimal, 10>(s); };
constexpr auto hex = [](std::string_view s) { return scan<text::scan_hex, 16>(s); };
constexpr auto octal = [](std::string_view s) { return scan<text::scan_octal, 8>(s); };

[[nodiscard]] constexpr answer number(std::uint64_t value, std::size_t stop) { return {true, value, stop}; }
[[nodiscard]] constexpr answer none(std::size_t stop) { return {false, 0, stop}; }

static_assert(decimal("0") == number(0, 1));
static_assert(decimal("42 ") == number(42, 2));
static_assert(decimal("007x") == number(7, 3));
static_assert(decimal("18446744073709551615") == number(UINT64_MAX, 20));
static_assert(decimal("18446744073709551615\n") == number(UINT64_MAX, 20));
static_assert(decimal("00000000000000000000000000000001") == number(1, 32), "leading zeros are no overflow");
static_assert(decimal("18446744073709551616") == none(19), "the byte that no longer fits");
static_assert(decimal("18446744073709551620") == none(19));
static_assert(decimal("99999999999999999999") == none(19));
static_assert(decimal("184467440737095516150") == none(20));
static_assert(decimal("") == none(0) && decimal({}) == none(0));
static_assert(decimal("-1") == none(0) && decimal(" 1") == none(0) && decimal("/") == none(0) && decimal(":") == none(0));

static_assert(hex("0") == number(0, 1));
static_assert(hex("7ffe-") == number(0x7ffe, 4));
static_assert(hex("ffffffffffffffff ") == number(UINT64_MAX, 16));
static_assert(hex("00000000000000000000ff") == number(0xff, 22));
static_assert(hex("10000000000000000") == none(16));
static_assert(hex("") == none(0) && hex({}) == none(0) && hex("g") == none(0) && hex("-1") == none(0));
static_assert(hex("0x1") == number(0, 1), "no prefix");

static_assert(octal("0022\n") == number(022, 4));
static_assert(octal("1777777777777777777777") == number(UINT64_MAX, 22));
static_assert(octal("2000000000000000000000") == none(21));
static_assert(octal("8") == none(0) && octal("") == none(0));

static_assert(text::find_byte(nullptr, nullptr, 'x') == nullptr);

// A copy of exactly the text's size, so that the address sanitizer sees any read behind it.
class exact {
public:
    explicit exact(std::string_view s) : size_{s.size()}, bytes_{std::make_unique<char[]>(s.size())} { s.copy(bytes_.get(), s.size()); }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

} // namespace

TEST_CASE("scan: at run time, hex digits read the same however much text follows, eight at a time or one")
{
    for (auto const digits : {"0"sv, "f"sv, "7f"sv, "abc"sv, "1234567"sv, "89abcdef"sv, "123456789"sv, "7ffc9a8b1000"sv,
                              "fedcba987654321"sv, "0123456789abcdef"sv, "ffffffffffffffff"sv, "ffffffffff600000"sv,
                              "0000000000000000"sv, "ABCDEF"sv, "aBcDeF09"sv, "7FFC9a8b1000"sv})
        for (auto const stop : {""sv, "-"sv, " "sv, ":"sv, "\n"sv, "g"sv, "G"sv, "`"sv, "@"sv, "/"sv, "\x7f"sv, "\x80"sv, "\xb0"sv,
                                "\xe1"sv, "\xff"sv, "\0"sv})
            for (std::size_t padding = 0; padding < (stop.empty() ? 1u : 24u); ++padding) {
                exact const line{std::string{digits} + std::string{stop} + std::string(padding, '0')};
                CAPTURE(line.view());
                auto const slowly = scan<text::scan_hex_bytewise, 16>(line.view());
                CHECK(slowly == number(std::stoull(std::string{digits}, nullptr, 16), digits.size()));
                CHECK(hex(line.view()) == slowly);
            }
}

TEST_CASE("scan: at run time, decimal digits read the same however much text follows, eight at a time or one")
{
    for (auto const digits : {"0"sv, "9"sv, "10"sv, "123"sv, "0123456"sv, "9999999"sv, "12345678"sv, "99999999"sv, "123456789"sv,
                              "123456789012345"sv, "9999999999999999"sv, "12345678901234567"sv, "9999999999999999999"sv,
                              "10000000000000000000"sv, "18446744073709551615"sv, "00000000000000000000000000000001"sv})
        for (auto const stop : {""sv, " "sv, "\n"sv, "-"sv, "/"sv, ":"sv, "a"sv, "\x80"sv, "\xb0"sv, "\xb9"sv, "\xff"sv, "\0"sv})
            for (std::size_t padding = 0; padding < (stop.empty() ? 1u : 24u); ++padding) {
                exact const line{std::string{digits} + std::string{stop} + std::string(padding, '9')};
                CAPTURE(line.view());
                CHECK(decimal(line.view()) == number(std::stoull(std::string{digits}), digits.size()));
            }
    for (auto const s : {""sv, "-99999999999999999"sv, " 00000000000000000"sv, "\xff" "99999999"sv, ":99999999"sv})
        CHECK(decimal(exact{s}.view()) == none(0));
    for (auto const s : {"18446744073709551616"sv, "99999999999999999999 99999999"sv}) CHECK(decimal(exact{s}.view()) == none(19));
}

TEST_CASE("scan: words of a mask are passed over while they are whole")
{
    auto const skipped = [](std::string_view s) {
        exact const text{s};
        auto const all = text.view();
        return text::skip_hex_words(all.data(), all.data() + all.size()) - all.data();
    };
    CHECK(skipped("") == 0);
    CHECK(skipped("00000000") == 0);
    CHECK(skipped("00000000,") == 9);
    CHECK(skipped("00000000,ffffffff,00000001\n") == 18);
    CHECK(skipped("0000000g,00000000,") == 0);
    CHECK(skipped("000000000,") == 0);
    CHECK(skipped("00000000,0000000,") == 9);
}

TEST_CASE("scan: at run time, what is no hex number is none")
{
    for (auto const s : {""sv, "g"sv, "-ffffffffffffffff"sv, "x0123456789abcdef0123456789"sv, "\xff" "fffffffffffffffff"sv,
                         " 0000000000000000000"sv})
        CHECK(hex(exact{s}.view()) == none(0));
    CHECK(hex(exact{"10000000000000000"sv}.view()) == none(16));
    CHECK(hex(exact{"1ffffffffffffffff-00000000000000000000"sv}.view()) == none(16));
}

TEST_CASE("scan: every byte is a digit or is not, as for the C library")
{
    for (auto i = 0; i < 256; ++i) {
        char const c = static_cast<char>(i);
        std::string const eight(8, c);
        std::string const twenty(20, c);
        CAPTURE(i);
        bool const is_decimal = c >= '0' && c <= '9';
        bool const is_hex = is_decimal || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        CHECK(decimal(eight).found == is_decimal);
        CHECK(hex(eight).found == is_hex);
        CHECK(hex(eight + "-000000000000000").found == is_hex);
        CHECK(octal(eight).found == (c >= '0' && c <= '7'));
        CHECK((text::detail::hex_digit(c) < 16) == is_hex);
        CHECK(text::detail::leading_hex_digits(text::detail::load8(eight.data())) == (is_hex ? 8 : 0));
    }
}

TEST_CASE("scan: find_byte and skip_spaces stop where they should, at every length")
{
    for (std::size_t size = 0; size < 40; ++size)
        for (std::size_t at = 0; at <= size; ++at) {
            std::string s(size, ' ');
            if (at < size) s[at] = 'x';
            exact const line{s};
            auto const* const begin = line.view().data();
            CHECK(static_cast<std::size_t>(text::find_byte(begin, begin + size, 'x') - begin) == at);
            CHECK(static_cast<std::size_t>(text::skip_spaces(begin, begin + size) - begin) == at);
        }
    CHECK(text::find_byte(nullptr, nullptr, 'x') == nullptr);
    CHECK(text::skip_spaces(nullptr, nullptr) == nullptr);
}
