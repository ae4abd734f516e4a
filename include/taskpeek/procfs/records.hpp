// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A text of many records, decoded one at a time: `maps`, `smaps`.

#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/lending.hpp>

#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// Tells a record's `read` whether the text may go on behind its end.
enum class last_text : bool { no, yes };

/// A text that is all there.
class whole_text {
public:
    constexpr whole_text() noexcept = default;
    constexpr explicit whole_text(std::string_view text) noexcept : text_{text} {}

    /// The same source, not read yet.
    [[nodiscard]] constexpr whole_text fresh() const noexcept { return whole_text{text_}; }

    /// The text to decode next, given what of the last was not used; empty at the end.
    [[nodiscard]] constexpr std::string_view more(std::string_view) noexcept
    {
        if (given_) return {};
        given_ = true;
        return text_;
    }
    [[nodiscard]] constexpr last_text is_last() const noexcept { return last_text::yes; }

    /// Was the line given last shortened? Asking takes the mark away.
    [[nodiscard]] constexpr bool take_cut() noexcept { return false; }
    [[nodiscard]] constexpr result<void> status() const noexcept { return success(); }

private:
    std::string_view text_;
    bool given_ = false;
};

/// A lending range of the \p Records in what \p Source gives. Each row is valid until the next `++`.
///
/// A record that cannot be decoded ends the range, and so does a failing source; `status()` then says why. A line longer than
/// the source's memory is shortened, its record marked truncated, and the range goes on. Offsets of errors count from the first
/// byte that the source gave.
template <class Record, class Source = whole_text>
class records : public lending_range<records<Record, Source>, Record> {
public:
    static constexpr kernel_file file = Record::file; ///< what it decodes

    constexpr records() noexcept = default;
    constexpr explicit records(Source source) noexcept : source_{static_cast<Source&&>(source)} {}
    constexpr explicit records(std::string_view text) noexcept requires(__is_same(Source, whole_text)) : source_{text} {}

    constexpr records(records const& other) noexcept : lending_range<records, Record>{}, source_{other.source_.fresh()} {}
    constexpr records& operator=(records const& other) noexcept
    {
        if (this != &other) {
            lending_range<records, Record>::operator=(other);
            source_ = other.source_.fresh();
            unread_ = {};
            done_ = 0;
            failed_ = false;
        }
        return *this;
    }
    constexpr ~records() = default;

    /// Success, or why the range ended early.
    [[nodiscard]] constexpr result<void> status() const noexcept
    {
        if (failed_) return failure_;
        return source_.status();
    }

private:
    friend lending_range<records, Record>;

    enum class step : unsigned char { decoded, needs_more, failed };

    /// Inlined, for it may make a system call (see io/syscall.hpp); decoding is not.
    [[gnu::always_inline]] constexpr bool fetch() noexcept
    {
        if (failed_ || (unread_.empty() && !read_on())) return false;
        for (;;) {
            auto const done = decode();
            if (done == step::decoded) [[likely]] return true;
            if (done == step::needs_more && read_on()) continue;
            failed_ = failure_.file != kernel_file::none && source_.status();
            return false;
        }
    }

    /// Makes the next record of what is unread. Unless that succeeds, `failure_` is why the range ends if no more can be read.
    [[gnu::noinline]] constexpr step decode() noexcept
    {
        text::cursor in{unread_};
        if constexpr (requires { Record::skip_strangers(in); }) {
            if (done_ != 0) Record::skip_strangers(in);
            if (in.ok() && in.at_end()) [[unlikely]] {
                take(in);
                failure_ = {};
                return step::needs_more;
            }
        }
        record_.read(in, source_.is_last());
        if (in.ok()) [[likely]] {
            take(in);
            if (source_.take_cut()) [[unlikely]] record_.mark_truncated();
            return step::decoded;
        }
        failure_ = in.failure(file);
        auto const goes_on = failure_.code == errc::truncated && source_.is_last() == last_text::no;
        failure_.offset += done_;
        return goes_on ? step::needs_more : step::failed;
    }

    [[gnu::always_inline]] constexpr void take(text::cursor const& in) noexcept
    {
        done_ += static_cast<std::uint32_t>(in.position() - unread_.data());
        unread_ = in.rest();
    }

    [[gnu::always_inline]] constexpr bool read_on() noexcept
    {
        unread_ = source_.more(unread_);
        return !unread_.empty();
    }

    [[nodiscard]] constexpr Record const& current() const noexcept { return record_; }

    Source source_;
    std::string_view unread_;
    std::uint32_t done_ = 0; // bytes before `unread_`
    Record record_;
    error failure_;
    bool failed_ = false;
};

} // namespace taskpeek::procfs
