// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/mapped_pages.hpp"

#include <taskpeek/task/page_runs.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

namespace tp = taskpeek;
using taskpeek::tests::mapped_pages;
using taskpeek::tests::page;

namespace {

/// `P` present, `g` guard, `.` nothing: one letter a page.
std::string picture(tp::process const& process, mapped_pages const& m, bool only_pagemap)
{
    std::string out(m.size / page, '.');
    tp::page_runs runs{process, m.start(), m.end(), tp::bytes{page}};
    if (only_pagemap) runs.only_pagemap();
    for (auto const& run : runs) {
        for (auto a = run.start.value; a < run.end.value; a += page)
            out[(a - m.start().value) / page] = run.state.guard ? 'g' : run.state.swapped ? 's' : run.state.present ? 'P' : '?';
    }
    CHECK(runs.status());
    return out;
}

} // namespace

TEST_CASE("pages written to are present, others are nothing, whoever is asked")
{
    auto const process = tp::process::self();
    REQUIRE(process);
    mapped_pages const m{8};
    for (int const i : {1, 2, 5}) m.at[static_cast<std::size_t>(i) * page] = 1;
    CHECK(picture(process.value(), m, true) == ".PP..P..");
    CHECK(picture(process.value(), m, false) == ".PP..P..");
}

TEST_CASE("guards are told apart from swapped pages")
{
    constexpr int madv_guard_install = 102;
    auto const process = tp::process::self();
    mapped_pages const m{6};
    m.at[0] = 1;
    if (madvise(m.at + 2 * page, 2 * page, madv_guard_install) != 0) return tp::tests::skip("this kernel has no lightweight guards");
    auto const by_pagemap = picture(process.value(), m, true);
    if (by_pagemap == "P.ss..") return tp::tests::skip("this kernel shows guards as swapped");
    CHECK(by_pagemap == "P.gg..");
    CHECK(picture(process.value(), m, false) == "P.gg..");
}

TEST_CASE("more runs than one batch holds")
{
    auto const process = tp::process::self();
    mapped_pages const m{2001};
    std::string expected(2001, '.');
    for (std::size_t i = 0; i < 2001; i += 2) {
        m.at[i * page] = 1;
        expected[i] = 'P';
    }
    CHECK(picture(process.value(), m, true) == expected);
    CHECK(picture(process.value(), m, false) == expected);
}
