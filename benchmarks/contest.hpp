// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Several ways to the same answer, measured side by side: in every round each runs once, in an order drawn anew, so that whatever
/// else the machine does, and whatever the one before left in the caches, hits all alike. A time is CPU time, user and system, of
/// the pass and of the programs that it ran: what others do at the time counts less. A ratio is the median over the rounds of the
/// ratio within the round.

#include "allocations.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <time.h>

namespace bench {

/// CPU time so far, of this thread and of the children that it has waited for.
[[nodiscard]] inline double milliseconds()
{
    timespec own{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    rusage children{};
    ::getrusage(RUSAGE_CHILDREN, &children);
    auto const of = [](timeval t) { return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) * 1e-3; };
    return static_cast<double>(own.tv_sec) * 1e3 + static_cast<double>(own.tv_nsec) * 1e-6 + of(children.ru_utime) + of(children.ru_stime);
}

[[nodiscard]] inline double median(std::vector<double> of)
{
    auto const middle = of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2);
    std::nth_element(of.begin(), middle, of.end());
    return *middle;
}

struct contestant {
    std::string name;
    std::function<std::uint64_t()> pass; ///< gives how many records it saw
    std::vector<double> ms = {};         ///< one a round
    std::uint64_t records = 0;           ///< of the last pass
    std::optional<std::uint64_t> allocations = {}; ///< of the last pass; none: it ran in a process of its own
};

/// Contestants for one question. The first is the floor.
class contest {
public:
    contest(std::string question, std::vector<contestant> contestants)
        : question_{std::move(question)}, contestants_{std::move(contestants)}, order_(contestants_.size())
    {
        std::iota(order_.begin(), order_.end(), std::size_t{0});
    }

    [[nodiscard]] std::string const& question() const noexcept { return question_; }

    /// Each contestant once. \return the time of the second: ours
    double round()
    {
        std::shuffle(order_.begin(), order_.end(), random_);
        for (auto const i : order_) {
            auto& c = contestants_[i];
            auto const before = allocations;
            auto const start = milliseconds();
            c.records = c.pass();
            auto const took = milliseconds() - start;
            auto const made = allocations - before;
            if (c.allocations) c.allocations = made;
            c.ms.push_back(took);
        }
        return contestants_[1].ms.back();
    }

    void forget_warm_up()
    {
        for (auto& c : contestants_) c.ms.clear();
    }

    [[nodiscard]] double ratio(contestant const& c) const
    {
        auto const& floor = contestants_.front().ms;
        std::vector<double> ratios(c.ms.size());
        for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] = c.ms[i] / floor[i];
        return median(std::move(ratios));
    }

    void report(nlohmann::ordered_json& rows) const
    {
        std::printf("\n%s (%zu rounds)\n", question_.c_str(), contestants_.front().ms.size());
        for (auto const& c : contestants_) {
            if (c.ms.empty()) continue; // filtered out
            auto const allocated = c.allocations ? std::to_string(*c.allocations) : "?";
            std::printf("  %-28s %9.3f ms  %6.3f x floor  %8s allocations  %7llu records\n", c.name.c_str(), median(c.ms), ratio(c),
                        allocated.c_str(), static_cast<unsigned long long>(c.records));
            nlohmann::ordered_json row{{"name", full_name(c.name)}, {"ratio_to_floor", ratio(c)}, {"median_ms", median(c.ms)}};
            row["allocations"] = c.allocations ? nlohmann::ordered_json(*c.allocations) : nlohmann::ordered_json(nullptr);
            rows.push_back(std::move(row));
        }
    }

    /// Shows it to Google Benchmark as one benchmark, whose iteration is a round and whose time is ours.
    void enter(int rounds)
    {
        benchmark::RegisterBenchmark(question_.c_str(), [this](benchmark::State& state) {
            for (int i = 0; i < 2; ++i) round();
            forget_warm_up();
            for (auto _ : state) state.SetIterationTime(round() / 1e3);
            for (auto const& c : contestants_) state.counters[c.name] = ratio(c);
        })->Iterations(rounds)->UseManualTime()->Unit(benchmark::kMillisecond);
    }

private:
    /// `taskpeek/maps_of_10000_vmas`; of several of one maker, `taskpeek, whole` for one: `taskpeek/maps_of_10000_vmas/whole`
    [[nodiscard]] std::string full_name(std::string const& contestant) const
    {
        auto const comma = contestant.find(", ");
        auto name = contestant.substr(0, comma) + "/" + question_;
        if (comma != std::string::npos) name += "/" + contestant.substr(comma + 2);
        return name;
    }

    std::string question_;
    std::vector<contestant> contestants_;
    std::vector<std::size_t> order_;
    std::minstd_rand random_; // the same order in every run
};

} // namespace bench
