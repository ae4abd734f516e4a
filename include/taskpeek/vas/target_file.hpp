// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Opening the files that another process has mapped. The target may be hostile: nothing but a regular file is opened, nothing
/// outside of its root is reached, and what was opened by a name is compared with what is mapped.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/file.hpp>
#include <taskpeek/io/path.hpp>
#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::vas {

/// How the bytes of a mapped file were reached, best first.
enum class file_source : std::uint8_t {
    none,       ///< not at all
    map_files,  ///< `/proc/<tgid>/map_files/<start>-<end>`: the very file; needs CAP_CHECKPOINT_RESTORE (since 5.9) or CAP_SYS_ADMIN
    exe,        ///< `/proc/<tgid>/exe`
    path,       ///< by its path, inside the target's root
    memory      ///< not the file but its image in the target's memory, which the target may have changed
};

[[nodiscard]] constexpr std::string_view name_of(file_source s) noexcept
{
    switch (s) {
    case file_source::none: return "none";
    case file_source::map_files: return "map_files";
    case file_source::exe: return "exe";
    case file_source::path: return "path";
    case file_source::memory: return "memory";
    }
    return "";
}

/// A file of the target's, open for reading.
struct target_file {
    io::descriptor fd;
    file_source source = file_source::none;
    bool verified = false; ///< device and inode are those of the mapping
};

namespace detail {

/// What statx(2) tells of a file (since 4.11), laid out as the kernel does (include/uapi/linux/stat.h).
struct kernel_statx {
    std::uint32_t mask, blksize;
    std::uint64_t attributes;
    std::uint32_t nlink, uid, gid;
    std::uint16_t mode, spare0;
    std::uint64_t ino, size, blocks, attributes_mask;
    std::uint64_t times[8];
    std::uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    std::uint64_t spare1[14];

    [[nodiscard]] constexpr bool is_regular() const noexcept { return (mode & 0170000) == 0100000; }
};
static_assert(sizeof(kernel_statx) == 256);

inline constexpr int at_empty_path = 0x1000;

[[nodiscard]] inline io::answer statx(int directory, char const* path, int flags, kernel_statx& out) noexcept
{
    constexpr long basic = 0x7ff; // STATX_BASIC_STATS
    return io::system_call(SYS_statx, directory, io::as_argument(path), flags, basic, io::as_argument(&out));
}

/// `openat2(2)` (since 5.6) inside the directory \p root, which no symbolic link, absolute or not, leaves.
[[nodiscard]] inline io::answer open_in_root(int root, char const* path, int flags) noexcept
{
    struct {
        std::uint64_t flags, mode, resolve;
    } const how{static_cast<std::uint64_t>(flags | O_CLOEXEC), 0, 0x10 | 0x02}; // IN_ROOT | NO_MAGICLINKS
    constexpr long sys_openat2 = 437; // on every architecture but alpha
    return io::system_call(sys_openat2, root, io::as_argument(path), io::as_argument(&how), sizeof how);
}

inline constexpr int o_path = 010000000;

/// Opens the file that \p anchor (an O_PATH descriptor) holds, if it is a regular one of sane size; so no FIFO blocks, no device is touched
/// and nobody swaps the file between the look and the opening. \p task_directory is where `../self` leads to the reader's own descriptors.
[[nodiscard]] inline result<target_file> open_anchored(int task_directory, io::descriptor anchor, file_source source,
                                                       procfs::vma const& mapping) noexcept
{
    kernel_statx seen{};
    if (auto const told = statx(anchor.get(), "", at_empty_path, seen); !told.ok()) return os_failure(told.error(), kernel_file::elf);
    // those of procfs and tracefs pass for regular ones of size 0: reading some has effects, or no end
    if (!seen.is_regular() || seen.size == 0) return error{errc::invalid, kernel_file::elf, 0, {}, 0};
    io::short_path path;
    path / ".." / "self" / "fd" / anchor.get();
    auto opened = io::open(task_directory, path.c_str(), O_RDONLY | O_NONBLOCK, kernel_file::elf);
    if (!opened) opened = io::open(AT_FDCWD, [&] { path = {}; path / "/proc/self/fd" / anchor.get(); return path.c_str(); }(),
                                   O_RDONLY | O_NONBLOCK, kernel_file::elf);
    if (!opened) return opened.error();
    target_file file;
    file.fd = static_cast<io::descriptor&&>(opened.value());
    file.source = source;
    file.verified = seen.ino == mapping.inode && seen.dev_major == mapping.dev.major && seen.dev_minor == mapping.dev.minor;
    return file;
}

/// Is it a live procfs? The links of a recorded tree lead to whatever this machine has by that name.
[[nodiscard]] inline bool is_procfs(int directory) noexcept
{
    long told[32] = {}; // struct statfs: its first word is the type on every architecture but s390, and no larger than this
    constexpr long proc_super_magic = 0x9fa0;
    return io::system_call(SYS_fstatfs, directory, io::as_argument(told)).ok() && static_cast<std::uint32_t>(told[0]) == proc_super_magic;
}

/// A link's or path's own descriptor, not yet the file's.
[[nodiscard]] inline result<io::descriptor> anchor_at(int directory, char const* path) noexcept
{
    return io::open(directory, path, o_path, kernel_file::elf);
}

/// `/proc/<tgid>/map_files/<start>-<end>`: the vma's bounds in hex, without leading zeros (fs/proc/base.c, since 3.3).
class map_files_name {
public:
    constexpr explicit map_files_name(procfs::vma const& mapping) noexcept
    {
        for (char const c : std::string_view{"map_files/"}) text_[size_++] = c;
        put(mapping.start.value);
        text_[size_++] = '-';
        put(mapping.end.value);
        text_[size_] = '\0';
    }
    [[nodiscard]] constexpr char const* c_str() const noexcept { return text_; }

private:
    constexpr void put(std::uint64_t n) noexcept
    {
        int shift = 60;
        while (shift > 0 && n >> shift == 0) shift -= 4;
        for (; shift >= 0; shift -= 4) text_[size_++] = "0123456789abcdef"[n >> shift & 15];
    }

