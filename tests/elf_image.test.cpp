// SPDX-License-Identifier: BSL-1.0

#include "support/fixtures.hpp"

#include <taskpeek/stack/elf_image.hpp>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace {

[[nodiscard]] std::string const& own_executable()
{
    static std::string const bytes = [] {
        std::ifstream in{"/proc/self/exe", std::ios::binary};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    }();
    return bytes;
}

/// Asks an image everything that it can be asked.
unsigned ask(st::image const& image, std::uint64_t seed)
{
    unsigned answers = 0;
    std::mt19937_64 random{seed};
    for (unsigned i = 0; i < 8; ++i) {
        char scratch[st::image::scratch_size];
        st::cie shared;
        st::fde function;
        st::cfi_row row;
        auto const pc = image.entry() + random() % 65536;
        if (image.find_function(pc, scratch, shared, function) == st::cfi_status::ok && st::find_row(shared, function, pc, row)) ++answers;
    }
    st::elf_section section;
    answers += image.section_named(".text", section);
    return answers;
}

} // namespace

TEST_CASE("elf_image: our own executable: sections, entry, the function at an address")
{
    st::image image;
    REQUIRE(image.open(st::byte_source::copy(own_executable())));
    CHECK(image.isa() == st::native_machine);
    st::elf_section text;
    REQUIRE(image.section_named(".text", text));
    CHECK(image.entry() >= text.address);
    CHECK(image.entry() < text.address + text.size);
    st::elf_section none;
    CHECK_FALSE(image.section_named(".no_such_section", none));
    std::uint64_t vaddr = 0;
    REQUIRE(image.address_of(text.offset, vaddr));
    CHECK(vaddr == text.address);

    char scratch[st::image::scratch_size];
    st::cie shared;
    st::fde function;
    REQUIRE(image.find_function(image.entry(), scratch, shared, function) == st::cfi_status::ok);
    CHECK(function.contains(image.entry()));
    CHECK(image.find_function(0, scratch, shared, function) == st::cfi_status::unreadable);
    CHECK(image.find_function(UINT64_MAX, scratch, shared, function) == st::cfi_status::unreadable);
}

