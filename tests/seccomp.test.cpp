// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/seccomp.hpp>

#include <string_view>
#include <utility>

#include <linux/seccomp.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

static_assert(pf::seccomp_mode{SECCOMP_MODE_DISABLED}.name() == "disabled");
static_assert(pf::seccomp_mode{SECCOMP_MODE_STRICT}.name() == "strict");
static_assert(pf::seccomp_mode{SECCOMP_MODE_FILTER}.name() == "filter");
static_assert(pf::seccomp_mode{3}.name().empty());

} // namespace

TEST_CASE("seccomp: the mode is kept whatever its number")
{
    for (auto const& [text, number] : {std::pair{"0\n", 0u}, std::pair{"2\n", 2u}, std::pair{"9\n", 9u}, std::pair{"4294967295\n", UINT32_MAX}}) {
        tp::text::cursor in{text};
        pf::seccomp_mode mode;
        read_value(in, mode);
        CHECK(in.ok());
        CHECK(mode == pf::seccomp_mode{number});
    }
}

TEST_CASE("seccomp: no number, or one past 32 bits, is an error")
{
    for (auto const text : {"", "\n", "-1\n", "strict\n", "4294967296\n"}) {
        tp::text::cursor in{text};
        pf::seccomp_mode mode;
        read_value(in, mode);
        CHECK_FALSE(in.ok());
        CHECK(in.failure(tp::kernel_file::status).offset == 0);
    }
}
