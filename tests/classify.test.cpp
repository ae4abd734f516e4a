// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/fixtures.hpp"
#include "support/sanitizers.hpp"
#include "support/specimen.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/classify.hpp>
#include <taskpeek/vas/model.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace vas = taskpeek::vas;
using tp::tests::skip;
using tp::tests::specimen;
using vas::range_class;

namespace {

struct told {
    std::uint64_t start, end;
    range_class kind;
    vas::basis why;
    int tid;
};

template <class Maps>
std::vector<told> all_of(Maps const& maps, vas::facts const& known = {})
{
    std::vector<told> out;
    for (auto const& r : vas::classify(maps, known)) out.push_back({r.start.value, r.end.value, r.kind, r.why.rests_on, r.thread.value});
    return out;
}

std::string spelled(told const& t)
{
    char text[128];
    std::snprintf(text, sizeof text, "%llx-%llx %s %d", static_cast<unsigned long long>(t.start), static_cast<unsigned long long>(t.end),
                  std::string{name_of(t.kind)}.c_str(), t.tid);
    return text;
}

/// Do the ranges follow on each other, from 0 to where the kernel begins, and to [vsyscall]'s end where there is one?
template <class Ranges>
bool tiles(Ranges const& ranges)
{
    std::uint64_t at = 0;
    for (auto const& r : ranges) {
        if (r.start.value != at || r.end.value <= at) return false;
        at = r.end.value;
    }
    return at != 0;
}

void check_facts(specimen const& s, vas::model_view const& model)
{
    CHECK(tiles(model.ranges));
    for (auto const& fact : s.facts()) {
        if (fact.what == "heap_end") continue;
        auto const* const found = model.find(tp::address{fact.address});
        REQUIRE(found != nullptr);
        auto expected = fact.what;
        CAPTURE(fact.address);
        CHECK(std::string{name_of(found->kind)} == expected);
        if (fact.tid != 0) CHECK(found->thread.value == fact.tid);
        CHECK(found->why.rests_on != vas::basis::nothing);
    }
    for (auto const& fact : s.of("heap_end")) {
        auto const* const last = model.find(tp::address{fact.address - 1});
        REQUIRE(last != nullptr);
        CHECK(last->kind == range_class::heap);
        CHECK(last->end.value == fact.address);
    }
    CHECK(model.sum[range_class::unknown].count * 50 <= model.sum.mapped.count);
}

void check_specimen(specimen const& s)
{
    if (!s.is_there()) return skip(s.path() + " could not be built here");
    REQUIRE(s.is_ready());
    auto const process = tp::process::open(tp::tgid{s.pid()});
    REQUIRE(process);
    auto const model = vas::read_model(process.value());
    REQUIRE(model);
    check_facts(s, model.value().view());
}

} // namespace

TEST_CASE("each mapping of a position-independent program is what the program says it is") { check_specimen(specimen{"vas-specimen-pie"}); }
TEST_CASE("each mapping of a statically linked program is what the program says it is") { check_specimen(specimen{"vas-specimen-static"}); }
TEST_CASE("each mapping of a program at a fixed address is what the program says it is") { check_specimen(specimen{"vas-specimen-nopie"}); }
TEST_CASE("each mapping of a 32-bit program is what the program says it is") { check_specimen(specimen{"vas-specimen-m32"}); }

TEST_CASE("without randomisation, bss and heap are told apart even in one vma")
{
    for (auto const* const name : {"vas-specimen-static", "vas-specimen-nopie", "vas-specimen-pie"}) {
        CAPTURE(name);
        check_specimen(specimen{name, [] { personality(ADDR_NO_RANDOMIZE); }});
    }
}

