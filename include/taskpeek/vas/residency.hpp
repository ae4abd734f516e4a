// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// How much of a part of an address space is in memory, in swap, or neither.

#include <taskpeek/result.hpp>
#include <taskpeek/task/page_runs.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/units.hpp>
#include <taskpeek/vas/range.hpp>

namespace taskpeek::vas {

/// Adds up the pages from \p start to \p end. Errors: as `page_runs::status`.
[[nodiscard]] inline result<residency> read_residency(process const& target, address start, address end, bytes page_size) noexcept
{
    residency sum;
    page_runs runs{target, start, end, page_size};
    for (auto const& run : runs) sum.add(run);
    if (auto const ended = runs.status(); !ended) return ended.error();
    return sum;
}

} // namespace taskpeek::vas
