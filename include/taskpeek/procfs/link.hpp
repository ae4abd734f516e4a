// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The links of `/proc/<tgid>`: `exe`, `cwd`, `root` and `fd/<number>`. Their text is what readlink(2) gives.

#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// What the kernel appends to the path of a file that has been unlinked (fs/d_path.c). A file's own name may end so too.
inline constexpr std::string_view deleted_suffix = " (deleted)";

/// A link that names a file (fs/d_path.c, d_path): its path below the reader's root. A file that the reader's root does not reach
/// (lazily unmounted, or of another mount namespace) is given by its path below its own mount, without a mark.
/// readlink(2) fails with ENAMETOOLONG when the path is longer than a page.
/// Errors: truncated (an empty text).
/// Lifetime: `target` is a view into the text.
template <kernel_file File>
struct path_link {
    static constexpr kernel_file file = File; ///< what it decodes
    static constexpr std::size_t typical_size = 4096; ///< bytes: the kernel gives at most a page
    static constexpr bool is_link = true;             ///< is read with readlink(2)
    static constexpr bool needs_address_space = File == kernel_file::exe;

    std::string_view target; ///< raw bytes, nothing escaped

    /// Either the file has been unlinked, or its name ends in " (deleted)": the text does not tell which.
    [[nodiscard]] constexpr bool may_be_deleted() const noexcept { return target.ends_with(deleted_suffix); }

    /// The path, without the " (deleted)" that the kernel may have appended.
    [[nodiscard]] constexpr std::string_view path_if_deleted() const noexcept
    {
        return may_be_deleted() ? target.substr(0, target.size() - deleted_suffix.size()) : target;
    }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Link, class Visitor>
    static constexpr void each_field(Link& link, Visitor&& visit) noexcept { visit("target", link.target); }

    /// Decodes the text of the link. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<path_link> parse(std::string_view text) noexcept
    {
        if (text.empty()) return error{errc::truncated, file, 0, {}, 0};
        return path_link{text};
    }
};

/// The executable of a process: `/proc/<tgid>/exe` (fs/proc/base.c, proc_exe_link). Kernel threads and zombies have none (ENOENT).
using exe = path_link<kernel_file::exe>;

/// The working directory of a task: `cwd` (fs/proc/base.c, proc_cwd_link). Zombies have none (ENOENT).
using cwd = path_link<kernel_file::cwd>;

/// The root directory of a task: `root` (fs/proc/base.c, proc_root_link). Zombies have none (ENOENT).
using root = path_link<kernel_file::root>;

/// What sort of thing a descriptor refers to, as far as the text of its link says.
enum class fd_kind : std::uint8_t {
    path,       ///< a file, directory, device or named pipe: `/dev/null`
    memfd,      ///< memfd_create(2): `/memfd:name (deleted)`; a deleted file of that name in the root directory looks alike
    socket,     ///< `socket:[11502]`
    pipe,       ///< `pipe:[10799]`
    anon_inode, ///< `anon_inode:[eventfd]`, `anon_inode:inotify`
    nsfs,       ///< a namespace: `mnt:[4026531840]`; see ns.hpp
    other       ///< none of these: `word:…` of a file system without paths, or nothing known
};

/// `"anon_inode"`.
[[nodiscard]] constexpr std::string_view name_of(fd_kind kind) noexcept
{
    switch (kind) {
    case fd_kind::path: return "path";
    case fd_kind::memfd: return "memfd";
    case fd_kind::socket: return "socket";
    case fd_kind::pipe: return "pipe";
    case fd_kind::anon_inode: return "anon_inode";
    case fd_kind::nsfs: return "nsfs";
    case fd_kind::other: return "other";
    }
    return "";
}

namespace detail {

/// The number of `word:[number]`.
[[nodiscard]] constexpr std::optional<std::uint64_t> bracketed_number(std::string_view text) noexcept
{
    auto const* const end = text.data() + text.size();
    auto const* const colon = text::find_byte(text.data(), end, ':');
    text::cursor in{{colon, static_cast<std::size_t>(end - colon)}};
    in.expect(":[");
    auto const number = in.decimal<std::uint64_t>();
    in.expect(']');
    if (!in.ok() || !in.at_end()) return std::nullopt;
    return number;
}

/// Is it a word that fs/nsfs.c prints before the number?
[[nodiscard]] constexpr bool is_namespace_word(std::string_view word) noexcept
{
    for (std::string_view const known : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"})
        if (word == known) return true;
    return false;
}

} // namespace detail

/// What a descriptor refers to: `fd/<number>` (fs/proc/fd.c, proc_fd_link).
/// Errors: truncated (an empty text).
/// Lifetime: `target` and the views made from it are views into the text.
struct fd_target {
    static constexpr kernel_file file = kernel_file::fd; ///< what it decodes
    static constexpr std::size_t typical_size = 4096; ///< bytes: the kernel gives at most a page
    static constexpr bool is_link = true;             ///< is read with readlink(2)
    static constexpr bool is_entry = true;            ///< one of many: `read_entry<fd_target>(descriptor, memory)`

    std::string_view target; ///< raw bytes, nothing escaped

    [[nodiscard]] constexpr fd_kind kind() const noexcept
    {
        if (target.starts_with("/memfd:") && may_be_deleted()) return fd_kind::memfd;
        if (target.starts_with('/')) return fd_kind::path;
        if (target.starts_with("anon_inode:")) return fd_kind::anon_inode;
        if (!detail::bracketed_number(target)) return fd_kind::other;
        auto const word = target.substr(0, target.find(':'));
        if (word == "socket") return fd_kind::socket;
        if (word == "pipe") return fd_kind::pipe;
        return detail::is_namespace_word(word) ? fd_kind::nsfs : fd_kind::other;
    }

    /// The inode of a socket, a pipe, or whatever else reads `word:[number]`.
    [[nodiscard]] constexpr std::optional<std::uint64_t> inode() const noexcept
    {
        if (target.starts_with('/')) return std::nullopt;
        return detail::bracketed_number(target);
    }

    /// The name given to memfd_create(2), or the kernel's name of an anonymous inode without its brackets (`"eventfd"`,
    /// `"inotify"`); empty for other kinds.
    [[nodiscard]] constexpr std::string_view name() const noexcept
    {
        auto name = target;
        switch (kind()) {
        case fd_kind::memfd:
            name.remove_prefix(std::string_view{"/memfd:"}.size());
            name.remove_suffix(deleted_suffix.size());
            return name;
        case fd_kind::anon_inode:
            name.remove_prefix(std::string_view{"anon_inode:"}.size());
            if (name.size() >= 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
            return name;
        default: return {};
        }
    }

    /// Either the file has been unlinked, or its name ends in " (deleted)": the text does not tell which.
    [[nodiscard]] constexpr bool may_be_deleted() const noexcept
    {
        return target.starts_with('/') && target.ends_with(deleted_suffix);
    }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Link, class Visitor>
    static constexpr void each_field(Link& link, Visitor&& visit) noexcept { visit("target", link.target); }

    /// Decodes the text of the link. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<fd_target> parse(std::string_view text) noexcept
    {
        if (text.empty()) return error{errc::truncated, file, 0, {}, 0};
        return fd_target{text};
    }
};

} // namespace taskpeek::procfs
