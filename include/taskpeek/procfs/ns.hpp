// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The links of `/proc/<tgid>/ns`: the namespaces of a task.

#include <taskpeek/result.hpp>
#include <taskpeek/text/cursor.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::procfs {

/// The namespaces that `ns/` holds (fs/proc/namespaces.c), by the names of the links, with the version that brought them as links.
/// Zombies keep `pid` and `user`; the other links give ENOENT.
inline constexpr std::string_view namespace_links[] = {
    "net",               // since 3.8
    "uts",               // since 3.8
    "ipc",               // since 3.8
    "pid",               // since 3.8
    "pid_for_children",  // since 4.12: where its children will be; reads `pid:[…]`
    "user",              // since 3.8
    "mnt",               // since 3.8
    "cgroup",            // since 4.6
    "time",              // since 5.6
    "time_for_children"  // since 5.6: where its children will be; reads `time:[…]`
};

/// One namespace of a task: the text of a link such as `ns/mnt` (fs/nsfs.c, ns_get_name). Two tasks are in the same namespace if
/// both fields are equal, on one machine.
/// Errors: truncated, malformed.
/// Lifetime: `type` is a view into the text.
struct ns {
    static constexpr kernel_file file = kernel_file::ns; ///< what it decodes
    static constexpr std::size_t typical_size = 64; ///< bytes; a word and a number
    static constexpr bool is_link = true;           ///< is read with readlink(2)
    static constexpr bool is_entry = true;          ///< one of many: `read_entry<ns>("mnt", memory)`

    std::string_view type;   ///< `"mnt"`, `"pid"`, …: the word before the number
    std::uint64_t inode = 0; ///< in nsfs; before 3.19 in procfs

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Ns, class Visitor>
    static constexpr void each_field(Ns& n, Visitor&& visit) noexcept
    {
        visit("type", n.type);
        visit("inode", n.inode);
    }

    /// Decodes the text of the link. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<ns> parse(std::string_view text) noexcept
    {
        ns n;
        text::cursor in{text};
        n.type = in.until(':');
        in.expect('[');
        n.inode = in.decimal<std::uint64_t>();
        in.expect(']');
        if (in.ok() && !in.at_end()) in.fail();
        if (in.ok() && n.type.empty()) in.fail_at(text.data());
        if (!in.ok()) return in.failure(file);
        return n;
    }

    friend constexpr bool operator==(ns, ns) noexcept = default;
};

} // namespace taskpeek::procfs
