// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/vm_flags.hpp>

#include <set>
#include <string>
#include <string_view>

#include <range/v3/range/concepts.hpp>

namespace text = taskpeek::text;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using taskpeek::tests::gives;

namespace {

[[nodiscard]] constexpr pf::vm_flags read(std::string_view s)
{
    text::cursor in{s};
    pf::vm_flags flags;
    read_value(in, flags);
    return flags;
}

// As printed: each code is followed by a blank.
constexpr auto flags = read("rd ex mr mw me \n");
static_assert(gives(flags, {pf::vm_flag{"rd"}, pf::vm_flag{"ex"}, pf::vm_flag{"mr"}, pf::vm_flag{"mw"}, pf::vm_flag{"me"}}));
static_assert(flags.has("rd") && flags.has("me") && !flags.has("wr") && !flags.has("r") && !flags.has("d ") && !flags.has(""));
static_assert(flags.text() == "rd ex mr mw me");

static_assert(read("").text().empty() && read("\n").begin() == read("\n").end() && read(" \n").text().empty() && !read(" \n").has(""));
static_assert(gives(read("rd,wr\tex  sh"), {pf::vm_flag{"rd"}, pf::vm_flag{"wr"}, pf::vm_flag{"ex"}, pf::vm_flag{"sh"}}),
              "whatever separates, no part is two flags");
static_assert(read("rd").has("rd"), "the newline is the caller's");

// Letters that are not known are kept: bits that the kernel has no letters for, Android's padding, codes to come.
constexpr auto strange = read("rd ?? zz pad=16kB xyz \n");
static_assert(strange.has("??") && strange.has("zz") && strange.has("pad=16kB") && strange.has("xyz"));
static_assert(pf::vm_flag{"zz"}.meaning().empty() && pf::vm_flag{"??"}.meaning().empty() && pf::vm_flag{""}.meaning().empty());
static_assert(pf::vm_flag{"gd"}.meaning() == "stack that grows down");

static_assert(ranges::forward_range<pf::vm_flags const> && ranges::view_<pf::vm_flags>);

} // namespace

TEST_CASE("vm_flags: every code of 3.10 to 6.19 has a meaning of its own")
{
    constexpr std::string_view codes[] = {
        "rd", "wr", "ex", "sh", "mr", "mw", "me", "ms", "gd", "um", "pf", "gu", "dw", "uw", "lo", "io", "sr", "rr", "dc", "de", "lf",
        "ac", "nr", "ht", "nl", "sf", "ar", "wf", "dd", "bt", "mp", "sd", "mm", "hg", "nh", "mg", "mt", "ui", "ss", "dp", "sl"};
    std::set<std::string_view> meanings;
    for (auto const code : codes) {
        CAPTURE(code);
        auto const meaning = pf::vm_flag{code}.meaning();
        CHECK_FALSE(meaning.empty());
        CHECK(meanings.insert(meaning).second);
    }
    CHECK(meanings.size() == 41);
}
