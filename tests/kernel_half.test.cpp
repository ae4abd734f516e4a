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
                              vas::kernel_layout_kind::arm64_39, vas::kernel_layout_kind::arm64_48, vas::kernel_layout_kind::arm64_52})
        for (auto const version : {vas::kernel_version{5, 15}, {6, 1}, {6, 6}, {6, 9}, {6, 18}}) {
            std::uint64_t at = 0;
            auto const regions = vas::documented_regions(layout, version);
            CHECK(regions.size() >= 6);
            for (auto const& r : regions) {
                CHECK(r.first >= at);
                CHECK(r.last > r.first);
                CHECK(r.source == kernel_source::documented);
                CHECK(r.file.starts_with("Documentation/"));
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
    CHECK(spelled(*find(half, 0xffffd01640000000)) == "ffffd01640000000-fffff0163fffffff vmalloc derived");
    CHECK(spelled(*find(half, 0xfffff6ea00000000)) == "fffff6ea00000000-fffff6ea00bfffff vmemmap derived");
    CHECK(spelled(*find(half, 0xffffffff86400000)) == "ffffffff86400000-ffffffff87201ef1 kernel_text measured");
    CHECK(spelled(*find(half, 0xffffffff87e00000)) == "ffffffff87e00000-ffffffff88045d3f kernel_data measured");
    CHECK(find(half, 0xffffffff87300000)->kind == kernel_class::image);
    CHECK(find(half, 0xffffffff87300000)->source == kernel_source::derived);
    CHECK(find(half, 0xffffffff87300000)->file == "/proc/kcore");
    CHECK(spelled(*find(half, 0xffffffff87400000)) == "ffffffff87400000-ffffffff87c22fff kernel_rodata derived");
    CHECK(find(half, 0xffffffff87400000)->file == "/proc/iomem, /proc/kcore");
    CHECK(spelled(*find(half, 0xffffffff886ac000)) == "ffffffff886ac000-ffffffff88bfffff kernel_bss derived");
    CHECK(half.hole.first == 0x800000000000);
    CHECK(half.hole.last == 0xffff7fffffffffff);
    CHECK(half.hole.kind == kernel_class::non_canonical);
    CHECK(find(half, 0xffffffffc0000000)->kind == kernel_class::modules);
    CHECK(find(half, 0xffffffffff600000)->kind == kernel_class::vsyscall);
    REQUIRE(half.usage);
    CHECK(half.usage->thread_stack_count > 40);
    CHECK(half.usage->irq_stack_count == 1);
    CHECK(half.usage->irq_stack_size() == tp::bytes{20480});
    CHECK(half.usage->thread_stack_size() == tp::bytes{20480}); // 16 KiB and a guard page
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
    CHECK(spelled(*find(half, 0xffffdfc207be0000)) == "ffffdfc207be0000-ffffdfc20838ffff kernel_rodata derived");
    CHECK(spelled(*find(half, 0xffffdfc208390000)) == "ffffdfc208390000-ffffdfc20880ffff kernel_image derived");
    CHECK(spelled(*find(half, 0xffffdfc208810000)) == "ffffdfc208810000-ffffdfc208aaffff kernel_data derived");
    CHECK(spelled(*find(half, 0xfffffc0000000000)) == "fffffc0000000000-fffffc0000bfffff vmemmap derived");
    CHECK(find(half, 0xffff800008000000)->kind == kernel_class::vmalloc);
    CHECK(find(half, 0xffff800000000000)->kind == kernel_class::modules);
    CHECK(spelled(*find(half, 0xffff700000000000)) == "ffff000030000000-ffff7fffffffffff direct_map documented default");
    CHECK(half.usage->irq_stack_count == 1);
    CHECK(half.usage->thread_stack_size() == tp::bytes{20480});
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

namespace {

/// A procfs of a machine that is not there: kcore with these parts, and texts.
class made_up_kernel {
public:
    struct part { std::uint64_t address, size, physical; };
    static constexpr std::uint64_t none = ~std::uint64_t{0};

    made_up_kernel(std::uint64_t machine, std::vector<part> const& parts)
    {
        std::string file(0x10000, '\0');
        auto const put = [&](std::size_t at, std::uint64_t value, std::size_t size) {
            for (std::size_t i = 0; i < size; ++i) file[at + i] = static_cast<char>(value >> 8 * i);
        };
        file.replace(0, 7, "\x7f" "ELF\2\1\1");
        put(16, 4, 2);
        put(18, machine, 2);
        put(32, 64, 8);
        put(54, 56, 2);
        put(56, parts.size(), 2);
        for (std::size_t i = 0; i < parts.size(); ++i) {
            auto const at = 64 + 56 * i;
            put(at, 1, 4);
            put(at + 8, data_at, 8);
            put(at + 16, parts[i].address, 8);
            put(at + 24, parts[i].physical, 8);
            put(at + 40, parts[i].size, 8);
        }
        for (std::size_t i = 0; i < 3; ++i) put(data_at + 0x100 + 8 * i, values[i], 8);
        write("kcore", file);
    }

    /// What the first part holds at its bytes 0x100, 0x108, 0x110.
    static inline std::uint64_t values[3] = {};

    void write(std::string const& name, std::string const& text) const
    {
        std::filesystem::create_directories(std::filesystem::path{directory_.path() + "/" + name}.parent_path());
        std::ofstream{directory_.path() + "/" + name, std::ios::binary} << text;
    }
    [[nodiscard]] vas::kernel_half read(vas::user_layout const& user = {}) const
    {
        auto const half = vas::read_kernel_half(directory_.path().c_str(), user);
        REQUIRE(half);
        return half.value();
    }

private:
    static constexpr std::size_t data_at = 0x8000;
    tp::tests::temporary_directory directory_;
};

constexpr std::uint64_t kib = 1 << 10, mib = 1 << 20, gib = 1 << 30, tib = std::uint64_t{1} << 40;
constexpr std::uint64_t x86_64 = 62, arm64 = 183;

} // namespace

TEST_CASE("values of the base variables are read through kcore")
{
    struct example { std::uint64_t page_offset, vmalloc, vmemmap, begin; };
    for (auto const& e : {example{0xffff9a0000000000, 0xffffb10000000000, 0xffffde0000000000, 0xffff800000000000},
                          {0xff19827680000000, 0xff367cc040000000, 0xfffffd0000000000, 0xff00000000000000}}) {
        made_up_kernel::values[0] = e.page_offset;
        made_up_kernel::values[1] = e.vmalloc;
        made_up_kernel::values[2] = e.vmemmap;
        made_up_kernel const kernel{x86_64, {{0xffffffff81000000, 64 * kib, 0x1000000}, {e.page_offset + mib, gib, mib}}};
        kernel.write("kallsyms", "ffffffff81000100 D page_offset_base\nffffffff81000108 D vmalloc_base\nffffffff81000110 D vmemmap_base\n");
        auto const half = kernel.read();
        CHECK(tiles(half, e.begin));
        for (auto const& [base, kind] : {std::pair{e.page_offset, kernel_class::direct_map}, {e.vmalloc, kernel_class::vmalloc},
                                         {e.vmemmap, kernel_class::vmemmap}}) {
            auto const* const r = find(half, base);
            CHECK(r->kind == kind);
            CHECK(r->first == base);
            CHECK(r->source == kernel_source::measured);
        }
        CHECK(find(half, e.page_offset)->last == e.page_offset + mib + gib - 1);
        CHECK(find(half, e.vmemmap)->size().count == tib);
        CHECK(find(half, 0xfffffe0000000000)->kind == kernel_class::cpu_entry_area); // nothing that KASLR moves comes so far
    }
}

TEST_CASE("values that no kernel has are not believed")
{
    for (std::uint64_t const value : {std::uint64_t{0}, std::uint64_t{0x1000}, std::uint64_t{0xffffb10000000123},
                                      std::uint64_t{0xfffffe0000000000}, ~std::uint64_t{0}}) {
        for (auto& v : made_up_kernel::values) v = value;
        made_up_kernel const kernel{x86_64, {{0xffffffff81000000, 64 * kib, 0x1000000}}};
        kernel.write("kallsyms", "ffffffff81000100 D page_offset_base\nffffffff81000108 D vmalloc_base\nffffffff81000110 D vmemmap_base\n");
        auto const half = kernel.read();
        CHECK(tiles(half, 0xffff800000000000));
        for (auto const& r : half.regions()) CHECK(r.source != kernel_source::measured);
    }
}

TEST_CASE("however parts and symbols overlap, the regions do not, and they end")
{
    std::vector<made_up_kernel::part> parts;
    for (std::uint64_t i = 0; i < 280; ++i)
        parts.push_back({0xffff888000000000 + i * 3 * gib, i % 7 == 0 ? 5 * gib : gib, i % 3 == 0 ? made_up_kernel::none : i * 3 * gib});
    parts.push_back({0xffffffffffffe000, ~std::uint64_t{0}, 0});
    parts.push_back({0xfffffffffffff000, 0x1000, 0});
    parts.push_back({0x1000, 0x1000, 0x1000});
    for (auto const machine : {x86_64, arm64, std::uint64_t{243}}) {
        made_up_kernel const kernel{machine, parts};
        std::string symbols;
        for (auto const* const name : {"_stext", "_etext", "__start_rodata", "__end_rodata", "_sdata", "_edata", "__bss_start", "__bss_stop"})
            symbols += "ffff888" + std::to_string(100000000 + symbols.size()) + " D " + name + "\n";
        kernel.write("kallsyms", symbols + "ffffffffffffffff T _etext\n0000000000001000 T _sdata\n");
        kernel.write("modules", "a 99999999999 0 - Live 0xffffc00000000000\nb 4096 0 - Live 0xffffffffffffffff\nc x 0 - Live\n");
        kernel.write("iomem", "ffffffffffffff00-ffffffffffffffff : Kernel code\n00000010-00000000 : Kernel data\nnonsense\n");
        auto const half = kernel.read();
        CHECK(tiles(half, half.regions().front().first));
        CHECK(half.regions().size() < vas::kernel_half::most_regions);
    }
}

TEST_CASE("without symbols, the kernel's parts are where iomem and kcore have them")
{
    made_up_kernel const kernel{x86_64, {{0xffffffffac000000, 64 * mib, 0x2be00000}}};
    kernel.write("kallsyms", "0000000000000000 T _stext\n0000000000000000 D _sdata\n");
    kernel.write("sys/kernel/kptr_restrict", "2\n");
    kernel.write("iomem", "00100000-3ffdffff : System RAM\n  2be00000-2cc01ef1 : Kernel code\n  2ce00000-2d626fff : Kernel rodata\n"
                          "  2d800000-2da45dff : Kernel data\n  2e0b1000-2e5fffff : Kernel bss\n");
    auto const half = kernel.read();
    CHECK(spelled(*find(half, 0xffffffffac000000)) == "ffffffffac000000-fffffffface01ef1 kernel_text derived");
    CHECK(spelled(*find(half, 0xffffffffad000000)) == "ffffffffad000000-ffffffffad826fff kernel_rodata derived");
    CHECK(spelled(*find(half, 0xffffffffada00000)) == "ffffffffada00000-ffffffffadc45dff kernel_data derived");
    CHECK(spelled(*find(half, 0xffffffffae2b1000)) == "ffffffffae2b1000-ffffffffae7fffff kernel_bss derived");
    REQUIRE(half.secrets().size() >= 1);
    CHECK(half.secrets()[0].rule == "addresses are zeros for everyone: kernel.kptr_restrict is 2");
}

TEST_CASE("arm64's layouts are known by where vmalloc begins and ends")
{
    struct example {
        std::uint64_t direct, modules, modules_size, vmalloc, vmalloc_end, vmemmap;
        vas::kernel_layout_kind layout;
        std::uint64_t begin;
    };
    using enum vas::kernel_layout_kind;
    constexpr auto lowest_48 = 0xffff000000000000, lowest_39 = 0xffffff8000000000, lowest_52 = 0xfff0000000000000;
    constexpr auto room_end = 0xffff800000000000, small_room_end = 0xffffffc000000000;
    for (auto const& e : {
             // the first three booted, the others follow from the kernel's headers
             example{lowest_48, room_end, 128 * mib, 0xffff800008000000, 0xfffffbfff0000000, 0xfffffc0000000000, arm64_48, lowest_48},
             {0xffff36fec0000000, room_end, 2 * gib, 0xffff800080000000, 0xfffffdffbf800000, 0xfffffedbbb000000, arm64_48, lowest_48},
             {lowest_52, room_end, 2 * gib, 0xffff800080000000, 0xffffc1ffbf800000, 0xffffc1ffc0000000, arm64_52, lowest_52},
             {lowest_39, small_room_end, 128 * mib, 0xffffffc008000000, 0xfffffffdf0000000, 0xfffffffe00000000, arm64_39, lowest_39},
             {0xffffff8012340000, small_room_end, 2 * gib, 0xffffffc080000000, 0xfffffffebf800000, 0xfffffffec0000000, arm64_39, lowest_39},
         }) {
        auto const none = made_up_kernel::none;
        made_up_kernel const kernel{arm64,
                                    {{e.vmalloc + tib / 16, 32 * mib, 0x40200000},
                                     {e.vmalloc, e.vmalloc_end - e.vmalloc, none},
                                     {e.modules, e.modules_size, none},
                                     {e.direct, gib, 0x40000000},
                                     {e.vmemmap, 16 * mib, none}}};
        kernel.write("sys/kernel/osrelease", e.modules_size == 2 * gib ? "6.12.1-arm64\n" : "6.1.0-50-arm64\n");
        auto const half = kernel.read();
        CAPTURE(name_of(e.layout));
        CHECK(half.layout == e.layout);
        CHECK(tiles(half, e.begin));
        CHECK(half.hole.last == e.begin - 1);
        auto const told = [&](std::uint64_t at) { return find(half, at)->kind; };
        CHECK(told(e.begin) == kernel_class::direct_map);
        CHECK(told(e.modules) == kernel_class::modules);
        CHECK(told(e.modules - 1) == kernel_class::direct_map);
        CHECK(told(e.vmalloc) == kernel_class::vmalloc);
        CHECK(told(e.vmalloc + tib / 16) == kernel_class::image);
        CHECK(told(e.vmalloc_end - 1) == kernel_class::vmalloc);
        CHECK(told(e.vmalloc_end) != kernel_class::vmalloc);
        CHECK(told(e.vmemmap) == kernel_class::vmemmap);
        // what the documents say agrees with what kcore has
        auto const version = e.modules_size == 2 * gib ? vas::kernel_version{6, 12} : vas::kernel_version{6, 1};
        auto const documents = vas::documented_regions(e.layout, version);
        CHECK(documents.find(kernel_class::vmalloc)->first == e.vmalloc);
        CHECK(documents.find(kernel_class::vmalloc)->last == e.vmalloc_end - 1);
        CHECK(documents.find(kernel_class::vmemmap)->contains(tp::address{e.vmemmap}));
    }
    made_up_kernel const strange{arm64, {{0xfffffe0008000000, tib, made_up_kernel::none}}}; // VA_BITS 42, pages of 64 KiB
    CHECK(strange.read().layout == vas::kernel_layout_kind::unknown);
    CHECK(tiles(strange.read(), 0x8000000000000000));
}

TEST_CASE("modules that arm64's KASLR has put beside the kernel are told from vmalloc")
{
    auto const none = made_up_kernel::none;
    made_up_kernel const kernel{arm64,
                                {{0xffffba7be6e00000, 27 * mib, 0x40200000},
                                 {0xffff800008000000, 0xfffffbfff0000000 - 0xffff800008000000, none},
                                 {0xffff800000000000, 128 * mib, none}}};
    kernel.write("kallsyms", "ffffba7be6e10000 T _stext\nffffba7be79e0000 D _etext\n");
    kernel.write("modules", "loop 36864 0 - Live 0xffffba7ba5edf000\ntun 61440 0 - Live 0xffffba7ba5eea000\n");
    auto const half = kernel.read();
    CHECK(spelled(*find(half, 0xffffba7ba5edf000)) == "ffffba7ba5edf000-ffffba7ba5ef8fff modules derived");
    CHECK(find(half, 0xffffba7ba5edf000)->file == "/proc/modules");
    CHECK(find(half, 0xffffba7ba5ede000)->kind == kernel_class::vmalloc);
    CHECK(find(half, 0xffffba7ba5efa000)->kind == kernel_class::vmalloc);
    CHECK(half.usage->module_count == 2);
    CHECK(half.usage->modules == tp::bytes{36864 + 61440});
}

TEST_CASE("a kcore without physical addresses, as before Linux 4.11, is told by order")
{
    made_up_kernel const kernel{x86_64,
                                {{0xffffffff81000000, 16 * mib, 0},
                                 {0xffff888000001000, gib, 0},
                                 {0xffffc90000000000, 32 * tib - 1, 0},
                                 {0xffffffffa0000000, 1520 * mib, 0},
                                 {0xffffea0000000000, 16 * mib, 0},
                                 {0xffffffffff600000, 4 * kib, 0}}};
    kernel.write("kallsyms", "ffffffff81000000 T _stext\nffffffff81800000 T _etext\n");
    auto const half = kernel.read();
    CHECK(tiles(half, 0xffff800000000000));
    for (auto const& [at, kind] : {std::pair{0xffff888000001000, kernel_class::direct_map}, {0xffffc90000000000, kernel_class::vmalloc},
                                   {0xffffffffa0000000, kernel_class::modules}, {0xffffea0000000000, kernel_class::vmemmap},
                                   {0xffffffffff600000, kernel_class::vsyscall}, {0xffffffff81900000, kernel_class::image}}) {
        CHECK(find(half, at)->kind == kind);
        CHECK(find(half, at)->source == kernel_source::derived);
    }
}

TEST_CASE("what is hidden is said by the rule that hides it")
{
    tp::tests::temporary_directory const directory;
    auto const write = [&](std::string const& name, std::string const& text) {
        std::filesystem::create_directories(std::filesystem::path{directory.path() + "/" + name}.parent_path());
        std::ofstream{directory.path() + "/" + name} << text;
    };
    write("kallsyms", "0000000000000000 T _stext\n");
    write("modules", "loop 36864 0 - Live 0x0000000000000000\n");
    write("iomem", "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n");
    for (auto const* const setting : {"0", "1", "2"}) {
        write("sys/kernel/kptr_restrict", std::string{setting} + "\n");
        auto const read = vas::read_kernel_half(directory.path().c_str());
        REQUIRE(read);
        auto const secrets = read.value().secrets();
        REQUIRE(secrets.size() == 5);
        CHECK(secrets[0].file == "/proc/kallsyms");
        CHECK(secrets[0].rule.find(std::string{"kptr_restrict is "} + setting) != std::string_view::npos);
        CHECK(secrets[1].file == "/proc/modules");
        CHECK(secrets[1].rule == secrets[0].rule);
        CHECK(secrets[2].file == "/proc/kcore");
        CHECK(secrets[3].file == "/proc/iomem");
        CHECK(secrets[3].rule == "addresses are zeros without CAP_SYS_ADMIN");
        CHECK(secrets[4].file == "/proc/vmallocinfo");
        for (auto const& r : read.value().regions()) CHECK(r.source == kernel_source::documented);
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
