// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Resource limits, got and set through prlimit(2).

#include <taskpeek/io/syscall.hpp>
#include <taskpeek/procfs/limits.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/task/process.hpp>

#include <cstdint>

namespace taskpeek {

namespace detail {

/// `struct rlimit64` of include/uapi/linux/resource.h.
struct kernel_rlimit {
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;
};

/// Is \p target numbered as the calling process is, which is how prlimit(2) takes its number? Not if its root is a recording, or the
/// `/proc` of another pid namespace: the `self` beside it is then not the caller's.
[[nodiscard]] inline result<void> check_numbering(process const& target) noexcept
{
    char name[16];
    auto const self = io::read_link_at(target.directory(), "../self", name, sizeof name);
    if (self.ok() && io::number_in({name, self.count()}) == io::system_call(SYS_getpid).value()) return success();
    if (auto const there = target.check(); !there) return there.error();
    return error{errc::unsupported, kernel_file::prlimit, 0, target.id(), 0};
}

[[nodiscard]] inline result<kernel_rlimit> prlimit(tgid process, resource what, kernel_rlimit const* set) noexcept
{
    kernel_rlimit old;
    auto const done = io::system_call(SYS_prlimit64, process.value, static_cast<long>(what), io::as_argument(set), io::as_argument(&old));
    if (!done.ok()) return os_failure(done.error(), kernel_file::prlimit, leader_of(process));
    return old;
}

template <resource R>
[[nodiscard]] rlimit<R> from_kernel(kernel_rlimit const& l) noexcept
{
    return {from_rlim<rlimit_unit<R>>(l.soft), from_rlim<rlimit_unit<R>>(l.hard)};
}

/// Sets and gives what was before. The kernel's EINVAL is soft above hard; its EPERM a raised hard limit, or another user's process.
template <resource R>
[[nodiscard]] result<rlimit<R>> exchange(tgid process, rlimit<R> const& wanted) noexcept
{
    kernel_rlimit const set{to_rlim(wanted.soft), to_rlim(wanted.hard)};
    auto const old = detail::prlimit(process, R, &set);
    if (!old) return old.error();
    return from_kernel<R>(old.value());
}

} // namespace detail

/// The calling process's limits on \p R. \code auto const stack = tp::get_rlimit<tp::resource::stack>(); \endcode
/// Errors: none but os.
template <resource R>
[[nodiscard]] result<rlimit<R>> get_rlimit() noexcept
{
    auto const now = detail::prlimit(tgid{0}, R, nullptr);
    if (!now) return now.error();
    return detail::from_kernel<R>(now.value());
}

/// The limits of \p target on \p R (prlimit(2), since 2.6.36). The call takes a number, so the handle is looked at again after it.
/// Errors: vanished, denied (another user's process, without CAP_SYS_RESOURCE), unsupported (the handle's root is not the `/proc` of
/// the caller's own pid namespace; its file `limits` can be read), os.
template <resource R>
[[nodiscard]] result<rlimit<R>> get_rlimit(process const& target) noexcept
{
    if (auto const usable = detail::check_numbering(target); !usable) return usable.error();
    auto const now = detail::prlimit(target.id().tgid, R, nullptr);
    if (auto const still = target.check(); !still) return still.error();
    if (!now) return now.error();
    return detail::from_kernel<R>(now.value());
}

/// Sets the calling process's limits on \p R. \return what they were.
/// Errors: invalid (soft above hard), denied (a hard limit raised without CAP_SYS_RESOURCE), os.
template <resource R>
[[nodiscard]] result<rlimit<R>> set_rlimit(rlimit<R> const& wanted) noexcept
{
    return detail::exchange<R>(tgid{0}, wanted);
}

/// Sets the limits of \p target on \p R. \return what they were.
/// The handle is looked at right before the call. A window remains: should the process end and its number be given to another between
/// the look and the call, the other's limits are set. Hold the target's parent, or a pidfd of your own, where that matters.
/// Errors: vanished, invalid (soft above hard), denied (a raised hard limit or another user's process, without CAP_SYS_RESOURCE),
/// unsupported (the handle's root is not the `/proc` of the caller's own pid namespace), os.
template <resource R>
[[nodiscard]] result<rlimit<R>> set_rlimit(process const& target, rlimit<R> const& wanted) noexcept
{
    if (auto const usable = detail::check_numbering(target); !usable) return usable.error();
    if (auto const there = target.check(); !there) return there.error();
    return detail::exchange<R>(target.id().tgid, wanted);
}

} // namespace taskpeek
