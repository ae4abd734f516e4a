// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/vas/range.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;
using vas::range_class;

static_assert(name_of(range_class::library_text) == "library_text");
static_assert(name_of(range_class::kernel_half) == "kernel_half");
static_assert(name_of(range_class{200}).empty());
static_assert(name_of(vas::basis::documented) == "documented");
static_assert(name_of(vas::basis{200}).empty());
static_assert(is_unmapped(range_class::null_page) && is_unmapped(range_class::gap) && is_unmapped(range_class::stack_growth));
static_assert(!is_unmapped(range_class::unknown) && !is_unmapped(range_class::vsyscall) && !is_unmapped(range_class::text));

TEST_CASE("each class and each basis has a name of its own")
{
    std::set<std::string> names;
    for (std::size_t i = 0; i < vas::range_class_count; ++i) names.emplace(name_of(static_cast<range_class>(i)));
    CHECK(names.size() == vas::range_class_count);
    CHECK_FALSE(names.contains(""));
    std::set<std::string> bases;
    std::size_t count = 0;
    while (!name_of(static_cast<vas::basis>(count)).empty()) bases.emplace(name_of(static_cast<vas::basis>(count++)));
    CHECK(count == static_cast<std::size_t>(vas::basis::documented) + 1);
    CHECK(bases.size() == count);
}

TEST_CASE("a range knows its place in vma and file")
{
    vas::range r;
    r.start = tp::address{0x2200};
    r.end = tp::address{0x3000};
    r.kind = range_class::bss;
    r.mapping.start = tp::address{0x1000};
    r.mapping.end = tp::address{0x3000};
    r.mapping.offset = tp::bytes{0x7000};
    CHECK(r.file_offset().count == 0); // there is no file
    r.mapping.inode = 5;
    CHECK(r.is_part());
    CHECK_FALSE(r.is_first_part());
    CHECK(r.size().count == 0xe00);
    CHECK(r.file_offset().count == 0x8200);
    CHECK(r.contains(tp::address{0x2fff}));
    CHECK_FALSE(r.contains(r.end));
    CHECK(r.has_no_permission());
    r.mapping.perms = {true, true, true, false};
    CHECK(r.is_writable_and_executable());
    r.kind = range_class::gap;
    CHECK_FALSE(r.is_mapped());
    CHECK_FALSE(r.is_part());
    CHECK_FALSE(r.is_writable_and_executable());
}
