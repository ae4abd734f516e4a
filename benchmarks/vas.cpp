// SPDX-License-Identifier: BSL-1.0
// What telling an address space apart costs beside reading it: ratios within one run,
// medians of interleaved rounds. The process looked at has some 10,000 vmas, 60 libraries (300 file mappings) and 100 threads.

#include "command_line.hpp"
#include "contest.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/classify.hpp>
#include <taskpeek/vas/finder.hpp>
#include <taskpeek/vas/model.hpp>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

constexpr char const* large_name = "vas-large"; // what smem knows it by

/// A library that the program has not loaded, of the C library's: it is small, and there wherever that is.
std::string some_library()
{
    Dl_info info{};
    if (dladdr(reinterpret_cast<void*>(&getpid), &info) == 0) return {};
    auto const library = std::filesystem::path{info.dli_fname}.parent_path() / "libanl.so.1";
    return std::filesystem::exists(library) ? library.string() : std::string{};
}

/// Becomes the process to look at.
[[noreturn]] void be_large(std::string const& library, int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, large_name);
    auto const folder = std::filesystem::temp_directory_path() / ("taskpeek-bench-" + std::to_string(getpid()));
    std::filesystem::create_directory(folder);
    for (int i = 0; i < 60; ++i) {
        auto const copy = folder / ("lib" + std::to_string(i) + ".so");
        std::filesystem::copy_file(library, copy);
        (void)!dlopen(copy.c_str(), RTLD_NOW);
    }
    std::filesystem::remove_all(folder);
    for (int i = 0; i < 9'400; ++i) (void)!mmap(nullptr, 4096, i % 2 != 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 99; ++i) std::thread{[] { for (;;) pause(); }}.detach();
    usleep(100'000);
    (void)!write(ready, "", 1);
    for (;;) pause();
}

/// \return how many bytes there were
std::uint64_t read_raw(tp::process const& process)
{
    static char memory[8192];
    auto const fd = openat(process.directory(), "maps", O_RDONLY | O_CLOEXEC);
    std::uint64_t all = 0;
    for (ssize_t got; (got = read(fd, memory, sizeof memory)) > 0;) all += static_cast<std::uint64_t>(got);
    close(fd);
    return all;
}

/// A program's pass: all it costs, its start included.
bench::contestant as_a_program(std::vector<std::string> const& words)
{
    std::string line;
    for (auto const& word : words) line += word + " ";
    auto const file = std::filesystem::path{words.front()}.filename().string();
    return {.name = file + (words.size() > 2 ? " " + words[1] : "") + "(1)",
            // NOLINTNEXTLINE(cert-env33-c): our own words
            .pass = [line] { return static_cast<std::uint64_t>(std::system((line + "> /dev/null").c_str()) == 0 ? 1 : 0); }};
}

} // namespace

