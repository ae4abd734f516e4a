// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Which vma holds this address? One ioctl on kernels that answer it, a scan of `maps` on others.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/text/escapes.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::vas {

/// How a vma was found.
enum class find_method : std::uint8_t { query, scan };

/// The vma that holds an address.
/// Lifetime: `mapping.path` is a view into the finder's memory, valid until its next `find`.
struct found_vma {
    procfs::vma mapping;             ///< `path`: the name itself, no byte of it escaped
    find_method method = find_method::scan;
    bool path_ambiguous = false;     ///< the scan met `\012` and took it for a newline: see text/escapes.hpp
    std::optional<bytes> page_size;  ///< of the memory management: larger in hugetlbfs; the scan does not tell it
    std::uint8_t build_id_size = 0;  ///< 0: not told; the scan never tells it
    char build_id_bytes[20] = {};

    [[nodiscard]] std::string_view build_id() const noexcept { return {build_id_bytes, build_id_size}; }

    /// Where \p a lies in the mapped file: what a symbolizer asks for.
    [[nodiscard]] constexpr bytes file_offset(address a) const noexcept { return mapping.offset + (a - mapping.start); }
};

namespace detail {

/// `struct procmap_query` and its numbers (include/uapi/linux/fs.h, since 6.11); the headers of many distributions lack them.
struct procmap_query {
    std::uint64_t size = sizeof(procmap_query);
    std::uint64_t query_flags = 0;
    std::uint64_t query_addr = 0;
    std::uint64_t vma_start = 0;
    std::uint64_t vma_end = 0;
    std::uint64_t vma_flags = 0;
    std::uint64_t vma_page_size = 0;
    std::uint64_t vma_offset = 0;
    std::uint64_t inode = 0;
    std::uint32_t dev_major = 0;
    std::uint32_t dev_minor = 0;
    std::uint32_t vma_name_size = 0;
    std::uint32_t build_id_size = 0;
    std::uint64_t vma_name_addr = 0;
    std::uint64_t build_id_addr = 0;

    /// _IOWR('f', 17, struct procmap_query)
    static constexpr std::uint32_t number = 3u << 30 | 104u << 16 | 'f' << 8 | 17;
};
static_assert(sizeof(procmap_query) == 104);

} // namespace detail

/// Finds vmas of one process by address.
///
/// Holds `maps` of the process open. After an exec the open file answers for the old address space, which is gone: the finder
/// notices (ESRCH) and opens it again. Allocation-free and async-signal-safe; 12 KiB of stack when it scans. One finder serves one
/// thread at a time. Lifetime: borrows the process handle and the memory for names.
class finder {
public:
    static constexpr std::size_t typical_name_size = 4096; ///< PATH_MAX: a longer name is marked `path_truncated`

    /// \p names is where a vma's name goes; without any, names are not asked for.
    /// Errors: vanished, denied, os.
    [[nodiscard]] static result<finder> open(process const& target, lent_buffer names = {}) noexcept
    {
        finder made{target.directory(), target.id(), names};
        if (auto const opened = made.reopen(); !opened) return opened.error();
        return made;
    }

    /// Asks for scans only, as on kernels before 6.11.
    void only_scan() noexcept { query_works_ = false; }

    /// The vma that holds \p a; none if nothing is mapped there.
    /// Errors: vanished, zombie, kernel_thread, denied, os.
    [[nodiscard]] result<std::optional<found_vma>> find(address a) noexcept
    {
        if (a.value >= vsyscall_begin && a.value < vsyscall_end)
            return find_vsyscall(a); // the query does not know it: it is no vma of the process's own
        if (!query_works_) return scan(a);
        for (int attempt = 0;; ++attempt) {
            auto found = query(a, names_);
            if (found || found.error().os_error == 2) return found ? found : result<std::optional<found_vma>>{std::nullopt};
            switch (found.error().os_error) {
            case 25: // ENOTTY: a kernel before 6.11
                query_works_ = false;
                return scan(a);
            case 36: case 7: { // ENAMETOOLONG, E2BIG
                auto without_name = query(a, {});
                if (without_name && without_name.value()) without_name.value()->mapping.path_truncated = true;
                if (!without_name && without_name.error().os_error == 2) return std::optional<found_vma>{};
                return without_name;
            }
            case 3: // ESRCH: the address space of the open file is gone, by exec or by exit
                if (attempt != 0) return taskpeek::detail::explain(directory_, {}, found.error(), true);
                if (auto const opened = reopen(); !opened) return opened.error();
                break;
            default: return found;
            }
        }
    }

private:
    static constexpr std::uint64_t vsyscall_begin = 0xffffffffff600000;
    static constexpr std::uint64_t vsyscall_end = vsyscall_begin + 4096;

