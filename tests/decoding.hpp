// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What the tests of decoders share: every beginning of a text, damaged texts, and comparing lists.

#include <taskpeek/result.hpp>

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

namespace taskpeek::tests {

/// Decodes a copy of \p text in memory of exactly its size, so that the address sanitizer sees any read behind its end.
/// \return what \p use makes of the result.
template <class Record, class Use>
auto decode_exactly(std::string_view text, Use use)
{
    auto const copy = std::make_unique<char[]>(text.size());
    text.copy(copy.get(), text.size());
    return use(Record::parse(std::string_view{copy.get(), text.size()}));
}

/// The error that decoding \p text gives; `errc{}` for none.
template <class Record>
error decode_error(std::string_view text)
{
    return decode_exactly<Record>(text, [](result<Record> const& r) { return r ? error{errc{}, kernel_file::none, 0, {}, 0} : r.error(); });
}

/// Checks that \p whole decodes, and that each shorter beginning of it is reported as truncated at its very end, except those that
/// \p may_be_whole says cannot be told from a whole text.
template <class Record, class MayBeWhole>
void check_every_beginning(std::string_view whole, MayBeWhole may_be_whole)
{
    CHECK(decode_error<Record>(whole).code == errc{});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        auto const beginning = whole.substr(0, size);
        auto const found = decode_error<Record>(beginning);
        CAPTURE(beginning);
        if (may_be_whole(beginning)) {
            CHECK(found.code == errc{});
        } else {
            CHECK(found.code == errc::truncated);
            CHECK(found.file == Record::file);
            CHECK(found.offset == size);
        }
    }
}

template <class Record>
void check_every_beginning(std::string_view whole)
{
    check_every_beginning<Record>(whole, [](std::string_view) { return false; });
}

/// For texts of lines that may stand alone: a beginning that ends with a line is whole.
[[nodiscard]] inline bool ends_with_a_line(std::string_view beginning) { return beginning.empty() || beginning.back() == '\n'; }

/// Puts each of some awkward bytes in each place of \p whole and checks that an error, if there is one, lies within the text and
/// names the file.
template <class Record>
void check_every_damage(std::string_view whole)
{
    std::string text{whole};
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto const was = text[i];
        for (char const c : {'\0', '\n', ' ', '\t', ':', '-', '0', '9', 'f', 'x', '[', ']', ')', '+', '\x7f', '\xff'}) {
            text[i] = c;
            auto const found = decode_error<Record>(text);
            if (found.code == errc{}) continue;
            CAPTURE(i);
            CAPTURE(c);
            CHECK((found.code == errc::truncated || found.code == errc::malformed));
            CHECK(found.file == Record::file);
            CHECK(found.offset <= text.size());
        }
        text[i] = was;
    }
    CHECK(decode_error<Record>(text).code == errc{});
}

/// A text, and the byte at which it is malformed.
struct malformed_text {
    std::string_view text;
    std::size_t offset;
};

/// Checks that each text is reported as malformed at its offset.
template <class Record>
void check_malformed(std::initializer_list<malformed_text> texts)
{
    for (auto const& wanted : texts) {
        CAPTURE(wanted.text);
        auto const found = decode_error<Record>(wanted.text);
        CHECK(found.code == errc::malformed);
        CHECK(found.file == Record::file);
        CHECK(found.offset == wanted.offset);
    }
}

/// Does walking \p range give \p wanted, element by element?
template <class Range, class T>
[[nodiscard]] constexpr bool gives(Range const& range, std::initializer_list<T> wanted)
{
    auto at = range.begin();
    for (auto const& w : wanted) {
        if (at == range.end() || !(*at == w)) return false;
        ++at;
    }
    return at == range.end();
}

} // namespace taskpeek::tests
