// SPDX-License-Identifier: BSL-1.0

#include "support/fixtures.hpp"
#include "support/targets.hpp"

#include <taskpeek/stack/symbols.hpp>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace taskpeek_test_names {

[[gnu::noinline, gnu::used]] int found_by_name(int n) { return n + 1; }

} // namespace taskpeek_test_names

namespace {

[[nodiscard]] std::string own_executable()
{
    std::ifstream in{"/proc/self/exe", std::ios::binary};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("symbols: names are demangled, versions taken off, other texts left alone")
{
    CHECK(st::demangle("_ZN3foo3barEi") == "foo::bar(int)");
    CHECK(st::demangle("memcpy@@GLIBC_2.14") == "memcpy");
    CHECK(st::demangle("puts@GLIBC_2.2.5") == "puts");
    CHECK(st::demangle("_ZN3foo3barEi.constprop.0") == "foo::bar(int) [clone .constprop.0]");
    CHECK(st::demangle("_Znonsense") == "_Znonsense");
    CHECK(st::demangle("@") == "@");
    CHECK(st::demangle("") == "");
    auto const long_name = "_Z" + std::string(5000, 'P');
    CHECK(st::demangle(long_name) == long_name);
}

TEST_CASE("symbols: a function of this program by its address, first and last byte, and none beyond")
{
    auto const self = tp::process::self();
    REQUIRE(self);
    std::vector<char> memory(1u << 20), rows(st::unwinder::typical_memory);
    auto const maps = st::mapping_table::read(self.value(), memory);
    REQUIRE(maps);
    st::unwinder code{maps.value(), self.value().id().tgid, self.value().directory(), rows};
    st::symbolizer symbols{code, self.value()};
    auto const at = reinterpret_cast<std::uintptr_t>(&taskpeek_test_names::found_by_name);
    auto const& s = symbols.find(tp::address{at});
    CHECK(s.name == "taskpeek_test_names::found_by_name(int)");
    CHECK(s.offset == 0);
    CHECK(s.module.find("symbols") != std::string::npos);
    CHECK(s.id.size > 0);
    CHECK(symbols.find(tp::address{at + 1}).offset == 1);
    CHECK(symbols.find(tp::address{at - 1}).name != s.name);
    CHECK(symbols.find(tp::address{8}).name.empty());
    CHECK(symbols.find(tp::address{reinterpret_cast<std::uintptr_t>(&s)}).name.empty());

    st::frame f;
    f.pc = tp::address{at + 2};
    f.is_return = true;
    CHECK(symbols.find(f).offset == 2);
}

TEST_CASE("symbols: a symbol table that lies is read within its bounds")
{
    auto const whole = own_executable();
    st::image clean;
    REQUIRE(clean.open(st::byte_source::copy(whole)));
    st::symbol_table table;
    REQUIRE(table.load(clean, false));
    CHECK(table.size() > 100);
    std::mt19937_64 random{11};
    auto bytes = whole;
    auto const headers = whole.size() - 64 * clean.section_count();
    unsigned loaded = 0;
    for (unsigned round = 0; round < 200; ++round) {
        auto changed = bytes;
        for (unsigned n = 0; n < 6; ++n) {
            auto const at = headers - 64 + random() % (whole.size() - headers + 64);
            if (at < changed.size()) changed[at] = static_cast<char>(random());
        }
        st::image image;
        if (!image.open(st::byte_source::copy(changed))) continue;
        st::symbol_table t;
        loaded += t.load(image, round % 2 == 0);
        for (unsigned n = 0; n < 50; ++n)
            if (auto const* const e = t.find(clean.entry() + random() % 100000); e != nullptr) (void)t.name(*e).size();
    }
    CHECK(loaded > 20);
}

TEST_CASE("symbols: a debug file is found by build-id or debuglink inside the target's root only")
{
    // A stripped target has no .symtab; its own dynamic symbols are all that is left.
    tp::tests::target_program const target{"deep-stripped", {"1"}};
    REQUIRE(target.is_ready());
    auto const process = tp::process::open(target.id());
    REQUIRE(process);
    std::vector<char> memory(1u << 20), rows(st::unwinder::typical_memory);
    auto const maps = st::mapping_table::read(process.value(), memory);
    REQUIRE(maps);
    st::unwinder code{maps.value(), target.id(), process.value().directory(), rows};
    st::symbolizer symbols{code, process.value()};
    unsigned code_vmas = 0;
    for (auto const& m : maps.value().all()) {
        if (!m.perms.execute || maps.value().path(m).find("/deep-stripped") == std::string_view::npos) continue;
        ++code_vmas;
        auto const& s = symbols.find(tp::address{m.end.value - 8});
        CHECK(s.name.empty()); // rather none than the nearest
        CHECK(s.module_offset != 0);
    }
    CHECK(code_vmas == 1);
}