    finder(int directory, task_id id, lent_buffer names) noexcept : directory_{directory}, id_{id}, names_{names} {}

    [[nodiscard]] result<void> reopen() noexcept
    {
        auto opened = io::open(directory_, "maps", O_RDONLY, kernel_file::maps, id_);
        if (!opened) return taskpeek::detail::explain(directory_, {}, opened.error(), true);
        maps_ = static_cast<io::descriptor&&>(opened.value());
        vsyscall_is_known_ = false;
        return success();
    }

    [[nodiscard]] result<std::optional<found_vma>> query(address a, lent_buffer names) noexcept
    {
        std::optional<found_vma> found{std::in_place};
        detail::procmap_query q;
        q.query_addr = a.value;
        q.vma_name_size = static_cast<std::uint32_t>(names.size() < typical_name_size ? names.size() : typical_name_size);
        q.vma_name_addr = reinterpret_cast<std::uintptr_t>(names.data());
        if (!names.empty()) {
            q.build_id_size = sizeof found->build_id_bytes;
            q.build_id_addr = reinterpret_cast<std::uintptr_t>(found->build_id_bytes);
        }
        auto const done = io::system_call(SYS_ioctl, maps_.get(), static_cast<long>(detail::procmap_query::number), io::as_argument(&q));
        if (!done.ok()) return os_failure(done.error(), kernel_file::ioctl, id_);
        auto& m = found->mapping;
        m.start = address{q.vma_start};
        m.end = address{q.vma_end};
        m.perms = {(q.vma_flags & 1) != 0, (q.vma_flags & 2) != 0, (q.vma_flags & 4) != 0, (q.vma_flags & 8) != 0};
        m.offset = bytes{q.vma_offset};
        m.inode = q.inode;
        m.dev = {q.dev_major, q.dev_minor};
        if (q.vma_name_size > 1) m.path = {names.data(), q.vma_name_size - 1};
        found->page_size = bytes{q.vma_page_size};
        found->method = find_method::query;
        found->build_id_size = static_cast<std::uint8_t>(q.build_id_size);
        return found;
    }

    [[nodiscard, gnu::noinline]] result<std::optional<found_vma>> scan(address a) noexcept
    {
        live_records<procfs::vma> maps{live_file<procfs::vma>{directory_, id_, {}}};
        for (auto const& vma : maps) {
            if (a < vma.start) return std::optional<found_vma>{};
            if (!vma.contains(a)) continue;
            found_vma found;
            found.mapping = vma;
            found.mapping.path = {};
            if (!names_.empty()) {
                auto const name = text::unescape_path(vma.path, names_.data(), names_.size());
                found.mapping.path = name.text;
                found.mapping.path_truncated |= name.truncated;
                found.path_ambiguous = name.ambiguous;
            }
            return std::optional{found};
        }
        if (auto const ended = maps.status(); !ended) return ended.error();
        return std::optional<found_vma>{};
    }

    /// Whether a process has the page, and with what permissions, does not change while it runs one program: it is scanned for once.
    [[nodiscard]] result<std::optional<found_vma>> find_vsyscall(address a) noexcept
    {
        if (!vsyscall_is_known_) {
            auto found = scan(a);
            if (!found) return found;
            vsyscall_is_known_ = true;
            vsyscall_ = found.value();
        }
        auto found = vsyscall_;
        if (!found) return found;
        constexpr std::string_view name = "[vsyscall]";
        auto const size = names_.size() < name.size() ? names_.size() : name.size();
        if (size != 0) __builtin_memcpy(names_.data(), name.data(), size);
        found->mapping.path = {names_.data(), size};
        found->mapping.path_truncated = size != 0 && size < name.size();
        return found;
    }

    int directory_ = -1;
    task_id id_;
    lent_buffer names_;
    io::descriptor maps_;
    std::optional<found_vma> vsyscall_;
    bool vsyscall_is_known_ = false;
    bool query_works_ = true;
};

} // namespace taskpeek::vas
