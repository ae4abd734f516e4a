// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/io/buffer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace tp = taskpeek;

static_assert(tp::buffer<100>::size() == 100);
static_assert(sizeof(tp::buffer<100>) == 100, "nothing but the bytes");
static_assert(tp::lent_buffer{}.empty());

// Memory that is gone at the end of the statement, or may not be written, cannot be lent.
static_assert(!std::is_constructible_v<tp::lent_buffer, std::vector<char>>);
static_assert(!std::is_constructible_v<tp::lent_buffer, std::string>);
static_assert(!std::is_constructible_v<tp::lent_buffer, tp::buffer<8>>);
static_assert(!std::is_constructible_v<tp::lent_buffer, std::vector<char> const&>);
static_assert(!std::is_constructible_v<tp::lent_buffer, char const (&)[8]>);
static_assert(!std::is_constructible_v<tp::lent_buffer, std::vector<int>&>);

TEST_CASE("memory is lent from whatever holds chars")
{
    auto const lends = [](tp::lent_buffer lent, char const* data, std::size_t size) {
        CHECK(lent.data() == data);
        CHECK(lent.size() == size);
        CHECK(lent.empty() == (size == 0));
    };
    char array[10] = {};
    lends(array, array, 10);
    tp::buffer<20> own;
    lends(own, own.data(), 20);
    std::vector<char> vector(30);
    lends(vector, vector.data(), 30);
    std::string string(40, ' ');
    lends(string, string.data(), 40);
    std::array<char, 50> fixed{};
    lends(fixed, fixed.data(), 50);
    std::span<char> span{array, 5};
    lends(span, array, 5);
    lends({array, 3}, array, 3);
    lends({}, nullptr, 0);
}
