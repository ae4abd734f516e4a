// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What a machine's numbers mean: read from the machine, or from the tree that was recorded on it.

#include <taskpeek/io/dirents.hpp>
#include <taskpeek/io/file.hpp>
#include <taskpeek/io/path.hpp>
#include <taskpeek/procfs/auxv.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/root.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/units.hpp>

#include <string_view>

namespace taskpeek {

namespace detail {

/// `btime` of the `stat` below \p root: a line behind those of all CPUs and interrupts, read a piece at a time (fs/proc/stat.c).
[[nodiscard]] inline result<seconds> read_boot_time(int root) noexcept
{
    auto opened = io::open(root, "stat", O_RDONLY, kernel_file::system_stat);
    if (!opened) return opened.error();
    constexpr std::string_view key = "\nbtime ";
    buffer<4096> memory;
    std::size_t filled = 0;
    for (;;) {
        auto const got = io::read(opened.value().get(), memory.data() + filled, memory.size() - filled);
        if (!got.ok()) return os_failure(got.error(), kernel_file::system_stat);
        filled += got.count();
        auto text = std::string_view{memory.data(), filled};
        auto const at = text.find(key);
        bool const last = got.value() == 0;
        if (at != text.npos && (last || text.find('\n', at + key.size()) != text.npos)) {
            text::cursor in{text.substr(at + key.size())};
            auto const value = in.decimal<std::uint64_t>();
            in.expect('\n');
            if (!in.ok()) return in.failure(kernel_file::system_stat);
            return seconds{value};
        }
        if (last) return error{errc::unsupported, kernel_file::system_stat, 0, {}, 0};
        auto const keep = filled < 64 ? filled : 64; // more than the key and a number: they may straddle two pieces
        __builtin_memmove(memory.data(), memory.data() + filled - keep, keep);
        filled = keep;
    }
}

} // namespace detail

/// What the numbers below \p root mean: page size, clock tick and word size as the auxiliary vector of the first process that lets
/// itself be read tells (its own among them, on a live system), boot time as `/proc/stat` tells.
/// Errors: as opening the root; denied (no process's auxv may be read); unsupported (there is none, not even the reader's).
[[nodiscard]] inline result<system_info> read_system_info(proc_root const& root = {}) noexcept
{
    auto base = root.open();
    if (!base) return base.error();
    auto const directory = base.value().get();

    auto why = error{errc::unsupported, kernel_file::auxv, 0, {}, 0};
    system_info found;
    auto const learn = [&](char const* path) {
        buffer<procfs::auxv::typical_size> memory;
        auto const text = io::read_file(directory, path, memory, io::read_mode::at_once, kernel_file::auxv);
        if (!text) {
            if (text.error().code == errc::denied) why = text.error();
            return false;
        }
        auto const auxv = procfs::auxv::parse(text.value());
        if (!auxv) return false;
        auto const page_size = auxv.value().get(procfs::auxv_key::pagesz);
        auto const tick_rate = auxv.value().get(procfs::auxv_key::clktck);
        if (!page_size || !tick_rate || *tick_rate == 0) return false;
        found.page_size = bytes{*page_size};
        found.ticks_per_second = *tick_rate;
        found.word_size = auxv.value().word_size();
        return true;
    };

    bool learned = learn("self/auxv");
    buffer<2048> entries;
    io::numbered_entries processes{directory, entries};
    for (std::int32_t number; !learned && (number = processes.next()) >= 0;) {
        io::short_path path;
        path / number / "auxv";
        learned = learn(path.c_str());
    }
    if (!learned) return why;
    if (auto const boot_time = detail::read_boot_time(directory)) found.boot_time = boot_time.value();
    return found;
}

} // namespace taskpeek
