// SPDX-License-Identifier: BSL-1.0

#include "skip.hpp"
#include "support/child.hpp"
#include "support/targets.hpp"

#include <taskpeek/stack/symbols.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
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

TEST_CASE("symbols: a mangled name whose references double it forty times is left alone")
{
    auto name = std::string{"_Z1f1A1BIS_S_E"}; // f(A, B<A, A>, B<B<A, A>, B<A, A>>, …
    auto const doubled = [&](int times) {
        auto out = name;
        std::string last = "S1_";
        for (int i = 0; i < times; ++i) {
            out += "S0_I" + last + last + "E";
            last = std::string{"S"} + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i + 2] + "_";
            if (i + 2 > 33) break;
        }
        return out;
    };
    CHECK(st::demangle(doubled(2)) == "f(A, B<A, A>, B<B<A, A>, B<A, A> >, B<B<B<A, A>, B<A, A> >, B<B<A, A>, B<A, A> > >)");
    CHECK(st::demangle(doubled(30)) == doubled(30));
}

namespace {

struct made_symbol {
    std::uint64_t value, size;
    unsigned char info;        ///< binding << 4 | type
    std::uint16_t section;     ///< 1: .init, 0x800 to 0x820; 2: .text, 0x1000 to 0x2000
    std::string name;
};

template <class Number>
void put(std::string& to, Number n) { to.append(reinterpret_cast<char const*>(&n), sizeof n); }

/// An ELF file of two sections of code and these symbols.
[[nodiscard]] std::string made_elf(std::vector<made_symbol> const& symbols, bool ends_its_names = true)
{
    std::string names(1, '\0'), table(24, '\0');
    for (auto const& s : symbols) {
        put(table, static_cast<std::uint32_t>(names.size()));
        put(table, s.info);
        put(table, '\0');
        put(table, s.section);
        put(table, s.value);
        put(table, s.size);
        names += s.name + '\0';
    }
    if (!ends_its_names) names.pop_back();
    std::string out{"\x7f" "ELF\x02\x01\x01", 7};
    out.resize(16);
    put<std::uint16_t>(out, 3);
    put<std::uint16_t>(out, 62);
    put<std::uint32_t>(out, 1);
    put<std::uint64_t>(out, 0x1000);
    put<std::uint64_t>(out, 64);                                                 // program headers
    put<std::uint64_t>(out, 64 + 56 + table.size() + names.size());              // section headers
    put<std::uint32_t>(out, 0);
    for (std::uint16_t const n : std::initializer_list<std::uint16_t>{64, 56, 1, 64, 5, 0}) put(out, n);
    put<std::uint32_t>(out, 1);                                                  // PT_LOAD, r-x
    put<std::uint32_t>(out, 5);
    for (std::uint64_t const n : std::initializer_list<std::uint64_t>{0, 0, 0, 0x2000, 0x2000, 0x1000}) put(out, n);
    out += table + names;
    auto const section = [&](std::uint32_t type, std::uint64_t address, std::uint64_t offset, std::uint64_t size, std::uint32_t link,
                             std::uint64_t entry) {
        put<std::uint32_t>(out, 0);
        put(out, type);
        put<std::uint64_t>(out, 0);
        for (auto const n : {address, offset, size}) put(out, n);
        put(out, link);
        put<std::uint32_t>(out, 0);
        put<std::uint64_t>(out, 8);
        put(out, entry);
    };
    section(0, 0, 0, 0, 0, 0);
    section(1, 0x800, 0x800, 0x20, 0, 0);
    section(1, 0x1000, 0x1000, 0x1000, 0, 0);
    section(2, 0, 120, table.size(), 4, 24);
    section(3, 0, 120 + table.size(), names.size(), 0, 0);
    return out;
}

/// The name found at an address; by the first searches, and by those after the table was sorted.
[[nodiscard]] std::string found(std::string const& elf, std::uint64_t at, bool sorted)
{
    st::image image;
    REQUIRE(image.open(st::byte_source::copy(elf)));
    st::symbol_table table;
    REQUIRE(table.load(image, false));
    st::symbol_table::entry e;
    for (unsigned i = 0; sorted && i < st::symbol_table::searches_before_sorting; ++i) (void)table.find(0, e);
    return table.find(at, e) ? table.name(e) : "-";
}

} // namespace

