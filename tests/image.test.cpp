// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/vas/image.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <elf.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace vas = taskpeek::vas;
using vas::range_class;

namespace {

struct made {
    std::string bytes;

    explicit made(std::vector<Elf64_Phdr> const& parts)
    {
        Elf64_Ehdr header{};
        std::memcpy(header.e_ident, "\x7f" "ELF\2\1\1", 7);
        header.e_phoff = sizeof header;
        header.e_phentsize = sizeof(Elf64_Phdr);
        header.e_phnum = static_cast<std::uint16_t>(parts.size());
        header.e_machine = EM_X86_64;
        bytes.assign(reinterpret_cast<char const*>(&header), sizeof header);
        bytes.append(reinterpret_cast<char const*>(parts.data()), parts.size() * sizeof(Elf64_Phdr));
    }

    [[nodiscard]] vas::program_headers headers() const
    {
        auto const h = vas::elf_header::parse(bytes);
        return vas::program_headers::parse(h.value(), std::string_view{bytes}.substr(sizeof(Elf64_Ehdr))).value();
    }
};

Elf64_Phdr part(std::uint32_t type, std::uint32_t flags, std::uint64_t offset, std::uint64_t vaddr, std::uint64_t filesz,
                std::uint64_t memsz)
{
    return {type, flags, offset, vaddr, vaddr, filesz, memsz, 4096};
}

/// A library as today's linkers lay it out.
std::vector<Elf64_Phdr> library()
{
    return {part(PT_LOAD, PF_R, 0, 0, 0x1800, 0x1800), part(PT_LOAD, PF_R | PF_X, 0x2000, 0x2000, 0x1234, 0x1234),
            part(PT_LOAD, PF_R, 0x4000, 0x4000, 0x500, 0x500), part(PT_LOAD, PF_R | PF_W, 0x4d00, 0x5d00, 0x500, 0x3000),
            part(PT_GNU_RELRO, PF_R, 0x4d00, 0x5d00, 0x300, 0x300)};
}

pf::vma code_at(std::uint64_t start, std::uint64_t offset)
{
    pf::vma v;
    v.start = tp::address{start};
    v.end = tp::address{start + 0x2000};
    v.offset = tp::bytes{offset};
    v.perms = {true, false, true, false};
    v.inode = 5;
    return v;
}

} // namespace

TEST_CASE("parts of an image lie where its headers say, and meet within pages")
{
    made const file{library()};
    auto const placed = vas::image::place(file.headers(), code_at(0x7f0000002000, 0x2000), 4096);
    REQUIRE(placed);
    auto const& i = placed.value();
    CHECK(i.bias == 0x7f0000000000);
    CHECK(i.start.value == 0x7f0000000000);
    CHECK(i.end.value == 0x7f0000009000);
    auto const at = [&](std::uint64_t a) {
        auto const p = i.part_at(0x7f0000000000 + a);
        return p ? std::string{name_of(p->kind)} + " " + std::to_string(p->end - 0x7f0000000000) : "none";
    };
    CHECK(at(0) == "library_rodata " + std::to_string(0x2000));
    CHECK(at(0x2000) == "library_text " + std::to_string(0x4000));
    CHECK(at(0x4fff) == "library_rodata " + std::to_string(0x5000));
    CHECK(at(0x5000) == "library_relro " + std::to_string(0x6000));
    CHECK(at(0x6000) == "library_data " + std::to_string(0x6200));
    CHECK(at(0x6200) == "library_bss " + std::to_string(0x9000));
    CHECK(at(0x9000) == "none");
}

TEST_CASE("the load bias may lie below the file's own addresses")
{
    made const file{{part(PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x1000, 0x1000)}};
    auto const placed = vas::image::place(file.headers(), code_at(0x10000, 0), 4096);
    REQUIRE(placed);
    CHECK(placed.value().start.value == 0x10000);
    CHECK(placed.value().part_at(0x10000)->kind == range_class::library_text);
}

