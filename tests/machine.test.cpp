// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/stack/machine.hpp>

#include <doctest/doctest.h>

namespace st = taskpeek::stack;

static_assert(st::traits_of(st::machine::x86_64).sp == 7 && st::traits_of(st::machine::aarch64).sp == 31);
static_assert(!st::registers{st::machine::x86_64}.has(16), "nothing is known at first");

TEST_CASE("machine: a register is known once it is set, and no register beyond the last is")
{
    st::registers r{st::machine::x86_64};
    r.set(7, 0x1000);
    r.set(16, 0x400123);
    CHECK(r.has(7));
    CHECK(r.sp() == taskpeek::address{0x1000});
    CHECK(r.pc() == taskpeek::address{0x400123});
    CHECK_FALSE(r.has(6));
    CHECK(r[6] == 0);
    r.set(st::register_count, 1);
    r.set(255, 1);
    CHECK_FALSE(r.has(st::register_count));
    CHECK_FALSE(r.has(255));
    r.forget(7);
    CHECK_FALSE(r.has(7));
}

TEST_CASE("machine: registers are equal when what is known is equal")
{
    st::registers a{st::machine::aarch64}, b{st::machine::aarch64};
    a.set(3, 1);
    b.set(3, 2);
    CHECK_FALSE(a == b);
    b.set(3, 1);
    CHECK(a == b);
    b.set(4, 0);
    CHECK_FALSE(a == b);
    b.forget(4);
    CHECK(a == b);
    CHECK_FALSE(a == st::registers{st::machine::x86_64});
}