TEST_CASE("the evidence cites what it rests on")
{
    specimen const s{"vas-specimen-pie"};
    if (!s.is_there()) return skip("the specimen could not be built here");
    auto const process = tp::process::open(tp::tgid{s.pid()});
    auto const read = vas::read_model(process.value());
    REQUIRE(read);
    auto const& model = read.value().view();
    auto const at = [&](char const* what) { return model.find(tp::address{s.of(what).at(0).address}); };
    CHECK(at("text")->why.rests_on == vas::basis::program_header);
    CHECK(at("text")->why.verified);
    CHECK(at("text")->why.source != vas::file_source::none);
    CHECK(at("heap")->why == vas::evidence{vas::basis::stat, (*model.known.start_brk).value, vas::file_source::none, true});
    CHECK(at("malloc_arena")->why.rests_on == vas::basis::arena_alignment);
    for (auto const& guard : s.of("guard")) {
        auto const* const found = model.find(tp::address{guard.address});
        bool const by_pages = found->why.rests_on == vas::basis::pagemap;
        CHECK(found->why.cited == (by_pages ? found->start : found->end).value);
        CHECK(found->is_part() == by_pages);
    }
    auto const stacks = s.of("thread_stack");
    REQUIRE(stacks.size() >= 3); // with lightweight guards two more
    for (auto const& stack : stacks) {
        auto const* const found = model.find(tp::address{stack.address});
        CHECK(found->why.rests_on == vas::basis::stack_pointer);
        CHECK(found->contains(tp::address{found->why.cited}));
    }
    CHECK(at("jit_code")->is_writable_and_executable());
    CHECK(model.sum.writable_and_executable.count >= 4096);
    CHECK(at("reserved")->has_no_permission());
    CHECK_FALSE(at("text")->is_writable_and_executable());
}

namespace {

struct segment {
    std::uint64_t start, file_end, end;
    bool execute, write;
};

constexpr std::uint64_t down(std::uint64_t n) { return n & ~4095ull; }
constexpr std::uint64_t up(std::uint64_t n) { return down(n + 4095); }

/// Do the ranges from the first page of \p s to its last tile it, as one part or, of data, up to three in their order?
void check_segment(vas::model_view const& model, segment const& s, bool of_library, bool of_linker)
{
    using kinds = std::vector<range_class>;
    auto allowed = s.execute ? kinds{range_class::text, range_class::library_text}
                   : s.write ? kinds{range_class::relro, range_class::library_relro, range_class::data, range_class::library_data,
                                     range_class::bss, range_class::library_bss}
                             : kinds{range_class::rodata, range_class::library_rodata, range_class::relro, range_class::library_relro};
    auto at = down(s.start);
    while (at < up(s.end)) {
        CAPTURE(at);
        auto const* const r = model.find(tp::address{at});
        REQUIRE(r != nullptr);
        CHECK(r->start.value == at);
        CAPTURE(std::string{name_of(r->kind)});
        if (of_linker) {
            CHECK(r->kind == range_class::dynamic_linker);
        } else {
            auto const found = std::find(allowed.begin(), allowed.end(), r->kind);
            REQUIRE(found != allowed.end());
            CHECK((found - allowed.begin()) % 2 == (of_library ? 1 : 0));
            bool const is_bss = r->kind == range_class::bss || r->kind == range_class::library_bss;
            CHECK(is_bss == (s.file_end < s.end && at >= s.file_end));
        }
        CHECK(r->why.rests_on == vas::basis::program_header);
        if (at < s.file_end && r->end.value > s.file_end) CHECK(r->end.value == up(s.end)); // but for bss, to the end of the last page
        at = r->end.value;
    }
    CHECK(at == up(s.end));
}

void check_with_readelf(char const* name)
{
    specimen const s{name};
    if (!s.is_there()) return skip(s.path() + " could not be built here");
    auto const process = tp::process::open(tp::tgid{s.pid()});
    auto const read = vas::read_model(process.value());
    REQUIRE(read);
    auto const& model = read.value().view();
    std::uint64_t first = 0;
    for (auto const& r : model.ranges)
        if (r.kind == range_class::rodata) { first = r.start.value; break; }
    REQUIRE(first != 0);
    auto* const readelf = popen(("readelf -lW '" + s.path() + "'").c_str(), "r");
    std::optional<std::uint64_t> bias;
    int checked = 0;
    for (char line[512]; std::fgets(line, sizeof line, readelf) != nullptr;) {
        unsigned long long offset = 0, vaddr = 0, paddr = 0, filesz = 0, memsz = 0;
        if (std::sscanf(line, " LOAD %llx %llx %llx %llx %llx", &offset, &vaddr, &paddr, &filesz, &memsz) != 5) continue;
        if (!bias) bias = first - down(vaddr);
        auto const flags = std::string{line};
        check_segment(model, {*bias + vaddr, *bias + vaddr + filesz, *bias + vaddr + memsz, flags.find(" E ") != flags.npos,
                              flags.find("RW ") != flags.npos}, false, false);
        ++checked;
    }
    if (pclose(readelf) != 0) return skip("there is no readelf");
    CHECK(checked == 4);
}

} // namespace

