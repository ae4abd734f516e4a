// SPDX-License-Identifier: BSL-1.0
// What telling an address space apart costs beside reading it: ratios within one run, medians of interleaved rounds. The process
// looked at has some 10,000 vmas, 60 libraries (300 file mappings) and 100 threads.

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/classify.hpp>
#include <taskpeek/vas/finder.hpp>
#include <taskpeek/vas/model.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
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

std::uint64_t allocations = 0;

/// Becomes the process to look at.
[[noreturn]] void be_large(std::string const& library, int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
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

double milliseconds(std::function<void()> const& work)
{
    auto const begun = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count();
}

double median(std::vector<double> v)
{
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

void read_raw(tp::process const& process)
{
    static char memory[65536];
    auto const fd = openat(process.directory(), "maps", O_RDONLY | O_CLOEXEC);
    while (read(fd, memory, sizeof memory) > 0) {}
    close(fd);
}

} // namespace

void* operator new(std::size_t size)
{
    ++allocations;
    if (auto* const at = std::malloc(size)) return at;
    std::abort();
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

int main(int argc, char** argv)
{
    int ready[2];
    if (pipe(ready) != 0) return 1;
    auto const child = fork();
    if (child == 0) be_large(argc > 1 ? argv[1] : "/usr/lib/x86_64-linux-gnu/libanl.so.1", ready[1]);
    char byte;
    if (read(ready[0], &byte, 1) != 1) return 1;
    auto const process = tp::process::open(tp::tgid{child});
    std::vector<vas::image> images(256);
    std::vector<vas::stack_pointer> pointers(256);
    auto const facts = vas::gather(process.value(), {images, pointers});
    if (!facts) return 1;

    std::vector<double> raw, classified, gathered, walked, model, query, finding, scanning;
    std::size_t ranges = 0;
    char names[4096];
    auto finder = vas::finder::open(process.value(), names);
    auto scanner = vas::finder::open(process.value(), names);
    scanner.value().only_scan();
    std::vector<std::uint64_t> addresses;
    for (auto const& v : process.value().maps()) addresses.push_back(v.start.value);
    auto const maps = openat(process.value().directory(), "maps", O_RDONLY | O_CLOEXEC);
    char build_id[20];

    for (int round = 0; round < 41; ++round) {
        raw.push_back(milliseconds([&] { read_raw(process.value()); }));
        walked.push_back(milliseconds([&] { std::size_t n = 0; for (auto const& v : process.value().maps()) n += v.inode != 0; ranges = n; }));
        auto const before = allocations;
        char buffer[65536];
        classified.push_back(milliseconds([&] {
            std::size_t n = 0;
            for (auto const& r : vas::classify(process.value().maps(buffer), facts.value())) n += r.is_mapped() ? 2u : 1u;
            ranges = n;
        }));
        gathered.push_back(milliseconds([&] { (void)vas::gather(process.value(), {images, pointers}).has_value(); }));
        if (allocations - before > 4) std::printf("%llu allocations\n", static_cast<unsigned long long>(allocations - before)); // std::function's
        if (round % 8 == 0) model.push_back(milliseconds([&] { (void)vas::read_model(process.value()).has_value(); }));
        query.push_back(milliseconds([&] {
            for (auto const a : addresses) {
                vas::detail::procmap_query q;
                q.query_addr = a;
                q.vma_name_size = sizeof names;
                q.vma_name_addr = reinterpret_cast<std::uintptr_t>(names);
                q.build_id_size = sizeof build_id;
                q.build_id_addr = reinterpret_cast<std::uintptr_t>(build_id);
                (void)ioctl(maps, vas::detail::procmap_query::number, &q);
            }
        }));
        finding.push_back(milliseconds([&] { for (auto const a : addresses) (void)finder.value().find(tp::address{a}).has_value(); }));
        if (round % 8 == 0) scanning.push_back(milliseconds([&] { (void)scanner.value().find(tp::address{addresses[addresses.size() - 3]}).has_value(); }));
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);

    auto const each = [&](std::vector<double> const& all) { return median(all) / static_cast<double>(addresses.size()) * 1e6; };
    std::printf("%zu vmas, %zu images, %zu threads\n", addresses.size(), facts.value().images.size(), facts.value().threads);
    std::printf("raw read of maps          %8.2f ms\n", median(raw));
    std::printf("walk over maps            %8.2f ms  %5.2fx\n", median(walked), median(walked) / median(raw));
    std::printf("streamed classification   %8.2f ms  %5.2fx (at most 1.15x)\n", median(classified), median(classified) / median(raw));
    std::printf("gathering the evidence    %8.2f ms\n", median(gathered));
    std::printf("assembled model, in all   %8.2f ms\n", median(model));
    std::printf("bare PROCMAP_QUERY        %8.0f ns\n", each(query));
    std::printf("finder                    %8.0f ns  %5.2fx (at most 1.2x)\n", each(finding), median(finding) / median(query));
    std::printf("scan of maps              %8.2f ms  %5.0fx of the finder (at least 1000x)\n", median(scanning), median(scanning) * 1e6 / each(finding));
    return 0;
}
