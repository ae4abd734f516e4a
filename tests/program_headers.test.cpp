// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/vas/program_headers.hpp>

#include <doctest/doctest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

namespace {

std::string own_program()
{
    std::ifstream in{"/proc/self/exe", std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// A 32-bit big-endian header with one PT_LOAD.
constexpr unsigned char big_endian_32[] = {
    0x7f, 'E', 'L', 'F', 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 2, 0, 20, 0, 0, 0, 1, 0x10, 0, 0, 0x10, 0, 0, 0, 52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 1, 0, 0, 1, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5, 0, 1, 0, 0};

constexpr bool decodes_big_endian_32()
{
    char bytes[sizeof big_endian_32]{};
    for (std::size_t i = 0; i < sizeof bytes; ++i) bytes[i] = static_cast<char>(big_endian_32[i]);
    std::string_view const text{bytes, sizeof bytes};
    auto const header = vas::elf_header::parse(text);
    if (!header || header.value().word_size != 4 || !header.value().big_endian || header.value().machine != 20 ||
        header.value().entry != 0x10000010)
        return false;
    auto const all = vas::program_headers::parse(header.value(), text.substr(52));
    if (!all || all.value().size() != 1) return false;
    auto const h = all.value()[0];
    return h == vas::program_header{vas::segment_type::load, {true, false, true}, 0x100, 0x10000000, 0x10000000, 7, 9, 0x10000};
}
static_assert(decodes_big_endian_32());

static_assert(vas::elf_header::parse("").error().code == tp::errc::truncated);
static_assert(vas::elf_header::parse("\x7f" "EL").error().code == tp::errc::truncated);
static_assert(vas::elf_header::parse("#!/bin/sh\n").error() == tp::error{tp::errc::malformed, tp::kernel_file::elf, 0, {}, 0});

} // namespace

TEST_CASE("the program's own headers are those that the C library sees")
{
    auto const fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    tp::buffer<4096> memory;
    auto const headers = vas::read_program_headers(fd, 0, memory);
    REQUIRE(headers);
    dl_iterate_phdr([](dl_phdr_info* info, std::size_t, void* ours) {
        auto const& all = *static_cast<vas::program_headers const*>(ours);
        CHECK(all.size() == info->dlpi_phnum);
        for (std::size_t i = 0; i < all.size(); ++i) {
            auto const& theirs = info->dlpi_phdr[i];
            auto const h = all[i];
            CHECK(static_cast<std::uint32_t>(h.type) == theirs.p_type);
            CHECK(h.vaddr == theirs.p_vaddr);
            CHECK(h.offset == theirs.p_offset);
            CHECK(h.filesz == theirs.p_filesz);
            CHECK(h.memsz == theirs.p_memsz);
            CHECK(h.flags.execute == ((theirs.p_flags & PF_X) != 0));
            CHECK(h.flags.write == ((theirs.p_flags & PF_W) != 0));
        }
        return 1; // the first is the program
    }, const_cast<vas::program_headers*>(&headers.value()));
    close(fd);
}

TEST_CASE("a file cut at any byte is truncated, or as good as whole")
{
    auto const whole = own_program();
    auto const header = vas::elf_header::parse(whole);
    REQUIRE(header);
    auto const needed = header.value().phoff + header.value().phnum * header.value().program_header_size();
    auto* const file = std::tmpfile();
    auto const fd = fileno(file);
    int cut = 0;
    for (std::size_t size = 0; size <= needed; ++size) {
        REQUIRE(ftruncate(fd, 0) == 0);
        REQUIRE(pwrite(fd, whole.data(), size, 0) == static_cast<ssize_t>(size));
        tp::buffer<4096> memory;
        auto const headers = vas::read_program_headers(fd, 0, memory);
        CHECK(headers.has_value() == (size == needed));
        if (!headers) {
            CHECK(headers.error().code == tp::errc::truncated);
            ++cut;
        }
    }
    CHECK(cut == static_cast<int>(needed));
    std::fclose(file);
}

TEST_CASE("any byte of the header may be anything")
{
    auto whole = own_program().substr(0, 4096);
    std::mt19937 random{7};
    auto* const file = std::tmpfile();
    int decoded = 0;
    for (int i = 0; i < 20'000; ++i) {
        auto bytes = whole;
        for (int n = 0; n < 3; ++n) bytes[random() % 1024] = static_cast<char>(random());
        REQUIRE(pwrite(fileno(file), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
        tp::buffer<4096> memory;
        auto const headers = vas::read_program_headers(fileno(file), 0, memory);
        if (!headers) continue;
        ++decoded;
        std::size_t count = 0;
        for (auto const h : headers.value()) count += h.type == vas::segment_type::load || h.memsz != 1 ? 1 : 1;
        CHECK(count == headers.value().size());
    }
    CHECK(decoded > 0);
    std::fclose(file);
}

TEST_CASE("program headers far behind the header are fetched, and unlikely ones refused")
{
    auto* const file = std::tmpfile();
    auto const fd = fileno(file);
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, "\x7f" "ELF\2\1\1", 7);
    header.e_phoff = 100'000;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    Elf64_Phdr parts[2]{};
    parts[1].p_type = PT_LOAD;
    parts[1].p_vaddr = 0x1234;
    auto const write_all = [&] {
        REQUIRE(pwrite(fd, &header, sizeof header, 0) == sizeof header);
        REQUIRE(pwrite(fd, parts, sizeof parts, 100'000) == sizeof parts);
    };
    tp::buffer<4096> memory;
    write_all();
    auto const found = vas::read_program_headers(fd, 0, memory);
    REQUIRE(found);
    CHECK(found.value()[1].vaddr == 0x1234);
    auto const code_of = [&] {
        write_all();
        auto const failed = vas::read_program_headers(fd, 0, memory);
        return failed ? tp::errc{} : failed.error().code;
    };
    header.e_phnum = 5000;
    CHECK(code_of() == tp::errc::unsupported);
    header.e_phnum = 4000;
    CHECK(code_of() == tp::errc::truncated); // more than the memory
    header.e_phnum = 2;
    header.e_phentsize = 32;
    CHECK(code_of() == tp::errc::malformed);
    header.e_phentsize = 56;
    header.e_phoff = ~0ull;
    CHECK(code_of() == tp::errc::malformed);
    header.e_phoff = 1ull << 40;
    CHECK(code_of() == tp::errc::truncated);
    std::fclose(file);
}

TEST_CASE("the build id is found among notes, and hostile notes end")
{
    auto const note = [](std::string name, unsigned type, std::string content) {
        name += '\0';
        std::uint32_t const sizes[] = {static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(content.size()), type};
        std::string out(reinterpret_cast<char const*>(sizes), sizeof sizes);
        name.resize((name.size() + 3) / 4 * 4);
        content.resize((content.size() + 3) / 4 * 4);
        return out + name + content;
    };
    CHECK(vas::find_build_id(note("GNU", 1, "abcd") + note("GNU", 3, "0123456789")) == "0123456789");
    CHECK(vas::find_build_id(note("GNX", 3, "0123")) == "");
    CHECK(vas::find_build_id("") == "");
    auto hostile = note("GNU", 3, "0123");
    hostile[4] = '\xff';
    hostile[7] = '\xff';
    CHECK(vas::find_build_id(hostile) == "");
    auto const whole = note("GNU", 1, "abcd") + note("GNU", 3, "0123");
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK(vas::find_build_id(whole.substr(0, size)) == "");
}
