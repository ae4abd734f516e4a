// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// A kernel file of many records, read and decoded as it is walked.

#include <taskpeek/io/buffer.hpp>
#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/path.hpp>
#include <taskpeek/procfs/records.hpp>
#include <taskpeek/task/read_record.hpp>
#include <taskpeek/text/scan.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek {

/// The source of `records` that reads `/proc/<tgid>/<Record::file>`. Opens the file at the first row.
/// Lifetime: borrows the directory's descriptor and the buffer.
template <class Record>
class live_file {
public:
    live_file() noexcept = default;
    live_file(int directory, task_id id, lent_buffer memory) noexcept : directory_{directory}, id_{id}, lent_{memory} {}
    live_file(live_file&& other) noexcept : live_file{other.directory_, other.id_, other.lent_} {}
    live_file& operator=(live_file&& other) noexcept
    {
        directory_ = other.directory_;
        id_ = other.id_;
        lent_ = other.lent_;
        file_.reset();
        opened_ = false;
        end_ = false;
        cut_ = false;
        given_ = 0;
        failure_ = {};
        return *this;
    }
    ~live_file() = default;

    [[nodiscard]] live_file fresh() const noexcept { return {directory_, id_, lent_}; }

    [[nodiscard, gnu::always_inline]] std::string_view more(std::string_view unread) noexcept
    {
        if (end_ || failure_.file != kernel_file::none) return {};
        if (!opened_ && !open()) return {};
        auto const into = memory();
        if (!unread.empty()) __builtin_memmove(into.data(), unread.data(), unread.size());
        auto filled = unread.size();
        if (filled == into.size() && !shorten_first_line(filled)) return {};
        auto const got = io::read(file_.get(), into.data() + filled, into.size() - filled);
        if (!got.ok()) { fail(os_failure(got.error(), Record::file, id_)); return {}; }
        given_ += got.count();
        if (got.value() == 0) {
            end_ = true;
            if (!confirm_end()) return {};
        }
        return {into.data(), filled + got.count()};
    }

    [[nodiscard]] procfs::last_text is_last() const noexcept { return end_ ? procfs::last_text::yes : procfs::last_text::no; }
    [[nodiscard]] bool take_cut() noexcept
    {
        auto const was = cut_;
        cut_ = false;
        return was;
    }
    [[nodiscard]] result<void> status() const noexcept
    {
        if (failure_.file != kernel_file::none) return failure_;
        return success();
    }

private:
    [[nodiscard]] lent_buffer memory() noexcept { return lent_.empty() ? lent_buffer{own_} : lent_; }

    [[gnu::noinline]] bool open() noexcept
    {
        opened_ = true;
        io::short_path path;
        path / name_of(Record::file);
        auto file = io::open(directory_, path.c_str(), O_RDONLY, Record::file, id_);
        if (!file) { fail(file.error()); return false; }
        file_ = static_cast<io::descriptor&&>(file.value());
        return true;
    }

    [[gnu::cold]] void fail(error why) noexcept
    {
        failure_ = why;
        if (why.code == errc::vanished || why.code == errc::denied)
            failure_ = detail::explain(directory_, {}, why, detail::needs_address_space<Record>);
    }

    /// Is the end that read(2) reported the end of the records? A zombie and a kernel thread read as empty from the start, and a file
    /// whose process dies or calls execve(2) does from any point on, its beginning included.
    [[gnu::noinline]] bool confirm_end() noexcept
    {
        char first;
        if (given_ != 0 && io::pread(file_.get(), &first, 1, 0).value() > 0) return true;
        failure_ = detail::explain(directory_, {}, truncated(), detail::needs_address_space<Record>);
        return false;
    }

    [[nodiscard]] error truncated() const noexcept
    {
        return {errc::truncated, Record::file, 0, id_, given_ < UINT32_MAX ? static_cast<std::uint32_t>(given_) : UINT32_MAX};
    }

    /// Makes room where one record fills the memory. The path, which has no bound, is in its first line: half of the memory keeps the
    /// beginning of that line, the rest of it is dropped.
    [[gnu::noinline]] bool shorten_first_line(std::size_t& filled) noexcept
    {
        constexpr std::size_t longest_fields = 96; // what stands before the path: 92 bytes where every field has its most digits
        auto const into = memory();
        auto const keep = into.size() / 2;
        char const* end = into.data() + filled;
        char const* newline = text::find_byte(into.data(), end, '\n');
        if (keep < longest_fields || newline <= into.data() + keep) { fail(truncated()); return false; }
        into.data()[keep] = '\n';
        cut_ = true;
        auto* const room = into.data() + keep + 1;
        while (newline == end) {
            auto const got = io::read(file_.get(), room, into.size() - keep - 1);
            if (!got.ok()) { fail(os_failure(got.error(), Record::file, id_)); return false; }
            if (got.value() == 0) { filled = keep + 1; return true; }
            given_ += got.count();
            end = room + got.count();
            newline = text::find_byte(static_cast<char const*>(room), end, '\n');
        }
        auto const rest = static_cast<std::size_t>(end - (newline + 1));
        __builtin_memmove(room, newline + 1, rest);
        filled = keep + 1 + rest;
        return true;
    }

    int directory_ = -1;
    task_id id_;
    lent_buffer lent_;
    io::descriptor file_;
    bool opened_ = false;
    bool end_ = false;
    bool cut_ = false;
    std::uint64_t given_ = 0; ///< bytes that the kernel gave so far
    error failure_;
    buffer<8192> own_;
};

/// The records of a live kernel file: a lending range, its memory 8 KiB of its own unless a buffer is lent.
template <class Record>
using live_records = procfs::records<Record, live_file<Record>>;

} // namespace taskpeek