    char text_[48]{};
    std::size_t size_ = 0;
};

} // namespace detail

/// Opens the file behind \p mapping of the process whose `/proc/<tgid>` is open as \p task_directory: through `map_files`; through
/// `exe` if that is the same file; by its path inside the target's root, where device and inode tell whether it is the same
/// (`verified`; a filesystem such as btrfs or overlayfs may give other numbers to stat(2) than to `maps`, so compare the build id
/// before you doubt). Nothing but a regular file that is not empty is opened. Work: a dozen system calls.
/// Errors: vanished (there is no such file any more), denied, invalid (no regular file; a path that is cut or escaped), unsupported (a
/// recorded tree has no files behind it), os.
[[nodiscard]] inline result<target_file> open_mapped_file(int task_directory, procfs::vma const& mapping) noexcept
{
    if (!detail::is_procfs(task_directory)) return error{errc::unsupported, kernel_file::elf, 0, {}, 0};
    detail::map_files_name const link{mapping};
    if (auto anchor = detail::anchor_at(task_directory, link.c_str())) {
        auto file = detail::open_anchored(task_directory, static_cast<io::descriptor&&>(anchor.value()), file_source::map_files, mapping);
        if (file) {
            file.value().verified = true; // the link is the mapping's own; on overlayfs its device differs from what `maps` prints
            return file;
        }
        if (file.error().code == errc::invalid) return file.error();
    }
    if (auto anchor = detail::anchor_at(task_directory, "exe")) {
        auto file = detail::open_anchored(task_directory, static_cast<io::descriptor&&>(anchor.value()), file_source::exe, mapping);
        if (file && file.value().verified) return file;
    }

    constexpr std::size_t longest = 4096; // PATH_MAX: what openat2 takes
    bool const usable =
        mapping.path.starts_with('/') && mapping.path.size() < longest && !mapping.path_truncated && !mapping.path_is_ambiguous();
    if (!usable) return error{errc::invalid, kernel_file::elf, 0, {}, 0};
    buffer<longest> memory;
    buffer<longest> root_name;
    auto root = detail::anchor_at(task_directory, "root");
    if (!root) return root.error();
    // maps prints paths as the reader sees them: below the target's root, that root's own name stands before them
    auto inside = mapping.path;
    if (auto const name = io::read_link(task_directory, "root", root_name, kernel_file::root))
        if (name.value() != "/" && inside.starts_with(name.value()) && inside.substr(name.value().size()).starts_with('/'))
            inside.remove_prefix(name.value().size());
    __builtin_memcpy(memory.data(), inside.data(), inside.size());
    memory.data()[inside.size()] = '\0';
    auto const opened = detail::open_in_root(root.value().get(), memory.data(), detail::o_path);
    if (!opened.ok()) return os_failure(opened.error(), kernel_file::elf);
    return detail::open_anchored(task_directory, io::descriptor{static_cast<int>(opened.value())}, file_source::path, mapping);
}

} // namespace taskpeek::vas
