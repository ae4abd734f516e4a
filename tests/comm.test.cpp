// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/comm.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;

namespace {

static_assert(pf::comm::parse("init\n").value().name == "init");
static_assert(pf::comm::parse("\n").value().name.empty());
static_assert(pf::comm::parse("new\nline\n").value().name == "new\nline");
static_assert(pf::comm::parse("\n\n").value().name == "\n");
static_assert(pf::comm::parse(" a) R 1 (b \n").value().name == " a) R 1 (b ");
static_assert(pf::comm::parse("").error().code == tp::errc::truncated);

} // namespace

TEST_CASE("comm: any name comes back byte for byte")
{
    for (auto const name : {"\xff\xfe"sv, "\0\1"sv, "x:y\tz"sv, "  "sv, "a\\nb"sv, "kworker/u64:12+events_unbound-and-a-name-as-long-as-they-may-be-"sv}) {
        auto const text = std::string{name} + '\n';
        auto const decoded = pf::comm::parse(text);
        REQUIRE(decoded);
        CHECK(decoded.value().name == name);
        CHECK(text.size() < pf::comm::typical_size);
    }
}

TEST_CASE("comm: a text cut anywhere is truncated, but behind a newline of the name it is another name")
{
    tp::tests::check_every_beginning<pf::comm>("fifteen letters\n");
    tp::tests::check_every_beginning<pf::comm>("new\nline\n", [](std::string_view beginning) { return beginning.ends_with('\n'); });
}

TEST_CASE("comm: its one field has the file's name")
{
    auto const comm = pf::comm::parse("sh\n").value();
    int fields = 0;
    pf::comm::each_field(comm, [&](std::string_view key, std::string_view name) {
        ++fields;
        CHECK(key == "comm");
        CHECK(name == "sh");
    });
    CHECK(fields == 1);
}
