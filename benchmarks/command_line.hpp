// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What every benchmark program understands: `--json FILE`, and Google Benchmark's own flags.

#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace bench {

/// Takes `--json FILE` out of the arguments, which end with it, and gives the rest to Google Benchmark.
[[nodiscard]] inline std::string read_command_line(int& argc, char** argv)
{
    std::string json;
    if (argc >= 3 && argv[argc - 2] == std::string_view{"--json"}) {
        json = argv[argc - 1];
        argc -= 2;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) std::exit(2);
    return json;
}

/// \return the exit status of the program.
[[nodiscard]] inline int write_json(std::string const& path, nlohmann::ordered_json const& rows)
{
    if (path.empty()) return 0;
    std::ofstream file{path};
    file << rows.dump(2) << '\n';
    file.close();
    if (file) return 0;
    std::fprintf(stderr, "%s could not be written\n", path.c_str());
    return 1;
}

} // namespace bench
