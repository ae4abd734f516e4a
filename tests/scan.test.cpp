// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/scan.hpp>

#include <cstddef>
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
    // not inlined: g++ 12 would warn of sizes that no text has
    [[gnu::noinline]] explicit exact(std::string_view s) : size_{s.size()}, bytes_{std::make_unique<char[]>(s.size())}
    {
        s.copy(bytes_.get(), s.size());
    }
    [[nodiscard]] std::string_view view() const { return {bytes_.get(), size_}; }

private:
    std::size_t size_;
    std::unique_ptr<char[]> bytes_;
};

[[nodiscard]] std::ptrdiff_t skipped(std::string_view s)
{
    exact const text{s};
    auto const all = text.view();
    return text::skip_hex_words(all.data(), all.data() + all.size()) - all.data();
}

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
    CHECK(skipped("") == 0);
    CHECK(skipped("00000000") == 0);
    CHECK(skipped("00000000,ffffffff,00000001\n") == 18);
    CHECK(skipped("0000000g,00000000,") == 0);
    CHECK(skipped("000000000,") == 0);
    CHECK(skipped("00000000,0000000,0000000") == 9);
    for (std::string_view const word : {"00000000,"sv, "0123cdef,"sv}) {
        std::string mask;
        for (std::ptrdiff_t words = 0; words < 40; ++words) {
            auto longer = mask;
            longer.append("0000000g,0000000"sv);
            CHECK(skipped(longer) == 9 * words);
            auto const beginning = skipped(mask); // the last words may be left to the reader
            CHECK(beginning % 9 == 0);
            CHECK(beginning <= 9 * words);
            mask.append(word);
        }
    }
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
        CHECK(text::detail::sixteen_hex_digits::at(twenty.data()).count == (is_hex ? 16 : 0));
        auto const all = text::detail::sixty_four::at(std::string(64, c).data());
        CHECK(all.digits == (is_decimal ? UINT64_MAX : 0));
        CHECK(all.blanks == (c == ' ' ? UINT64_MAX : 0));
    }
}

TEST_CASE("scan: of 64 bytes, each is told from its neighbours")
{
    for (unsigned i = 0; i < 64; ++i) {
        std::string s(64, 'x');
        s[i] = '7';
        CHECK(text::detail::sixty_four::at(s.data()).digits == std::uint64_t{1} << i);
        s[i] = ' ';
        auto const found = text::detail::sixty_four::at(s.data());
        CHECK(found.blanks == std::uint64_t{1} << i);
        for (unsigned count = 0; count < 64; ++count) {
            bool const kept = i + count >= 64;
            auto const last = found.last(count);
            CHECK(last.blanks == (std::uint64_t{1} << count | (kept ? std::uint64_t{1} << (i + count - 64) : 0)));
            CHECK((last.digits | last.blanks | ((std::uint64_t{1} << count) - 1)) == UINT64_MAX); // nothing behind the end is amiss
        }
    }
}

TEST_CASE("scan: a number in eight columns is right-aligned, and nothing else")
{
    using text::detail::right_aligned;
    for (auto const value : {0u, 7u, 10u, 999u, 1748u, 99999u, 123456u, 9999999u, 12345678u, 99999999u}) {
        auto const digits = std::to_string(value);
        std::string columns(8, ' ');
        columns.replace(8 - digits.size(), digits.size(), digits);
        CAPTURE(columns);
        CHECK(right_aligned::at(columns.data()).ok);
        CHECK(right_aligned::at(columns.data()).value == value);
        for (std::size_t i = 0; i < 8; ++i)
            for (int byte = 0; byte < 256; ++byte) {
                auto damaged = columns;
                damaged[i] = static_cast<char>(byte);
                auto const first = damaged.find_first_not_of(' ');
                bool const number = first != std::string::npos && damaged.find_first_not_of("0123456789", first) == std::string::npos;
                auto const found = right_aligned::at(damaged.data());
                REQUIRE(found.ok == number);
                if (number) REQUIRE(found.value == std::stoull(damaged));
            }
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
