// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/cgroup`: the control groups of a task.

#include <taskpeek/result.hpp>
#include <taskpeek/text/lines.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::procfs {

/// A task's place in one hierarchy of control groups: one line of `cgroup`.
struct cgroup_membership {
    std::uint32_t hierarchy_id = 0; ///< 0: the unified hierarchy of cgroup v2
    std::string_view controllers;   ///< of v1, with commas between: `cpu,cpuacct`, `name=systemd`; empty of v2
    std::string_view path;          ///< from the root that the reader's cgroup namespace has (`/../x` outside it); may hold colons

    /// Is it the hierarchy of cgroup v2?
    [[nodiscard]] constexpr bool is_unified() const noexcept { return hierarchy_id == 0; }

    /// Is \p controller among the controllers of this v1 hierarchy? `"cpu"`, `"name=systemd"`.
    [[nodiscard]] constexpr bool has_controller(std::string_view controller) const noexcept
    {
        for (auto rest = controllers;;) {
            auto const comma = rest.find(',');
            if (!rest.empty() && rest.substr(0, comma) == controller) return true;
            if (comma == std::string_view::npos) return false;
            rest.remove_prefix(comma + 1);
        }
    }

    /// Either the v2 group has been removed, or its name ends in " (deleted)": the text does not tell which.
    [[nodiscard]] constexpr bool may_be_deleted() const noexcept { return is_unified() && path.ends_with(" (deleted)"); }

    friend constexpr bool operator==(cgroup_membership const&, cgroup_membership const&) noexcept = default;
};

/// `4:memory:/user.slice`.
constexpr void read_value(text::cursor& in, cgroup_membership& out) noexcept
{
    out.hierarchy_id = in.decimal<std::uint32_t>();
    in.expect(':');
    out.controllers = in.until(':');
    auto const* const path = in.position();
    in.expect('/');
    read_value(in, out.path);
    if (in.ok()) out.path = {path, out.path.size() + 1};
}

/// The lines of `cgroup` (kernel/cgroup/cgroup.c, proc_cgroup_show): one for each hierarchy that is mounted, none if none is. The
/// kernel lets no group's name hold a newline.
/// A text cut between two lines is not known from one of a machine with fewer hierarchies.
/// Errors: truncated, malformed.
/// Lifetime: views into the text.
struct cgroup {
    static constexpr kernel_file file = kernel_file::cgroup; ///< what it decodes
    static constexpr std::size_t typical_size = 4096; ///< bytes; a dozen v1 hierarchies

    text::lines<cgroup_membership> memberships; ///< the hierarchy mounted last comes first; that of v2 stands at the end

    /// The place in the hierarchy of cgroup v2.
    [[nodiscard]] constexpr std::optional<cgroup_membership> unified() const noexcept
    {
        for (auto const membership : memberships)
            if (membership.is_unified()) return membership;
        return std::nullopt;
    }

    /// The place in the v1 hierarchy that has \p controller: `"memory"`, `"name=systemd"`.
    [[nodiscard]] constexpr std::optional<cgroup_membership> with_controller(std::string_view controller) const noexcept
    {
        for (auto const membership : memberships)
            if (membership.has_controller(controller)) return membership;
        return std::nullopt;
    }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Cgroup, class Visitor>
    static constexpr void each_field(Cgroup& c, Visitor&& visit) noexcept { visit("cgroup", c.memberships); }

    /// Decodes the whole text of the file. Errors: those of the record, above.
    [[nodiscard]] static constexpr result<cgroup> parse(std::string_view text) noexcept
    {
        cgroup c;
        text::cursor in{text};
        text::read_lines(in, c.memberships);
        if (!in.ok()) return in.failure(file);
        return c;
    }
};

} // namespace taskpeek::procfs