TEST_CASE("symbols: which of several names, and where each ends")
{
    constexpr unsigned char function = 0x12, weak = 0x22, local = 0x02, label = 0x00, data = 0x11;
    auto const elf = made_elf({{0x800, 0, function, 1, "_init"},       {0x1000, 0x40, function, 2, "outer"}, {0x1010, 0, label, 2, "label"},
                               {0x1100, 0x10, weak, 2, "weak"},        {0x1100, 0x10, function, 2, "strong"}, {0x1100, 0x10, local, 2, "local"},
                               {0x1110, 0, label, 2, "from_assembly"}, {0x1200, 8, data, 2, "datum"},         {0x1300, 8, function, 0, "undefined"},
                               {0x1400, 8, function, 2, "versioned@@V_2"}, {0x1500, UINT64_MAX, function, 2, "endless"}});
    for (bool const sorted : {false, true}) {
        CAPTURE(sorted);
        CHECK(found(elf, 0x800, sorted) == "_init");
        CHECK(found(elf, 0x81f, sorted) == "_init");
        CHECK(found(elf, 0x820, sorted) == "-"); // its section ends there: the PLT may follow
        CHECK(found(elf, 0x7ff, sorted) == "-");
        CHECK(found(elf, 0x1000, sorted) == "outer");
        CHECK(found(elf, 0x1010, sorted) == "label");
        CHECK(found(elf, 0x103f, sorted) == "label");
        CHECK(found(elf, 0x1050, sorted) == "label"); // up to the next: nobody says where it ends
        CHECK(found(elf, 0x1100, sorted) == "strong");
        CHECK(found(elf, 0x1110, sorted) == "from_assembly");
        CHECK(found(elf, 0x1208, sorted) == "from_assembly"); // neither data nor what is undefined ends it
        CHECK(found(elf, 0x1407, sorted) == "versioned@@V_2");
        CHECK(found(elf, 0x1408, sorted) == "-");
        CHECK(found(elf, 0x1fff, sorted) == "endless");
    }
    auto const cut = made_elf({{0x1000, 8, function, 2, "cut"}}, false);
    CHECK(found(cut, 0x1000, false) == "cut");
    auto const huge = std::string(3 * st::symbol_table::longest_name, 'n');
    CHECK(found(made_elf({{0x1000, 8, function, 2, huge}}), 0x1000, false) == huge.substr(0, st::symbol_table::longest_name));
}

TEST_CASE("symbols: sorted or not, the table gives the same answers")
{
    auto const whole = own_executable();
    st::image image;
    REQUIRE(image.open(st::byte_source::copy(whole)));
    st::symbol_table sorted, fresh;
    REQUIRE(sorted.load(image, false));
    st::symbol_table::entry a, b;
    for (unsigned i = 0; i < st::symbol_table::searches_before_sorting; ++i) (void)sorted.find(0, a);
    std::mt19937_64 random{5};
    unsigned named = 0;
    for (unsigned i = 0; i < 400; ++i) {
        if (i % 16 == 0) REQUIRE(fresh.load(image, false));
        auto const at = image.entry() + random() % 300000;
        bool const first = sorted.find(at, a);
        REQUIRE(first == fresh.find(at, b));
        if (first) CHECK(sorted.name(a) == fresh.name(b));
        named += first;
    }
    CHECK(named > 100);
}

TEST_CASE("symbols: a perf map: the line written last holds, what is no line is passed over")
{
    auto const at = [](std::string const& text, std::uint64_t pc) {
        st::perf_map map;
        map.parse(text);
        std::string_view name;
        std::uint64_t begin = 0;
        return map.find(pc, name, begin) ? std::string{name} + "+" + std::to_string(pc - begin) : "-";
    };
    std::string const text = "1000 100 old\n1000 100 new\n1080 10 inner one\n2000 0 empty\nxyz 10 no\n3000 10\n"
                             "ffffffffffffffff 10 wraps\n4000 10 \x1b]0;x\n\n5000 10 last";
    CHECK(at(text, 0x1000) == "new+0");
    CHECK(at(text, 0x10ff) == "new+255");
    CHECK(at(text, 0x1085) == "inner one+5");
    CHECK(at(text, 0x1095) == "new+149");
    CHECK(at(text, 0x1100) == "-");
    CHECK(at(text, 0x2000) == "-");
    CHECK(at(text, 0x3000) == "-");
    CHECK(at(text, UINT64_MAX) == "-");
    CHECK(at(text, 0x4001) == "\x1b]0;x+1");
    CHECK(at(text, 0x500f) == "last+15");
    CHECK(at("1000 fff outer\n1100 10 inner\n1000 fff again\n", 0x1105) == "again+261");
    CHECK(at("", 0) == "-");
    st::perf_map many;
    std::string lines;
    for (int i = 0; i < 200000; ++i) lines += "1000 ffffff n\n"; // all around one address: no search takes for ever
    many.parse(lines);
    std::string_view name;
    std::uint64_t begin = 0;
    CHECK(many.find(0x1001, name, begin));
    CHECK(many.size() == 200000);
}

