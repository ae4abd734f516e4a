// SPDX-License-Identifier: BSL-1.0

#include "support/targets.hpp"

#include <taskpeek/stack/debuginfo.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace st = taskpeek::stack;

namespace {

[[nodiscard]] std::string bytes_of(std::string const& path)
{
    std::ifstream in{path, std::ios::binary};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
}

/// The number of the line of inlined.cpp that ends so.
[[nodiscard]] unsigned line_of(std::string const& mark)
{
    std::ifstream in{"tests/targets/inlined.cpp"};
    std::string line;
    for (unsigned n = 1; std::getline(in, line); ++n)
        if (line.ends_with("// " + mark)) return n;
    return 0;
}

[[nodiscard]] std::string path_of(std::string const& target)
{
    auto const* const folder = std::getenv("TASKPEEK_TARGETS");
    return std::string{folder != nullptr ? folder : "build/g++/tests/targets"} + "/" + target;
}

/// A target that waits in its innermost call, and where its `outer_function` stands.
struct waiting {
    tp::tests::target_program target;
    std::vector<char> memory = std::vector<char>(1u << 20), rows = std::vector<char>(st::unwinder::typical_memory);
    tp::result<tp::process> process;
    tp::result<st::mapping_table> maps;
    st::unwinder code;
    std::vector<st::frame> frames = std::vector<st::frame>(64);

    explicit waiting(std::string const& name)
        : target{name}, process{tp::process::open(target.id())}, maps{st::mapping_table::read(process.value(), memory)},
          code{maps.value(), target.id(), process.value().directory(), rows}
    {
        auto const thread = process.value().thread(tp::tid{target.pid()});
        std::vector<char> stack(1u << 20);
        for (int waited = 0; waited < 5000; ++waited) {
            auto const capture = st::no_stop(thread.value(), maps.value(), {stack.data(), stack.size()});
            auto const unwound = code.unwind(capture, frames);
            if (!unwound.is_complete()) { usleep(1000); continue; }
            frames.resize(unwound.frames.size());
            return;
        }
        frames.clear();
    }

    /// The frame of the program's own code that is innermost: `outer_function`, with all that is inlined into it.
    [[nodiscard]] st::frame const* outer() const
    {
        auto const found = std::find_if(frames.begin(), frames.end(), [&](st::frame const& f) {
            auto const* const m = maps.value().find(f.lookup_pc());
            return m != nullptr && maps.value().path(*m).find("/inlined") != std::string_view::npos;
        });
        return found == frames.end() ? nullptr : &*found;
    }
};

void check_calls(std::vector<st::source_call> const& calls)
{
    REQUIRE(calls.size() == 3);
    CHECK(calls[0].function.find("innermost") != std::string::npos);
    CHECK(calls[0].line == line_of("innermost waits here"));
    CHECK(calls[0].inlined);
    CHECK(calls[1].function.find("middle") != std::string::npos);
    CHECK(calls[1].line == line_of("middle calls here"));
    CHECK(calls[1].inlined);
    CHECK(calls[2].function == "outer_function()");
    CHECK(calls[2].line == line_of("outer calls here"));
    CHECK_FALSE(calls[2].inlined);
    for (auto const& call : calls) CHECK(call.file.ends_with("tests/targets/inlined.cpp"));
}

/// What a file alone tells of one of its addresses.
[[nodiscard]] bool calls_in(std::string const& path, std::uint64_t vaddr, std::vector<st::source_call>& out)
{
    st::detail::dwarf_file file;
    tp::io::descriptor opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    tp::io::descriptor const root{::open("/", O_PATH | O_CLOEXEC)};
    st::image image;
    if (!image.open(st::byte_source::file(opened.get())) || !file.open(static_cast<tp::io::descriptor&&>(opened), image, root.get()))
        return false;
    file.find(vaddr, out);
    return true;
}

} // namespace