TEST_CASE("headers that fit no mapping, overlap or overflow are malformed")
{
    auto const code_of = [](std::vector<Elf64_Phdr> const& parts) {
        made const file{parts};
        auto const placed = vas::image::place(file.headers(), code_at(0x7f0000002000, 0x2000), 4096);
        return placed ? tp::errc{} : placed.error().code;
    };
    auto const code = part(PT_LOAD, PF_R | PF_X, 0x2000, 0x2000, 0x1000, 0x1000);
    CHECK(code_of({code}) == tp::errc{});
    CHECK(code_of({}) == tp::errc::malformed);
    CHECK(code_of({part(PT_LOAD, PF_R, 0x2000, 0x2000, 0x1000, 0x1000)}) == tp::errc::malformed); // not executable
    CHECK(code_of({part(PT_LOAD, PF_R | PF_X, 0x8000, 0x2000, 0x1000, 0x1000)}) == tp::errc::malformed); // elsewhere in the file
    CHECK(code_of({code, part(PT_LOAD, PF_R, 0, 0, 0x100, 0x100)}) == tp::errc::malformed); // descending
    CHECK(code_of({code, part(PT_LOAD, PF_R, 0x3000, 0x8000, 0x100, ~0ull)}) == tp::errc::malformed);
    CHECK(code_of({code, part(PT_LOAD, PF_R, 0x2000, 0x2100, 0x100, 0x100)}) == tp::errc::malformed); // the same page
}

TEST_CASE("a file of many parts is several pieces, which tell what one would")
{
    std::vector<Elf64_Phdr> parts{part(PT_GNU_RELRO, PF_R, 0, 0x2000 * 37, 0x1000, 0x1000)};
    constexpr std::uint64_t count = 40;
    for (std::uint64_t i = 0; i < count; ++i) // in turn code, constants, and data with .bss that shares its last page with what follows
        parts.push_back(part(PT_LOAD, i % 3 == 0 ? PF_R | PF_X : i % 3 == 1 ? PF_R : PF_R | PF_W, 0x2000 * i + (i % 3 == 0 ? 0 : 0x10),
                             0x2000 * i + (i % 3 == 0 ? 0 : 0x10), 0x1800, i % 3 == 2 ? 0x1ff8 : 0x1800));
    made const file{parts};
    constexpr std::uint64_t bias = 0x7f0000000000;
    auto placed = vas::image::place(file.headers(), code_at(bias, 0), 4096);
    REQUIRE(placed);
    std::vector<vas::image> pieces{placed.value()};
    while (pieces.back().segments_behind != 0) {
        auto const next = vas::image::place_behind(pieces.back(), file.headers(), 4096);
        REQUIRE(next);
        CHECK(next.value().start == pieces.back().end);
        CHECK(next.value().is_of_same_file(pieces.front()));
        CHECK(next.value().segments_before == pieces.back().segments_before + vas::image::most_segments);
        pieces.push_back(next.value());
    }
    CHECK(pieces.size() == 3);
    CHECK(pieces.back().segments_before + pieces.back().segment_count == count);
    for (std::uint64_t i = 0; i < count; ++i) {
        auto const at = bias + 0x2000 * i;
        auto const& piece = pieces[i / vas::image::most_segments];
        CAPTURE(i);
        REQUIRE(piece.part_at(at));
        CHECK(piece.part_at(at)->kind == (i == 37   ? range_class::library_relro
                                          : i % 3 == 0 ? range_class::library_text
                                          : i % 3 == 1 ? range_class::library_rodata
                                                       : range_class::library_data));
        if (i % 3 != 2) continue;
        auto const bss = piece.part_at(at + 0x1810);
        REQUIRE(bss);
        CHECK(bss->kind == range_class::library_bss);
        CHECK(bss->end == (i + 1 == count ? at + 0x3000 : at + 0x2000)); // the part that follows has the page
    }
}

TEST_CASE("whatever headers say, a part ends behind where it was asked for")
{
    std::mt19937_64 random{3};
    int placed_count = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::vector<Elf64_Phdr> parts{part(PT_LOAD, PF_R | PF_X, 0, 0, 0x1000, 0x1000)};
        auto const number = [&] { return random() >> random() % 64; };
        for (int i = 0; i < 4; ++i)
            parts.push_back(part(random() % 4 == 0 ? PT_GNU_RELRO : PT_LOAD, static_cast<std::uint32_t>(random() % 8), number(),
                                 number(), number(), number()));
        made const file{parts};
        auto const placed = vas::image::place(file.headers(), code_at(0x10000, 0), 4096);
        if (!placed) continue;
        ++placed_count;
        for (std::uint64_t a = placed.value().start.value, steps = 0; a < placed.value().end.value && steps < 64; ++steps) {
            auto const p = placed.value().part_at(a);
            if (!p) { a += 0x1000; continue; }
            REQUIRE(p->end > a);
            a = p->end;
        }
    }
    CHECK(placed_count > 10);
}
