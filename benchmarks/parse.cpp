// SPDX-License-Identifier: BSL-1.0
// How many bytes a second each decoder takes, on this process's own files. The text is the same each time, so the CPU foresees
// every branch and has all code in its caches: a walk over live tasks pays more, see walk.cpp.

#include "allocations.hpp"
#include "command_line.hpp"

#include <taskpeek/taskpeek.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace pf = taskpeek::procfs;

namespace {

[[nodiscard]] std::string own_file(std::string_view name)
{
    std::ifstream file{"/proc/thread-self/" + std::string{name}, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

template <class Record>
void decode(std::string_view text)
{
    auto const record = Record::parse(text);
    if (!record) std::abort();
    benchmark::DoNotOptimize(record.value());
}

template <class Records>
void decode_all(std::string_view text)
{
    Records records{text};
    for (auto const& record : records) benchmark::DoNotOptimize(record);
    if (!records.status()) std::abort();
}

struct decoder {
    std::string name;
    void (*pass)(std::string_view);
    std::string text = own_file(name);
    double ms = 0;
    std::uint64_t allocations = 0;
};

void measure(benchmark::State& state, decoder& d)
{
    d.pass(d.text);
    auto const before = bench::allocations;
    d.pass(d.text);
    d.allocations = bench::allocations - before;
    for (auto _ : state) d.pass(d.text); // NOLINT(clang-analyzer-deadcode.DeadStores): how Google Benchmark counts
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(d.text.size()));
    state.counters["bytes"] = static_cast<double>(d.text.size());
    state.counters["allocations"] = static_cast<double>(d.allocations);
}

/// Keeps the median CPU time of each decoder while the table is printed.
class keep_medians : public benchmark::ConsoleReporter {
public:
    explicit keep_medians(std::vector<decoder>& decoders) : benchmark::ConsoleReporter{OO_Tabular}, decoders_{decoders} {}

    void ReportRuns(std::vector<Run> const& runs) override
    {
        for (auto const& run : runs)
            for (auto& d : decoders_)
                if (run.run_name.function_name == d.name && run.aggregate_name == "median") d.ms = run.GetAdjustedCPUTime() * 1e-6;
        ConsoleReporter::ReportRuns(runs);
    }

private:
    std::vector<decoder>& decoders_;
};

/// Gives this process some 1,000 vmas, so that its maps are worth reading.
void map_much()
{
    auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto* const all = static_cast<char*>(::mmap(nullptr, 1000 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (all == MAP_FAILED) std::abort();
    for (std::size_t i = 0; i < 1000; i += 2)
        if (::mprotect(all + i * page, page, PROT_READ | PROT_WRITE) != 0) std::abort();
}

} // namespace

int main(int argc, char** argv) // NOLINT(bugprone-exception-escape): ends the program, and says what
{
    auto const json = bench::read_command_line(argc, argv);
    map_much();
    std::vector<decoder> decoders{
        {"stat", decode<pf::stat>},
        {"status", decode<pf::status>},
        {"statm", decode<pf::statm>},
        {"maps", decode_all<pf::maps>},
        {"smaps", decode_all<pf::smaps>},
        {"smaps_rollup", decode<pf::smaps_rollup>},
        {"limits", decode<pf::limits>},
        {"io", decode<pf::io>},
        {"schedstat", decode<pf::schedstat>},
        {"cgroup", decode<pf::cgroup>},
        {"auxv", decode<pf::auxv>},
    };
    for (auto& d : decoders)
        benchmark::RegisterBenchmark(d.name.c_str(), [&d](benchmark::State& state) { measure(state, d); })
            ->Repetitions(5)
            ->ReportAggregatesOnly()->MinTime(0.1);

    keep_medians reporter{decoders};
    benchmark::RunSpecifiedBenchmarks(&reporter);
    auto rows = nlohmann::ordered_json::array();
    for (auto const& d : decoders) {
        if (d.ms == 0) continue; // filtered out
        rows.push_back({{"name", "taskpeek/decode/" + d.name}, {"ratio_to_floor", nullptr}, {"median_ms", d.ms}, {"allocations", d.allocations},
                        {"bytes_per_second", static_cast<double>(d.text.size()) / d.ms * 1e3}});
    }
    return bench::write_json(json, rows);
}