TEST_CASE("text, data and bss of a program are where readelf says, moved by the load bias")
{
    for (auto const* const name : {"vas-specimen-pie", "vas-specimen-static", "vas-specimen-nopie"}) {
        CAPTURE(name);
        check_with_readelf(name);
    }
}

TEST_CASE("text, data and bss of a 32-bit program are where readelf says") { check_with_readelf("vas-specimen-m32"); }

TEST_CASE("the segments of libraries are those of dl_iterate_phdr")
{
    auto const process = tp::process::self();
    auto const read = vas::read_model(process.value());
    REQUIRE(read);
    struct context {
        vas::model_view const& model;
        int libraries = 0;
    } seen{read.value().view()};
    dl_iterate_phdr([](dl_phdr_info* info, std::size_t, void* to) {
        auto& in = *static_cast<context*>(to);
        if (info->dlpi_name[0] != '/') return 0; // the program and the vdso
        bool const linker = std::string{info->dlpi_name}.find("/ld-") != std::string::npos;
        CAPTURE(info->dlpi_name);
        ++in.libraries;
        for (int i = 0; i < info->dlpi_phnum; ++i) {
            auto const& h = info->dlpi_phdr[i];
            auto const start = info->dlpi_addr + h.p_vaddr;
            segment const s{start, start + h.p_filesz, start + h.p_memsz, (h.p_flags & PF_X) != 0, (h.p_flags & PF_W) != 0};
            if (h.p_type == PT_LOAD) check_segment(in.model, s, true, linker);
        }
        return 0;
    }, &seen);
    CHECK(seen.libraries >= 2);
}

