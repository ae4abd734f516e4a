// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/fixtures.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/kernel_half.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;
using vas::kernel_class;
using vas::kernel_source;

namespace {

std::string spelled(vas::kernel_region const& r)
{
    char text[160];
    std::snprintf(text, sizeof text, "%llx-%llx %s %s", static_cast<unsigned long long>(r.first), static_cast<unsigned long long>(r.last),
                  std::string{name_of(r.kind)}.c_str(), std::string{name_of(r.source)}.c_str());
    return text;
}

bool tiles(vas::kernel_half const& half, std::uint64_t begin)
{
    auto at = begin;
    for (auto const& r : half.regions()) {
        if (r.first != at || r.last < r.first) return false;
        at = r.last + 1;
    }
    return at == 0; // 2^64
}

vas::kernel_region const* find(vas::kernel_half const& half, std::uint64_t a)
{
    for (auto const& r : half.regions())
        if (r.contains(tp::address{a})) return &r;
    return nullptr;
}

/// A recorded tree, its piece of kcore and its few symbols under the kernel's names.
struct recorded_kernel {
    explicit recorded_kernel(std::string const& name) : tree{name}, root{tree.root()}
    {
        std::filesystem::rename(root + "/kcore.head", root + "/kcore");
        std::filesystem::rename(root + "/kallsyms.some", root + "/kallsyms");
    }
    tp::tests::recorded_tree tree;
    std::string root;
};

} // namespace

TEST_CASE("every documented layout ascends without overlap")
{
    for (auto const layout : {vas::kernel_layout_kind::x86_64_4_level, vas::kernel_layout_kind::x86_64_5_level,
                              vas::kernel_layout_kind::arm64_39, vas::kernel_layout_kind::arm64_48}) {
        std::uint64_t at = 0;
        auto const regions = vas::documented_regions(layout);
        CHECK(regions.size() >= 6);
        for (auto const& r : regions) {
            CHECK(r.first >= at);
            CHECK(r.last > r.first);
            CHECK(r.source == kernel_source::documented);
            at = r.last;
        }
    }
    CHECK(vas::documented_regions(vas::kernel_layout_kind::unknown).empty());
}

TEST_CASE("on an x86-64 machine, kcore and the symbols tell what KASLR moved")
{
    recorded_kernel const kernel{"linux-6.1-x86_64"};
    auto const read = vas::read_kernel_half(kernel.root.c_str());
    REQUIRE(read);
    auto const& half = read.value();
    CHECK(half.layout == vas::kernel_layout_kind::x86_64_4_level);
    CHECK(tiles(half, 0xffff800000000000));
    CHECK(spelled(*find(half, 0xffff8da840100000)) == "ffff8da840001000-ffff8da86ffdffff direct_map derived");
    CHECK(spelled(*find(half, 0xffffd01640000000)) == "ffffd01640000000-fffff0163ffffffe vmalloc derived");
    CHECK(spelled(*find(half, 0xfffff6ea00000000)) == "fffff6ea00000000-fffff6ea00bfffff vmemmap derived");
    CHECK(spelled(*find(half, 0xffffffff86400000)) == "ffffffff86400000-ffffffff87201ef1 kernel_text measured");
    CHECK(spelled(*find(half, 0xffffffff87e00000)) == "ffffffff87e00000-ffffffff88045d3f kernel_data measured");
    CHECK(find(half, 0xffffffff87300000)->kind == kernel_class::image);
    CHECK(find(half, 0xffffffff87300000)->source == kernel_source::derived);
    CHECK(find(half, 0xffffffffc0000000)->kind == kernel_class::modules);
    CHECK(find(half, 0xffffffffff600000)->kind == kernel_class::vsyscall);
    REQUIRE(half.usage);
    CHECK(half.usage->thread_stack_count > 40);
    CHECK(half.usage->irq_stack_count == 1);
    for (auto const& r : half.regions()) // no region KASLR moves is still where the documents have it
        if (r.kind == kernel_class::direct_map || r.kind == kernel_class::vmalloc || r.kind == kernel_class::vmemmap)
            CHECK(r.source != kernel_source::documented);
}

TEST_CASE("on an arm64 machine, too")
{
    recorded_kernel const kernel{"linux-6.1-aarch64"};
    auto const read = vas::read_kernel_half(kernel.root.c_str());
    REQUIRE(read);
    auto const& half = read.value();
    CHECK(half.layout == vas::kernel_layout_kind::arm64_48);
    CHECK(tiles(half, 0xffff000000000000));
    CHECK(spelled(*find(half, 0xffff000000000000)) == "ffff000000000000-ffff00002fffffff direct_map derived");
    CHECK(spelled(*find(half, 0xffffdfc207010000)) == "ffffdfc207010000-ffffdfc207bdffff kernel_text measured");
    CHECK(spelled(*find(half, 0xffffdfc207be0000)) == "ffffdfc207be0000-ffffdfc208aaffff kernel_image derived");
    CHECK(spelled(*find(half, 0xfffffc0000000000)) == "fffffc0000000000-fffffc0000bfffff vmemmap derived");
    CHECK(find(half, 0xffff800008000000)->kind == kernel_class::vmalloc);
    CHECK(find(half, 0xffff800000000000)->kind == kernel_class::modules);
}

