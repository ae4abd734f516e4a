// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The vmas of a process as they were at one time, searchable by address, in memory that the caller lends.

#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/process.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>

namespace taskpeek::stack {

/// One vma. Plain bytes: its path is in the table.
struct mapping {
    address start;
    address end;
    bytes offset;
    std::uint64_t inode = 0;
    procfs::device dev;
    procfs::permissions perms;
    std::uint32_t path_at = 0;   ///< from the end of the table's memory
    std::uint32_t path_size = 0;
    std::uint64_t fingerprint = 0; ///< of a saved capture: `image::fingerprint` of the file; 0 where it is not told

    [[nodiscard]] constexpr bool contains(address a) const noexcept { return start <= a && a < end; }
};

/// The vmas of one process in ascending order.
/// Lifetime: a view into the lent memory; copying it copies no vma.
class mapping_table {
public:
    constexpr mapping_table() noexcept = default;

    /// Reads `maps`. A vma takes 72 bytes and, unless the one before has the same, its path.
    /// Errors: vanished, zombie, kernel_thread, denied, truncated (\p memory is too small), malformed.
    [[nodiscard]] static result<mapping_table> read(process const& of, lent_buffer memory) noexcept
    {
        mapping_table table{memory};
        auto maps = of.maps();
        for (auto const& vma : maps)
            if (!table.add(vma)) return error{errc::truncated, kernel_file::maps, 0, of.id(), static_cast<std::uint32_t>(memory.size())};
        if (auto const status = maps.status(); !status) return status.error();
        return table;
    }

    /// Takes the vmas of a recorded `maps`. Errors: truncated, malformed.
    [[nodiscard]] static result<mapping_table> parse(std::string_view text, lent_buffer memory) noexcept
    {
        mapping_table table{memory};
        procfs::maps maps{text};
        for (auto const& vma : maps)
            if (!table.add(vma)) return error{errc::truncated, kernel_file::maps, 0, {}, static_cast<std::uint32_t>(memory.size())};
        if (auto const status = maps.status(); !status) return status.error();
        return table;
    }

    /// Is the same code still mapped where it was? What was captured since the table was read belongs to the table only if so: code
    /// may have been loaded in the place of other code. Errors: as `read`.
    [[nodiscard]] result<bool> is_current(process const& of) const noexcept
    {
        auto const* row = rows_;
        auto const* const end = rows_ + count_;
        auto const skip_data = [&] { while (row != end && !row->perms.execute) ++row; };
        auto maps = of.maps();
        for (auto const& vma : maps) {
            if (!vma.perms.execute) continue;
            skip_data();
            if (row == end || row->start != vma.start || row->end != vma.end || row->offset != vma.offset || row->inode != vma.inode ||
                row->dev != vma.dev)
                return false;
            ++row;
        }
        if (auto const status = maps.status(); !status) return status.error();
        skip_data();
        return row == end;
    }

    [[nodiscard]] std::span<mapping const> all() const noexcept { return {rows_, count_}; }

    /// The vma that holds \p a, or null.
    [[nodiscard]] mapping const* find(address a) const noexcept
    {
        std::size_t low = 0;
        auto high = count_;
        while (low < high) {
            auto const middle = low + (high - low) / 2;
            if (rows_[middle].end <= a) low = middle + 1;
            else high = middle;
        }
        return low < count_ && rows_[low].contains(a) ? &rows_[low] : nullptr;
    }

    /// As printed in `maps`.
    [[nodiscard]] std::string_view path(mapping const& of) const noexcept { return {end_ - of.path_at, of.path_size}; }

    /// The first vma of the file that \p of maps: where its ELF header is, if it is mapped at all.
    [[nodiscard]] mapping const* head(mapping const& of) const noexcept
    {
        for (auto const* m = &of;; --m) {
            if (m->inode != of.inode || m->dev != of.dev || path(*m) != path(of)) {
                if (m->inode != 0 || of.start.value - m->start.value > most_between) return nullptr;
            } else if (m->offset.count == 0) {
                return m;
            }
            if (m == rows_) return nullptr;
        }
    }

    class builder;

    /// Is code there?
    [[nodiscard]] bool is_executable(address a) const noexcept
    {
        auto const* const m = find(a);
        return m != nullptr && m->perms.execute;
    }

private:
    static constexpr std::uint64_t most_between = std::uint64_t{1} << 32;

    explicit mapping_table(lent_buffer memory) noexcept
    {
        auto const misaligned = reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(mapping);
        auto const skip = misaligned == 0 ? 0 : alignof(mapping) - misaligned;
        if (memory.size() < skip) return;
        rows_ = reinterpret_cast<mapping*>(memory.data() + skip);
        end_ = memory.data() + memory.size();
        free_ = memory.size() - skip;
    }

    template <class Vma>
    [[nodiscard]] bool add(Vma const& vma) noexcept
    {
        mapping row;
        row.start = vma.start;
        row.end = vma.end;
        row.offset = vma.offset;
        row.inode = vma.inode;
        row.dev = vma.dev;
        row.perms = vma.perms;
        return add(row, vma.path);
    }

    [[nodiscard]] bool add(mapping row, std::string_view name) noexcept
    {
        auto const same = count_ > 0 && path(rows_[count_ - 1]) == name;
        auto const wanted = sizeof(mapping) + (same ? 0 : name.size());
        if (free_ < wanted || name.size() > UINT32_MAX) return false;
        free_ -= wanted;
        if (!same) {
            paths_ += name.size();
            if (!name.empty()) __builtin_memcpy(end_ - paths_, name.data(), name.size());
        }
        row.path_at = static_cast<std::uint32_t>(same ? rows_[count_ - 1].path_at : paths_);
        row.path_size = static_cast<std::uint32_t>(name.size());
        ::new (static_cast<void*>(&rows_[count_++])) mapping(row);
        return true;
    }

    mapping* rows_ = nullptr;
    char* end_ = nullptr;
    std::size_t count_ = 0;
    std::size_t paths_ = 0;
    std::size_t free_ = 0;
};

/// Makes a table of vmas that come from elsewhere than `maps`.
class mapping_table::builder {
public:
    explicit builder(lent_buffer memory) noexcept : table_{memory} {}

    /// Adds a vma; they come in ascending order. False if the memory is full.
    [[nodiscard]] bool add(mapping const& m, std::string_view path) noexcept { return table_.add(m, path); }
    [[nodiscard]] mapping_table take() const noexcept { return table_; }

private:
    mapping_table table_;
};

} // namespace taskpeek::stack
