// SPDX-License-Identifier: BSL-1.0

/// \file
/// Telling an address space apart in lent memory allocates nothing and leaves errno alone.

#include "skip.hpp"
#include "support/allocations.hpp"
#include "support/child.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/diff.hpp>
#include <taskpeek/vas/finder.hpp>
#include <taskpeek/vas/kernel_half.hpp>
#include <taskpeek/vas/model.hpp>
#include <taskpeek/vas/residency.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstddef>
#include <span>

namespace tp = taskpeek;
namespace vas = tp::vas;

namespace {

vas::image images[64];
vas::stack_pointer pointers[64];
vas::range stretches[4096];
char text[1 << 18];
char names[4096];
volatile std::size_t sink;

template <class Body>
void check_quiet(Body body)
{
    int after = 0;
    auto const count = tp::tests::allocations_in([&] {
        errno = 4711;
        body();
        after = errno;
    });
    CHECK(count == 0);
    CHECK(after == 4711);
}

} // namespace

TEST_CASE("nothing that works in lent memory allocates or touches errno")
{
    if (tp::tests::sanitized) return tp::tests::skip("the sanitizer has malloc");
    tp::tests::child const other{[] {}};
    auto const process = tp::process::open(tp::tgid{other.pid()});
    REQUIRE(process);
    vas::facts known;
    check_quiet([&] { known = vas::gather(process.value(), {images, pointers}).value(); });
    check_quiet([&] {
        std::size_t n = 0;
        for (auto const& r : vas::classify(process.value().maps(), known)) n += r.is_mapped() ? 1u : 0u;
        sink = n;
    });
    CHECK(sink > 10);
    check_quiet([&] {
        vas::model_memory const memory{{images, pointers}, stretches, text};
        sink = vas::read_model(process.value(), memory, {.numbers = true, .pages = true}).value().ranges.size();
    });
    CHECK(sink > 10);
    check_quiet([&] {
        std::span<vas::range const> const all{stretches};
        vas::diff(all.first(20), all.first(10), [&](auto const&) { sink = 1; });
    });
    for (bool const scan : {false, true}) {
        check_quiet([&] {
            auto finder = vas::finder::open(process.value(), names);
            if (scan) finder.value().only_scan();
            sink = finder.value().find(stretches[4].start).value().has_value();
        });
    }
    check_quiet([&] {
        sink = vas::read_residency(process.value(), tp::address{0x10000}, tp::address{0x20000}, tp::bytes{4096}).has_value();
    });
    check_quiet([&] { sink = vas::read_kernel_half().value().region_count; });
    CHECK(sink > 5);
}