namespace {

/// What `looked at` needs, for one process.
struct looked_at {
    std::vector<char> memory = std::vector<char>(1u << 20), rows = std::vector<char>(st::unwinder::typical_memory);
    tp::result<tp::process> process;
    tp::result<st::mapping_table> maps;
    st::unwinder code;
    st::symbolizer symbols;
    explicit looked_at(tp::tgid id)
        : process{tp::process::open(id)}, maps{st::mapping_table::read(process.value(), memory)},
          code{maps.value(), id, process.value().directory(), rows}, symbols{code, process.value()}
    {
    }
};

/// A file of its own that is removed with it.
struct written_file {
    std::string path;
    written_file(std::string const& where, std::string const& text) : path{where}
    {
        std::ofstream{path} << text;
    }
    ~written_file() { unlink(path.c_str()); }
};

[[nodiscard]] void* page_of_code()
{
    return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

[[nodiscard]] std::string root_of(pid_t pid)
{
    char path[4096];
    auto const got = readlink(("/proc/" + std::to_string(pid) + "/root").c_str(), path, sizeof path);
    return got > 0 ? std::string{path, static_cast<std::size_t>(got)} : std::string{};
}

[[nodiscard]] std::string hex(std::uint64_t n)
{
    char text[32];
    std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(n));
    return text;
}

} // namespace

TEST_CASE("symbols: a JIT's functions by its perf map, only if it belongs to the target's user, and once there is one")
{
    auto* const code = page_of_code();
    REQUIRE(code != MAP_FAILED);
    auto const at = reinterpret_cast<std::uintptr_t>(code);
    tp::tests::child const target{[] {}};
    looked_at p{target.id()};
    CHECK(p.symbols.find(tp::address{at + 8}).name.empty());
    written_file const map{"/tmp/perf-" + std::to_string(target.pid()) + ".map", hex(at) + " 100 jitted;\x1b]0;x\n"};
    auto const found = p.symbols.find(tp::address{at + 8}); // it has been written since
    CHECK(found.name == "jitted;\x1b]0;x");
    CHECK(found.offset == 8);
    CHECK(p.symbols.find(tp::address{at + 0x100}).name.empty());
    if (geteuid() == 0) {
        REQUIRE(chown(map.path.c_str(), 65534, 65534) == 0);
        looked_at other{target.id()};
        CHECK(other.symbols.find(tp::address{at + 8}).name.empty());
    }
    munmap(code, 4096);
}

TEST_CASE("symbols: a perf map is looked for in the target's root, by the pid that the target sees")
{
    if (geteuid() != 0) return tp::tests::skip("only root may make a namespace and change a root");
    char folder[] = "/tmp/taskpeek-root-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    auto const inner = std::string{folder} + "/tmp";
    REQUIRE(mkdir(inner.c_str(), 0755) == 0);
    auto* const code = page_of_code();
    REQUIRE(code != MAP_FAILED);
    auto const at = reinterpret_cast<std::uintptr_t>(code);
    {
        written_file const right{inner + "/perf-1.map", hex(at) + " 100 inside\n"};
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        tp::tests::child const outer{[&] {
            if (unshare(CLONE_NEWPID) != 0) return;
            auto const first = fork();
            if (first == 0) {
                tp::tests::end_with_parent(0); // as pid 1 it sees no parent
                if (chroot(folder) != 0 || chdir("/") != 0) _exit(1);
                tp::tests::wait_for_ever();
            }
            (void)!write(ends[1], &first, sizeof first);
        }};
        pid_t pid = 0;
        if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || read(ends[0], &pid, sizeof pid) != sizeof pid)
            return tp::tests::skip("no PID namespace can be made here");
        for (int waited = 0; waited < 1000 && root_of(pid) != folder; ++waited) usleep(1000);
        written_file const wrong{"/tmp/perf-" + std::to_string(pid) + ".map", hex(at) + " 100 outside\n"};
        looked_at p{tp::tgid{pid}};
        CHECK(p.symbols.find(tp::address{at + 1}).name == "inside");
        close(ends[0]);
        close(ends[1]);
    }
    munmap(code, 4096);
    rmdir(inner.c_str());
    rmdir(folder);
}