TEST_CASE("without kcore and symbols there are documented defaults, and what is hidden is said")
{
    tp::tests::temporary_directory const directory;
    std::ofstream{directory.path() + "/kallsyms"} << "0000000000000000 T _stext\n0000000000000000 T _etext\n0000000000000000 D vmalloc_base\n";
    for (auto const& [begin, layout] : {std::pair{0xffff800000000000, vas::kernel_layout_kind::x86_64_4_level},
                                        {0xff00000000000000, vas::kernel_layout_kind::x86_64_5_level},
                                        {0xffff000000000000, vas::kernel_layout_kind::arm64_48},
                                        {0xffffff8000000000, vas::kernel_layout_kind::arm64_39}}) {
        auto const read = vas::read_kernel_half(directory.path().c_str(), {0, begin});
        REQUIRE(read);
        auto const& half = read.value();
        CHECK(half.layout == layout);
        CHECK(tiles(half, begin));
        for (auto const& r : half.regions()) CHECK(r.source == kernel_source::documented);
        REQUIRE(half.secrets().size() >= 2);
        CHECK(half.secrets()[0].file == "/proc/kallsyms");
        CHECK(half.secrets()[0].rule.find("kptr_restrict") != std::string_view::npos);
        CHECK(half.secrets()[1].file == "/proc/kcore");
    }
}

TEST_CASE("values of the base variables are read through kcore")
{
    // a kcore of one part, which holds the three variables
    tp::tests::temporary_directory const directory;
    std::string file(0x1000, '\0');
    auto const put = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) file[at + i] = static_cast<char>(value >> 8 * i);
    };
    file.replace(0, 7, "\x7f" "ELF\2\1\1");
    put(16, 4, 2);
    put(18, 62, 2);
    put(32, 64, 8);
    put(54, 56, 2);
    put(56, 1, 2);
    put(64, 1, 4);
    put(64 + 8, 0x1000, 8);
    put(64 + 16, 0xffffffff81000000, 8);
    put(64 + 24, 0x1000000, 8);
    put(64 + 40, 0x1000, 8);
    file.resize(0x2000);
    put(0x1100, 0xffff9a0000000000, 8);
    put(0x1108, 0xffffb10000000000, 8);
    put(0x1110, 0xffffde0000000000, 8);
    std::ofstream{directory.path() + "/kcore", std::ios::binary} << file;
    std::ofstream{directory.path() + "/kallsyms"} << "ffffffff81000100 D page_offset_base\nffffffff81000108 D vmalloc_base\nffffffff81000110 D vmemmap_base\n";
    auto const read = vas::read_kernel_half(directory.path().c_str());
    REQUIRE(read);
    auto const& half = read.value();
    CHECK(tiles(half, 0xffff800000000000));
    for (auto const& [base, kind] : {std::pair{0xffff9a0000000000, kernel_class::direct_map}, {0xffffb10000000000, kernel_class::vmalloc},
                                     {0xffffde0000000000, kernel_class::vmemmap}}) {
        auto const* const r = find(half, base);
        CHECK(r->kind == kind);
        CHECK(r->first == base);
        CHECK(r->source == kernel_source::measured);
    }
}

TEST_CASE("a symbol of a module is none of the kernel's")
{
    vas::kernel_symbols symbols;
    CHECK(symbols.take("ffffffff81000000 T _stext"));
    CHECK(symbols.take("not a symbol"));
    CHECK_FALSE(symbols.take("ffffffffc0000000 t _etext\t[evil]"));
    CHECK(symbols.stext == 0xffffffff81000000);
    CHECK(symbols.etext == 0);
    CHECK_FALSE(symbols.hidden);
}

TEST_CASE("this kernel's half is told whole, and its text where its symbols are")
{
    auto const read = vas::read_kernel_half();
    REQUIRE(read);
    auto const& half = read.value();
    if (half.layout == vas::kernel_layout_kind::unknown) return tp::tests::skip("this architecture's layout is not known");
    CHECK(tiles(half, half.regions().front().first));
    std::ifstream symbols{"/proc/kallsyms"};
    std::string address, type, name;
    std::uint64_t stext = 0;
    while (stext == 0 && symbols >> address >> type >> name)
        if (name == "_stext") stext = std::stoull(address, nullptr, 16);
    if (stext == 0) {
        CHECK_FALSE(half.secrets().empty());
        return;
    }
    auto const* const text = find(half, stext);
    REQUIRE(text != nullptr);
    CHECK(text->kind == kernel_class::text);
    CHECK(text->first == stext);
    CHECK(text->source == kernel_source::measured);
}