int main(int argc, char** argv) // NOLINT(bugprone-exception-escape): ends the program, and says what
{
    auto const json = bench::read_command_line(argc, argv);
    int ready[2];
    if (pipe(ready) != 0) return 1;
    auto const child = fork();
    if (child == 0) be_large(some_library(), ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
    auto const process = tp::process::open(tp::tgid{child});
    std::vector<vas::image> images(256);
    std::vector<vas::stack_pointer> pointers(256);
    auto const facts = vas::gather(process.value(), {images, pointers});
    if (!facts) return 1;
    std::size_t of_files = 0, vmas = 0;
    for (auto const& v : process.value().maps()) {
        ++vmas;
        of_files += v.has_inode() ? 1u : 0u;
    }
    std::printf("%zu vmas, %zu of them of files; %zu ELF files, %zu threads\n", vmas, of_files, facts.value().images.size(),
                facts.value().threads);

    static char names[4096];
    auto finder = vas::finder::open(process.value(), names);
    auto scanner = vas::finder::open(process.value(), names);
    scanner.value().only_scan();
    std::vector<std::uint64_t> addresses;
    for (auto const& v : process.value().maps())
        if (v.path != "[vsyscall]") addresses.push_back(v.start.value);
    auto const maps = openat(process.value().directory(), "maps", O_RDONLY | O_CLOEXEC);
    auto const path = "/proc/" + std::to_string(child);

    auto const in_process = [](std::string name, std::function<std::uint64_t()> pass) {
        return bench::contestant{.name = std::move(name), .pass = std::move(pass), .allocations = 0};
    };
    auto const find_20 = [&](vas::finder& with) {
        std::uint64_t n = 0;
        for (std::size_t i = 1; i <= 20; ++i)
            n += with.find(tp::address{addresses[addresses.size() * i / 20 - 1]}).value().has_value() ? 1u : 0u;
        return n;
    };
    // the program that draws it, built beside this one
    auto const show_vas = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "examples" / "show_vas";
    auto const page = std::filesystem::temp_directory_path() / ("taskpeek-bench-" + std::to_string(getpid()) + ".html");
    auto const pid = std::to_string(child);
    std::vector<bench::contestant> looking{
        in_process("floor", [&] { return read_raw(process.value()); }),
        in_process("taskpeek, model", [&] { return vas::read_model(process.value()).value()->ranges.size(); }),
        in_process("taskpeek, model with smaps",
                   [&] { return vas::read_model(process.value(), {.numbers = true, .pages = true}).value()->ranges.size(); }),
        as_a_program({"pmap", pid}), as_a_program({"pmap", "-X", pid}),
        as_a_program({"smem", "-H", "-P", std::string{"'^"} + large_name + "$'"})};
    if (std::filesystem::exists(show_vas)) {
        looking.push_back(as_a_program({show_vas, pid}));
        looking.push_back(as_a_program({show_vas, "--html", page, pid}));
    }
    std::pair<bench::contest, int> contests[] = {
        {{"streamed_classification_of_10000_vmas", // at most 1.15x; the evidence is gathered apart
          {in_process("floor", [&] { return read_raw(process.value()); }),
           in_process("taskpeek", [&] {
               std::uint64_t n = 0;
               for (auto const& r : vas::classify(process.value().maps(), facts.value())) n += r.is_mapped() ? 1u : 0u;
               return n;
           }),
           in_process("taskpeek, evidence", [&] { return vas::gather(process.value(), {images, pointers}).value().images.size(); })}},
         100},
        {{"look_at_10000_vmas", looking}, 10},
        {{"find_10000_addresses", // at most 1.2x
          {in_process("floor", [&] {
               char build_id[20];
               for (auto const a : addresses) {
                   vas::detail::procmap_query q;
                   q.query_addr = a;
                   q.vma_name_size = sizeof names;
                   q.vma_name_addr = reinterpret_cast<std::uintptr_t>(names);
                   q.build_id_size = sizeof build_id;
                   q.build_id_addr = reinterpret_cast<std::uintptr_t>(build_id);
                   (void)ioctl(maps, vas::detail::procmap_query::number, &q);
               }
               return addresses.size();
           }),
           in_process("taskpeek", [&] {
               std::uint64_t n = 0;
               for (auto const a : addresses) n += finder.value().find(tp::address{a}).value().has_value() ? 1u : 0u;
               return n;
           })}},
         60},
        {{"find_20_addresses", // the query at least 1,000 times as fast
          {in_process("floor", [&] { return find_20(finder.value()); }), in_process("taskpeek, scan", [&] { return find_20(scanner.value()); })}},
         20},
    };
    for (auto& [contest, rounds] : contests) contest.enter(rounds);
    benchmark::RunSpecifiedBenchmarks();
    auto rows = nlohmann::ordered_json::array();
    for (auto const& [contest, rounds] : contests) contest.report(rows);
    if (std::filesystem::exists(page)) {
        std::printf("\nthe page of show_vas --html has %ju bytes\n", static_cast<std::uintmax_t>(std::filesystem::file_size(page)));
        std::filesystem::remove(page);
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    return bench::write_json(json, rows);
}