TEST_CASE("symbols: a stripped program's names come from a debug file: beside it, or by build-id in the root that it sees")
{
    char folder[] = "/tmp/taskpeek-debug-XXXXXX";
    REQUIRE(mkdtemp(folder) != nullptr);
    auto const in = [&](std::string const& name) { return std::string{folder} + "/" + name; };
    auto const run = [&](std::string const& command) { return std::system(("cd " + std::string{folder} + " && " + command).c_str()) == 0; };
    auto const* const targets = std::getenv("TASKPEEK_TARGETS");
    auto const original = std::string{targets != nullptr ? targets : "build/g++/tests/targets"} + "/deep-static";
    char* const absolute = realpath(original.c_str(), nullptr);
    REQUIRE(absolute != nullptr);
    auto const main_of = [&](bool change_root) {
        int in_ends[2], out[2];
        REQUIRE(pipe(in_ends) == 0);
        REQUIRE(pipe(out) == 0);
        std::string name;
        {
            tp::tests::child const target{[&] {}, [&] {
                if (change_root && (chroot(folder) != 0 || chdir("/") != 0)) _exit(1);
                dup2(in_ends[0], 0);
                dup2(out[1], 1);
                auto path = change_root ? std::string{"/program"} : in("program");
                char threads[] = "1";
                char* const argv[] = {path.data(), threads, nullptr};
                execv(path.c_str(), argv);
                _exit(1);
            }};
            char line[8]{};
            pollfd ready{out[0], POLLIN, 0};
            if (poll(&ready, 1, 20000) == 1 && read(out[0], line, 6) == 6) {
                looked_at p{target.id()};
                auto const thread = p.process.value().thread(tp::tid{target.pid()});
                std::vector<char> stack(1u << 20);
                st::frame frames[64];
                auto capture = st::no_stop(thread.value(), p.maps.value(), {stack.data(), stack.size()});
                for (int waited = 0; waited < 2000 && capture.outcome != st::capture_outcome::captured; ++waited) { // it has yet to wait
                    usleep(1000);
                    capture = st::no_stop(thread.value(), p.maps.value(), {stack.data(), stack.size()});
                }
                for (auto const& f : p.code.unwind(capture, frames).frames)
                    if (auto const found = p.symbols.find(f).name; found == "main") name = found;
            }
        }
        for (int const fd : {in_ends[0], in_ends[1], out[0], out[1]}) close(fd);
        return name;
    };
    REQUIRE(run("cp " + std::string{absolute} + " program && objcopy --only-keep-debug program program.debug && strip program"));
    CHECK(main_of(false).empty());
    REQUIRE(run("objcopy --add-gnu-debuglink=program.debug program"));
    CHECK(main_of(false) == "main");
    REQUIRE(run("mkdir .debug && mv program.debug .debug"));
    CHECK(main_of(false) == "main");
    REQUIRE(run("objcopy --remove-section=.note.gnu.build-id program")); // now the checksum decides
    CHECK(main_of(false) == "main");
    REQUIRE(run("printf x >> .debug/program.debug"));
    CHECK(main_of(false).empty());
    if (geteuid() == 0) {
        REQUIRE(run("cp " + std::string{absolute} + " program && objcopy --only-keep-debug program plain.debug && strip program"));
        REQUIRE(run("id=$(readelf -n plain.debug | sed -n 's/.*Build ID: //p') && test -n \"$id\" && "
                    "d=usr/lib/debug/.build-id/$(echo $id | cut -c1-2) && mkdir -p $d && mv plain.debug $d/$(echo $id | cut -c3-).debug"));
        CHECK(main_of(false).empty()); // it does not see that folder as its root
        CHECK(main_of(true) == "main");
    }
    std::free(absolute);
    CHECK(run("cd / && rm -r " + std::string{folder}));
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
            if (st::symbol_table::entry e; t.find(clean.entry() + random() % 100000, e))
                CHECK(t.name(e).size() <= st::symbol_table::longest_name);
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