TEST_CASE("debuginfo: inlined calls and their lines, innermost first, of DWARF 5 and of compressed DWARF 4")
{
    for (auto const* const name : {"inlined", "inlined-4"}) {
        CAPTURE(name);
        waiting const w{name};
        auto const* const outer = w.outer();
        REQUIRE(outer != nullptr);
        auto& code = const_cast<st::unwinder&>(w.code);
        st::debug_info lines{code};
        check_calls(lines.find(outer->lookup_pc()));
        auto const caller = lines.find((outer + 1)->lookup_pc());
        REQUIRE(caller.size() == 1);
        CHECK(caller.front().function == "main");
        CHECK(caller.front().line == line_of("main calls here"));
        CHECK(lines.find(tp::address{8}).empty());
        CHECK(lines.find(tp::address{reinterpret_cast<std::uintptr_t>(&w)}).empty());
        for (auto const& m : w.maps.value().all()) (void)lines.find(m.start); // whatever is there
    }
}

TEST_CASE("debuginfo: without .debug_aranges the units are searched; a file that refers to one that is not there is left alone")
{
    waiting const w{"inlined"};
    auto const* const outer = w.outer();
    REQUIRE(outer != nullptr);
    auto const vaddr = outer->lookup_pc().value - const_cast<st::unwinder&>(w.code).module_at(outer->pc)->bias;
    char name[] = "/tmp/taskpeek-dwarf-XXXXXX";
    auto const fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    auto const objcopy = [&](std::string const& options) {
        return std::system(("objcopy " + options + " " + path_of("inlined") + " " + name).c_str()) == 0;
    };
    std::vector<st::source_call> calls;
    REQUIRE(objcopy("--remove-section=.debug_aranges"));
    CHECK(calls_in(name, vaddr, calls));
    check_calls(calls);
    {
        std::ofstream link{std::string{name} + ".link", std::ios::binary};
        link << "/etc/passwd" << '\0' << std::string(20, 'x');
    }
    REQUIRE(objcopy("--add-section .gnu_debugaltlink=" + std::string{name} + ".link"));
    CHECK_FALSE(calls_in(name, vaddr, calls));
    REQUIRE(objcopy("--strip-debug"));
    CHECK_FALSE(calls_in(name, vaddr, calls));
    unlink(name);
    unlink((std::string{name} + ".link").c_str());
}

TEST_CASE("debuginfo: files that are cut short or changed are read within their bounds")
{
    auto const whole = bytes_of(path_of("inlined"));
    REQUIRE(whole.size() > 1000);
    st::image image;
    REQUIRE(image.open(st::byte_source::copy(whole)));
    std::vector<st::elf_section> sections;
    st::elf_section s;
    for (auto const* const wanted : {".debug_info", ".debug_abbrev", ".debug_line", ".debug_rnglists", ".debug_aranges"})
        if (image.section_named(wanted, s)) sections.push_back(s);
    REQUIRE(sections.size() > 2);
    char name[] = "/tmp/taskpeek-dwarf-XXXXXX";
    auto const fd = mkstemp(name);
    REQUIRE(fd >= 0);
    std::mt19937_64 random{3};
    unsigned opened = 0;
    for (unsigned round = 0; round < 150; ++round) {
        auto bytes = whole;
        if (round % 10 == 0) {
            bytes.resize(random() % bytes.size());
        } else {
            for (unsigned n = 0; n < 4; ++n) {
                auto const& in = sections[random() % sections.size()];
                bytes[in.offset + random() % in.size] = static_cast<char>(random());
            }
        }
        REQUIRE(ftruncate(fd, 0) == 0);
        REQUIRE(pwrite(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
        for (unsigned n = 0; n < 8; ++n) {
            std::vector<st::source_call> calls;
            opened += calls_in(name, image.entry() + random() % 1024, calls);
            CHECK(calls.size() <= st::detail::dwarf_file::deepest + 1);
        }
    }
    CHECK(opened > 800);
    close(fd);
    unlink(name);
}
