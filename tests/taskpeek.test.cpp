// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/taskpeek.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <doctest/doctest.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace fs = std::filesystem;

TEST_CASE("taskpeek: the umbrella holds every header of the ground and the first three floors, and no other")
{
    fs::path const headers = "include/taskpeek"; // test programs run in the project's own directory
    std::set<std::string> wanted;
    for (auto const* floor : {"text", "procfs", "io", "task"})
        for (auto const& entry : fs::directory_iterator{headers / floor})
            wanted.insert("taskpeek/" + std::string{floor} + "/" + entry.path().filename().string());
    for (auto const& entry : fs::directory_iterator{headers})
        if (entry.is_regular_file()) wanted.insert("taskpeek/" + entry.path().filename().string());
    wanted.erase("taskpeek/taskpeek.hpp");
    wanted.erase("taskpeek/error_code.hpp"); // opt-in: <system_error> is dear

    std::set<std::string> found;
    std::ifstream umbrella{headers / "taskpeek.hpp"};
    for (std::string line; std::getline(umbrella, line);) {
        constexpr std::string_view start = "#include <";
        if (line.starts_with(start)) found.insert(line.substr(start.size(), line.find('>') - start.size()));
    }
    CHECK(found == wanted);
}

TEST_CASE("taskpeek: one include suffices to find oneself among all threads")
{
    auto const self = tp::process::self();
    REQUIRE(self);
    auto seen = 0;
    for (auto const& [id, stat] : tp::threads<pf::stat>())
        if (stat && id == self.value().id()) seen += stat.value().num_threads >= 1;
    CHECK(seen == 1);
}
