// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `result<T>`: a value, or the reason why there is none.

#include <taskpeek/error.hpp>

#include <boost/outcome/basic_result.hpp>
#include <boost/outcome/policy/terminate.hpp>

namespace taskpeek {

/// A \p T or an `error`. Taking the value of a failure (or the error of a success) ends the program; test it first:
/// \code
/// if (!r) return r.error();
/// use(r.value());
/// \endcode
template <class T>
using result = boost::outcome_v2::basic_result<T, error, boost::outcome_v2::policy::terminate>;

/// Makes a `result<T>` whose value is there to be filled in: `result<T> r{in_place<T>}`. A large record is so not copied.
template <class T>
inline constexpr auto in_place = boost::outcome_v2::in_place_type<T>;

/// The value of a `result<void>` that succeeded.
[[nodiscard]] constexpr auto success() noexcept { return boost::outcome_v2::success(); }

} // namespace taskpeek
