// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/text/escapes.hpp>

#include <memory>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace text = taskpeek::text;

using namespace std::string_view_literals;

namespace {

enum class way { path, name, terminal };

/// What comes out, in memory of exactly \p room bytes.
struct outcome {
    std::string text;
    std::size_t consumed;
    bool truncated, ambiguous;
};

[[nodiscard]] outcome rewrite(way w, std::string_view raw, std::size_t room)
{
    auto const memory = std::make_unique<char[]>(room);
    auto const r = w == way::path ? text::unescape_path(raw, memory.get(), room)
                 : w == way::name ? text::unescape_name(raw, memory.get(), room)
                                  : text::escape_for_terminal(raw, memory.get(), room);
    return {std::string{r.text}, r.consumed, r.truncated, r.ambiguous};
}

[[nodiscard]] std::string rewrite(way w, std::string_view raw) { return rewrite(w, raw, 4 * raw.size()).text; }

/// In a constant expression, into 64 bytes.
template <class Rewrite>
[[nodiscard]] constexpr bool gives(Rewrite rewrite, std::string_view raw, std::string_view wanted, bool ambiguous = false)
{
    char memory[64]{};
    auto const r = rewrite(raw, memory);
    return r.text == wanted && r.consumed == raw.size() && !r.truncated && r.ambiguous == ambiguous;
}

constexpr auto path = [](std::string_view raw, char (&memory)[64]) { return text::unescape_path(raw, memory); };
constexpr auto name = [](std::string_view raw, char (&memory)[64]) { return text::unescape_name(raw, memory); };
constexpr auto terminal = [](std::string_view raw, char (&memory)[64]) { return text::escape_for_terminal(raw, memory); };

static_assert(gives(path, "/usr/lib/libc.so.6", "/usr/lib/libc.so.6"));
static_assert(gives(path, "/a\\012b", "/a\nb", true));
static_assert(gives(path, "/\\012\\012", "/\n\n", true));
static_assert(gives(path, "/a\\011b\\134\\01", "/a\\011b\\134\\01"), "the kernel escapes newlines only");
static_assert(gives(path, "/a b (deleted)", "/a b (deleted)"));
static_assert(gives(path, "", ""));

static_assert(gives(name, "new\\nline", "new\nline"));
static_assert(gives(name, "\\\\", "\\") && gives(name, "\\\\n", "\\n") && gives(name, "\\\\\\n", "\\\n"));
static_assert(gives(name, "a\\tb\\", "a\\tb\\"), "no escapes of the kernel's");
static_assert(gives(name, "", ""));

static_assert(gives(terminal, "plain text", "plain text"));
static_assert(gives(terminal, "\x1b]0;x\x07", "\\x1b]0;x\\x07"));
static_assert(gives(terminal, "a\nb\tc\r\x7f", "a\\x0ab\\x09c\\x0d\\x7f"));
static_assert(gives(terminal, "a\\nb", "a\\\\nb"), "no two texts look alike");
static_assert(gives(terminal, "\xff\xfe", "\\xff\\xfe"));
static_assert(gives(terminal, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7"));
static_assert(gives(terminal, "a\xe2\x80\xae" "b", "a\\u{202e}b"), "right-to-left override");
static_assert(gives(terminal, "\xc2\x9b" "31m", "\\u{9b}31m"), "C1: a terminal may take it for ESC [");
static_assert(gives(terminal, "\xc2\xa0", "\xc2\xa0"));
static_assert(gives(terminal, "", ""));

static_assert(text::is_utf8("") && text::is_utf8("a\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7\x7f\n"));
static_assert(!text::is_utf8("\x80") && !text::is_utf8("\xc3") && !text::is_utf8("a\xe2\x82") && !text::is_utf8("\xc0\x80"));

} // namespace

TEST_CASE("escapes: bytes that are no UTF-8 are shown one by one")
{
    struct {
        std::string_view raw, shown;
    } const cases[] = {
        {"\x80", "\\x80"},                             // continuation alone
        {"\xc0\xaf", "\\xc0\\xaf"},                    // overlong /
        {"\xc1\xbf", "\\xc1\\xbf"},
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
        {"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
        {"\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"},
        {"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // surrogates
        {"\xed\xbf\xbf", "\\xed\\xbf\\xbf"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // past U+10FFFF
        {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
        {"\xc3", "\\xc3"},                             // cut off
        {"\xe2\x82", "\\xe2\\x82"},
        {"\xf0\x9f\x90", "\\xf0\\x9f\\x90"},
        {"\xc3z", "\\xc3z"},                           // broken off
        {"\xe2\x82z", "\\xe2\\x82z"},
        {"\xe2\xe2\x82\xac", "\\xe2\xe2\x82\xac"},
    };
    for (auto const& [raw, shown] : cases) {
        CHECK(rewrite(way::terminal, raw) == shown);
        CHECK_FALSE(text::is_utf8(raw));
    }
}

TEST_CASE("escapes: the first and last characters of each length of UTF-8 come through")
{
    for (auto const raw : {" "sv, "~"sv, "\xc2\xa0"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbd"sv, "\xf0\x90\x80\x80"sv,
                           "\xf4\x8f\xbf\xbf"sv}) {
        CHECK(rewrite(way::terminal, raw) == raw);
        CHECK(text::is_utf8(raw));
    }
}

TEST_CASE("escapes: each character that reorders or breaks its surroundings is shown by its number")
{
    struct {
        std::string_view raw, shown;
    } const cases[] = {
        {"\xc2\x80", "\\u{80}"}, {"\xc2\x85", "\\u{85}"}, {"\xc2\x9f", "\\u{9f}"}, {"\xd8\x9c", "\\u{61c}"}, {"\xe2\x80\x8e", "\\u{200e}"},
        {"\xe2\x80\x8f", "\\u{200f}"}, {"\xe2\x80\xa8", "\\u{2028}"}, {"\xe2\x80\xa9", "\\u{2029}"}, {"\xe2\x80\xaa", "\\u{202a}"},
        {"\xe2\x80\xab", "\\u{202b}"}, {"\xe2\x80\xac", "\\u{202c}"}, {"\xe2\x80\xad", "\\u{202d}"}, {"\xe2\x80\xae", "\\u{202e}"},
        {"\xe2\x81\xa6", "\\u{2066}"}, {"\xe2\x81\xa7", "\\u{2067}"}, {"\xe2\x81\xa8", "\\u{2068}"}, {"\xe2\x81\xa9", "\\u{2069}"},
        {"\xef\xbb\xbf", "\\u{feff}"}, {"\xef\xbf\xb9", "\\u{fff9}"}, {"\xf3\xa0\x80\x81", "\\u{e0001}"}, {"\xf3\xa0\x81\xbf", "\\u{e007f}"},
    };
    for (auto const& [raw, shown] : cases) CHECK(rewrite(way::terminal, raw) == shown);
}

TEST_CASE("escapes: every control byte is shown")
{
    for (int c = 0; c < 256; ++c) {
        auto const raw = std::string(1, static_cast<char>(c));
        auto const shown = rewrite(way::terminal, raw);
        CAPTURE(c);
        if (c == '\\') CHECK(shown == "\\\\");
        else if (c >= 0x20 && c < 0x7f) CHECK(shown == raw);
        else CHECK((shown.size() == 4 && shown.starts_with("\\x")));
    }
}

TEST_CASE("escapes: memory that does not suffice gives a whole beginning, and says how far it came")
{
    struct {
        way w;
        std::string_view raw;
    } const cases[] = {
        {way::path, "/a\\012b\\012"}, {way::name, "a\\nb\\\\c\\n"}, {way::terminal, "a\x1b\xc3\xbc\\\xe2\x80\xae\xff\xf0\x9f\x90\xa7z"}};
    for (auto const& [w, raw] : cases) {
        auto const whole = rewrite(w, raw, 4 * raw.size());
        CHECK_FALSE(whole.truncated);
        CHECK(whole.consumed == raw.size());
        for (std::size_t room = 0; room <= whole.text.size(); ++room) {
            auto const part = rewrite(w, raw, room);
            CAPTURE(room);
            CHECK(part.truncated == (room < whole.text.size()));
            CHECK(part.text.size() <= room);
            CHECK(whole.text.starts_with(part.text));
            // What was consumed, rewritten alone, is what came out: no escape and no character was cut.
            CHECK(rewrite(w, raw.substr(0, part.consumed)) == part.text);
            CHECK(part.text + rewrite(w, raw.substr(part.consumed)) == whole.text);
        }
    }
}

TEST_CASE("escapes: an undone newline in a path is ambiguous only if it came out")
{
    CHECK(rewrite(way::path, "/a\\012b", 2).ambiguous == false);
    CHECK(rewrite(way::path, "/a\\012b", 3).ambiguous == true);
    CHECK(rewrite(way::name, "a\\nb", 9).ambiguous == false);
}

TEST_CASE("escapes: a name that the kernel has escaped comes back")
{
    for (auto const raw : {"\\"sv, "\n"sv, "\\n"sv, "\n\\"sv, "a\\\nb\\\\n"sv, "\xff\n\t"sv, ""sv}) {
        std::string escaped; // as fs/proc/array.c does
        for (char const c : raw) escaped += c == '\n' ? std::string{"\\n"} : c == '\\' ? std::string{"\\\\"} : std::string(1, c);
        CHECK(rewrite(way::name, escaped) == raw);
    }
}