TEST_CASE("elf_image: the same by a file, and by memory")
{
    st::image by_copy, by_file;
    REQUIRE(by_copy.open(st::byte_source::copy(own_executable())));
    tp::io::descriptor const file{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
    REQUIRE(by_file.open(st::byte_source::file(file.get())));
    CHECK(by_file.id() == by_copy.id());
    CHECK(by_file.id().size > 0);
    char a[64], b[64];
    CHECK(by_file.read(by_file.entry(), a, sizeof a) == sizeof a);
    CHECK(by_copy.read(by_copy.entry(), b, sizeof b) == sizeof b);
    CHECK(std::string_view{a, sizeof a} == std::string_view{b, sizeof b});
}

TEST_CASE("elf_image: without the table of .eh_frame_hdr the entries are searched one by one")
{
    auto bytes = own_executable();
    st::image whole;
    REQUIRE(whole.open(st::byte_source::copy(bytes)));
    st::elf_section hdr;
    REQUIRE(whole.section_named(".eh_frame_hdr", hdr));
    bytes[hdr.offset + 3] = '\xff'; // DW_EH_PE_omit: no table
    st::image without;
    REQUIRE(without.open(st::byte_source::copy(bytes)));
    char scratch[st::image::scratch_size];
    st::cie shared;
    st::fde by_table, by_search;
    for (std::uint64_t at = whole.entry(); at < whole.entry() + 20000; at += 997) {
        auto const status = whole.find_function(at, scratch, shared, by_table);
        CHECK(without.find_function(at, scratch, shared, by_search) == status);
        if (status == st::cfi_status::ok) CHECK(by_table.begin == by_search.begin);
    }
}

TEST_CASE("elf_image: cut anywhere or changed at random, it is refused or answers within bounds")
{
    auto const& whole = own_executable();
    std::mt19937_64 random{7};
    unsigned opened = 0;
    std::size_t const sizes[] = {0, 1, 63, 64, 100, 4096, whole.size() / 2, whole.size() - 1};
    for (auto const size : sizes) {
        st::image image;
        if (image.open(st::byte_source::copy(std::string_view{whole}.substr(0, size)))) (void)ask(image, size);
        else CHECK(size < 4096);
    }
    auto bytes = whole;
    st::image clean;
    REQUIRE(clean.open(st::byte_source::copy(whole)));
    st::elf_section hdr, frames;
    REQUIRE(clean.section_named(".eh_frame_hdr", hdr));
    REQUIRE(clean.section_named(".eh_frame", frames));
    for (unsigned round = 0; round < 400; ++round) {
        std::vector<std::pair<std::size_t, char>> changed;
        auto change = [&](std::size_t at) {
            if (at >= bytes.size()) return;
            changed.emplace_back(at, bytes[at]);
            bytes[at] = static_cast<char>(random());
        };
        for (unsigned n = 0; n < 3; ++n) {
            change(16 + random() % 1024);                         // headers
            change(hdr.offset + random() % 64);
            change(frames.offset + random() % frames.size);
        }
        st::image image;
        if (image.open(st::byte_source::copy(bytes))) {
            ++opened;
            (void)ask(image, round);
        }
        for (auto c = changed.rbegin(); c != changed.rend(); ++c) bytes[c->first] = c->second;
    }
    CHECK(opened > 50);
    CHECK(bytes == whole);
}

TEST_CASE("elf_image: nothing but a regular file inside the root is opened")
{
    taskpeek::tests::temporary_directory const root;
    auto const path = [&](char const* name) { return root.path() + "/" + name; };
    std::ofstream{path("file")} << "inside";
    REQUIRE(::symlink("/file", path("absolute").c_str()) == 0);
    REQUIRE(::symlink("/etc/hostname", path("outside").c_str()) == 0);
    REQUIRE(::symlink("../../../../etc/hostname", path("up").c_str()) == 0);
    REQUIRE(::symlink("/proc/self/exe", path("magic").c_str()) == 0);
    REQUIRE(::mkfifo(path("fifo").c_str(), 0600) == 0);
    tp::io::descriptor const directory{::open(root.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    CHECK(st::open_inside(directory.get(), "file"));
    CHECK(st::open_inside(directory.get(), "/absolute")); // its file, not the host's
    CHECK(st::open_inside(directory.get(), "/../../file"));
    for (auto const* name : {"outside", "up", "magic", "nothing"}) {
        CAPTURE(name);
        auto const opened = st::open_inside(directory.get(), name);
        CHECK_FALSE(opened);
    }
    auto const fifo = st::open_inside(directory.get(), "fifo"); // and it does not wait for a writer
    REQUIRE_FALSE(fifo);
    CHECK(fifo.error().code == tp::errc::invalid);
    CHECK(st::open_inside(directory.get(), "/").error().code == tp::errc::invalid);
}

TEST_CASE("elf_image: on a kernel without openat2 no link is followed at all")
{
    taskpeek::tests::temporary_directory const root;
    REQUIRE(::mkdir((root.path() + "/a").c_str(), 0700) == 0);
    std::ofstream{root.path() + "/a/file"} << "inside";
    REQUIRE(::symlink("a", (root.path() + "/link").c_str()) == 0);
    REQUIRE(::symlink("a/file", (root.path() + "/last").c_str()) == 0);
    tp::io::descriptor const directory{::open(root.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    auto const opens = [&](std::string const& path) {
        auto const fd = st::detail::open_without_links(directory.get(), path.c_str(), O_RDONLY);
        tp::io::descriptor const owner{fd.ok() ? static_cast<int>(fd.value()) : -1};
        return fd.ok();
    };
    CHECK(opens("a/file"));
    CHECK(opens("//a//file"));
    std::string const refused[] = {"link/file", "last", "a/../a/file", "", "/", "a/none", std::string(300, 'x')};
    for (auto const& path : refused) {
        CAPTURE(path);
        CHECK_FALSE(opens(path));
    }
}