TEST_CASE("a mapped file of 40 parts is told by its headers, every part of it")
{
    constexpr std::size_t count = 40, stride = 0x2000;
    tp::tests::temporary_directory const directory;
    auto const path = directory.path() + "/many_parts.so";
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG "\2\1\1", 7);
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = count;
    auto const flags_of = [](std::size_t i) -> std::uint32_t { return i % 3 == 0 ? PF_R | PF_X : i % 3 == 1 ? PF_R : PF_R | PF_W; };
    {
        std::ofstream file{path};
        file.write(reinterpret_cast<char const*>(&header), sizeof header);
        for (std::size_t i = 0; i < count; ++i) {
            Elf64_Phdr const part{PT_LOAD, flags_of(i), stride * i, stride * i, 0, stride, stride, 4096};
            file.write(reinterpret_cast<char const*>(&part), sizeof part);
        }
        file.seekp(static_cast<std::streamoff>(stride * count - 1));
        file.put(0);
    }
    auto const fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    auto* const base = static_cast<char*>(mmap(nullptr, count * stride, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(base != MAP_FAILED);
    for (std::size_t i = 0; i < count; ++i) {
        int const protection = PROT_READ | (i % 3 == 0 ? PROT_EXEC : i % 3 == 2 ? PROT_WRITE : 0);
        REQUIRE(mmap(base + stride * i, stride, protection, MAP_PRIVATE | MAP_FIXED, fd, static_cast<off_t>(stride * i)) != MAP_FAILED);
    }
    close(fd);
    auto const process = tp::process::self();
    auto const model = vas::read_model(process.value());
    REQUIRE(model);
    for (std::size_t i = 0; i < count; ++i) {
        CAPTURE(i);
        auto const start = reinterpret_cast<std::uintptr_t>(base) + stride * i;
        auto const* const found = model.value()->find(tp::address{start});
        CHECK(found->start.value == start);
        CHECK(found->end.value == start + stride);
        CHECK(found->why == vas::evidence{vas::basis::program_header, start, found->why.source, true});
        CHECK(found->kind == (i % 3 == 0   ? range_class::library_text
                              : i % 3 == 1 ? range_class::library_rodata
                                           : range_class::library_data));
    }
    munmap(base, count * stride);
}

TEST_CASE("the ranges of every recorded process tile its address space")
{
    for (auto const* const name : {"linux-6.1-x86_64", "linux-6.1-aarch64"}) {
        tp::tests::recorded_tree const tree{name};
        REQUIRE(tree.is_unpacked());
        auto const root = tree.root();
        int processes = 0;
        for (auto const& task : tp::processes<pf::comm>({.root = root.c_str()})) {
            auto const id = task.id();
            auto const process = tp::process::open(id.tgid, root.c_str());
            auto const model = vas::read_model(process.value());
            if (!model) {
                CHECK((model.error().code == tp::errc::kernel_thread || model.error().code == tp::errc::zombie));
                continue;
            }
            ++processes;
            CHECK(tiles(model.value()->ranges));
            CHECK(model.value()->ranges.front().kind == range_class::null_page);
            bool const is_arm = std::string{name}.ends_with("aarch64");
            CHECK(model.value()->sum.user_size.count == (is_arm ? 0x1000000000000 : 0x7ffffffff000));
            CHECK(model.value()->sum[range_class::unknown].count == 0);
            for (auto const& image : model.value()->known.images)
                CHECK_FALSE(image.has_headers()); // this machine's files are not the recorded ones
        }
        CHECK(processes >= 1);
    }
}

TEST_CASE("the recorded specimen's threads have their stacks, and its mappings their classes")
{
    tp::tests::recorded_tree const tree{"linux-6.1-x86_64"};
    REQUIRE(tree.is_unpacked());
    auto const process = tp::process::open(tp::tgid{83}, tree.root().c_str());
    REQUIRE(process);
    auto const model = vas::read_model(process.value(), {.numbers = true});
    REQUIRE(model);
    std::map<range_class, int> count;
    for (auto const& r : model.value()->ranges) ++count[r.kind];
    CHECK(count[range_class::thread_stack] == 8);
    CHECK(count[range_class::guard] == 8);
    CHECK(count[range_class::jit_code] == 1);
    CHECK(count[range_class::memfd] == 1);
    CHECK(count[range_class::sysv_shared_memory] == 1);
    CHECK(count[range_class::shared_anonymous] == 1);
    CHECK(count[range_class::file_mapping] == 6);
    CHECK(count[range_class::bss] == 1);
    CHECK(count[range_class::heap] == 1);
    auto const* const text = model.value()->find(tp::address{0x401000});
    CHECK(text->kind == range_class::text);
    CHECK(text->why.rests_on == vas::basis::permissions);
    auto const* const stack = model.value()->find(tp::address{0x7f8742cffac0});
    CHECK(stack->thread.value == 92);
    CHECK_FALSE(model.value()->numbers_failed);
    tp::buffer<pf::smaps_rollup::typical_size> rollup_memory;
    auto const rollup = process.value().read<pf::smaps_rollup>(rollup_memory);
    if (rollup) CHECK(model.value()->sum.rss == rollup.value().rss);
}

TEST_CASE("names alone tell many classes")
{
    constexpr std::string_view text =
        "00010000-00011000 rw-p 00000000 00:00 0 \n"
        "7f0000000000-7f0000021000 rw-p 00000000 00:00 0 \n"
        "7f0000021000-7f0004000000 ---p 00000000 00:00 0 \n"
        "7f0005000000-7f0005001000 rw-s 00000000 00:0f 5                          /dev/shm/x\n"
        "7f0005001000-7f0005002000 rw-p 00000000 00:00 0                          [anon:a  b]\n"
        "7f0005002000-7f0005003000 rw-s 00000000 00:01 7                          /[aio] (deleted)\n"
        "7f0005003000-7f0005004000 rw-s 00000000 00:0e 3                          anon_inode:[io_uring]\n"
        "7f0005004000-7f0005005000 rw-p 00000000 00:00 0                          [stack:77]\n"
        "7f0005005000-7f0005006000 rw-p 00000000 00:00 0                          [new kind]\n"
        "7f0005006000-7f0005007000 ---p 00000000 00:00 0                          [anon: glibc: pthread stack: 78]\n"
        "7f0005007000-7f0005009000 rw-p 00000000 00:00 0                          [anon: glibc: pthread stack: 78]\n"
        "7f0005009000-7f000500a000 rw-p 00000000 00:00 0                          [anon: glibc: pthread user stack: 79]\n"
        "7f000500a000-7f000500b000 rw-p 00000000 00:00 0                          [anon: glibc: malloc arena]\n"
        "7f000500b000-7f000500c000 rw-p 00000000 00:00 0                          [anon: glibc: malloc]\n"
        "7f0005200000-7f0005400000 rw-p 00000000 00:0f 9                          /anon_hugepage (deleted)\n"
        "7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
    std::vector<std::string> lines;
    for (auto const& t : all_of(pf::maps{text})) lines.push_back(spelled(t));
    CHECK(lines == std::vector<std::string>{
        "0-10000 gap 0", "10000-11000 anonymous 0", "11000-7f0000000000 gap 0",
        "7f0000000000-7f0000021000 malloc_arena 0", "7f0000021000-7f0004000000 arena_reserve 0", "7f0004000000-7f0005000000 gap 0",
        "7f0005000000-7f0005001000 posix_shared_memory 0", "7f0005001000-7f0005002000 named_anonymous 0", "7f0005002000-7f0005003000 aio_ring 0",
        "7f0005003000-7f0005004000 kernel_object 0", "7f0005004000-7f0005005000 thread_stack 77", "7f0005005000-7f0005006000 unknown 0",
        "7f0005006000-7f0005007000 guard 0", "7f0005007000-7f0005009000 thread_stack 78", "7f0005009000-7f000500a000 thread_stack 79",
        "7f000500a000-7f000500b000 malloc_arena 0", "7f000500b000-7f000500c000 named_anonymous 0", "7f000500c000-7f0005200000 gap 0", "7f0005200000-7f0005400000 huge_pages 0",
        "7f0005400000-7ffdfff00000 gap 0", "7ffdfff00000-7ffe00000000 stack_guard_gap 0",
        "7ffe00000000-7ffe00021000 main_stack 0", "7ffe00021000-7ffffffff000 gap 0",
        "7ffffffff000-ffff800000000000 non_canonical 0", "ffff800000000000-ffffffffff600000 kernel_half 0",
        "ffffffffff600000-ffffffffff601000 vsyscall 0"});
}

TEST_CASE("the main stack may grow as far as its limit and its neighbour allow")
{
    constexpr std::string_view text = "7ffe00000000-7ffe00001000 rw-p 00000000 00:00 0 \n"
                                      "7ffe10000000-7ffe10021000 rw-p 00000000 00:00 0                          [stack]\n";
    vas::facts known;
    auto const growth = [&](std::optional<tp::limit_value<tp::bytes>> limit) {
        known.stack_limit = limit;
        std::array<std::uint64_t, 2> found{};
        for (auto const& t : all_of(pf::maps{text}, known)) {
            if (t.kind == range_class::stack_growth) found[0] = t.start;
            if (t.kind == range_class::stack_guard_gap) found[1] = t.start;
        }
        return found;
    };
    CHECK(growth(tp::limit_value<tp::bytes>{tp::bytes{8u << 20}}) == std::array<std::uint64_t, 2>{0x7ffe0f821000, 0x7ffe0f721000});
    CHECK(growth(tp::limit_value<tp::bytes>{}) ==
          std::array<std::uint64_t, 2>{0x7ffe00101000, 0x7ffe00001000}); // unlimited: to the guard gap
    CHECK(growth(tp::limit_value<tp::bytes>{tp::bytes{4096}}) == std::array<std::uint64_t, 2>{0, 0x7ffe0ff00000}); // used up
    CHECK(growth(std::nullopt)[0] == 0);                                                                        // not known
}

TEST_CASE("an address space of one vma, of none, and of overlapping lines still tiles")
{
    std::vector<std::string> const texts{
        "", "00000000-00001000 rw-p 00000000 00:00 0 \n",
        "00400000-00402000 rw-p 00000000 00:00 0 \n00401000-00403000 rw-p 00000000 00:00 0 \n", // grew while maps was read
        "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]\n",
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"};
    for (auto const& text : texts) {
        CAPTURE(text);
        auto const ranges = all_of(pf::maps{std::string_view{text}});
        std::uint64_t at = 0;
        for (auto const& r : ranges) {
            CHECK(r.start == at);
            CHECK(r.end > r.start);
            at = r.end;
        }
        CHECK(at >= 0x100000000);
    }
}

TEST_CASE("the layouts of user space are told apart by the highest vma")
{
    using vas::user_layout;
    CHECK(user_layout::holding(0x7ffff7fff000, 8).user_end == 0x7ffffffff000);
    CHECK(user_layout::holding(0x7ffff7fff000, 8).kernel_begin == 0xffff800000000000);
    CHECK(user_layout::holding(0xffffecced000, 8).user_end == 0x1000000000000);
    CHECK(user_layout::holding(0xffffecced000, 8).kernel_begin == 0xffff000000000000);
    CHECK(user_layout::holding(0x7ff0000000, 8).user_end == 0x8000000000);
    CHECK(user_layout::holding(0xf0000000000000, 8).kernel_begin == 0xff00000000000000);
    CHECK(user_layout::holding(0x8000000000000, 8).kernel_begin == 0xfff0000000000000);
    CHECK(user_layout::holding(0xfffde000, 4).user_end == 0xffffe000);
    CHECK(user_layout::holding(0xbffff000, 4).user_end == 0xc0000000);
}

TEST_CASE("where mmap(2) goes further than the vmas, so does user space")
{
    constexpr std::string_view text = "7ffff7fff000-7ffff8000000 rw-p 00000000 00:00 0 \n";
    for (auto const& [mappable, end, begin] : {std::tuple{0ull, 0x7ffffffff000ull, 0xffff800000000000ull},
                                               {1ull << 55, 0xfffffffffff000ull, 0xff00000000000000ull},
                                               {1ull << 51, 0x10000000000000ull, 0xfff0000000000000ull}}) {
        vas::facts known;
        known.word_size = 8;
        known.highest_mappable = tp::address{mappable};
        vas::range last;
        for (auto const& r : vas::classify(pf::maps{text}, known)) last = r;
        CHECK(last.kind == vas::range_class::non_canonical);
        CHECK(last.start == tp::address{end});
        CHECK(last.end == tp::address{begin});
        CHECK(last.why.rests_on == (mappable != 0 ? vas::basis::mmap : vas::basis::highest_vma));
    }
}

TEST_CASE("a copy of the ranges begins anew")
{
    constexpr std::string_view text = "00400000-00401000 rw-p 00000000 00:00 0 \n";
    auto ranges = vas::classify(pf::maps{text});
    auto i = ranges.begin();
    ++i;
    auto copy = ranges;
    CHECK((*copy.begin()).start.value == 0);
    CHECK((*i).start.value == 0x400000);
    CHECK(i->kind == range_class::anonymous);
}

TEST_CASE("a process that has gone, a zombie and a kernel thread have no ranges")
{
    pid_t const pid = fork();
    if (pid == 0) _exit(0);
    siginfo_t info;
    waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    auto const process = tp::process::open(tp::tgid{pid});
    REQUIRE(process);
    CHECK(vas::read_model(process.value()).error().code == tp::errc::zombie);
    waitpid(pid, nullptr, 0);
    CHECK(vas::read_model(process.value()).error().code == tp::errc::vanished);
    auto const kthreadd = tp::process::open(tp::tgid{2});
    if (!kthreadd) return;
    CHECK(vas::read_model(kthreadd.value()).error().code == tp::errc::kernel_thread);
}

TEST_CASE("an 80 KB line of maps has its range, its path truncated")
{
    std::string const path = "/" + std::string(80'000, 'd');
    auto const text = "00400000-00401000 r--p 00000000 08:01 5          " + path + "\n00402000-00403000 rw-p 00000000 00:00 0 \n";
    int mapped = 0;
    for (auto const& r : vas::classify(pf::maps{std::string_view{text}})) {
        if (!r.is_mapped()) continue;
        ++mapped;
        if (r.start.value == 0x400000) CHECK(r.mapping.path.size() == path.size());
    }
    CHECK(mapped == 2);
}
