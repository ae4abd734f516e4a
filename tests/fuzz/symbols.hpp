// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// libFuzzer targets of names: symbol tables of ELF files, maps of JIT compilers, mangled names.

#include <taskpeek/stack/symbols.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fuzz_symbols {

namespace st = taskpeek::stack;

inline void require(bool holds)
{
    if (!holds) std::abort();
}

/// The first searches and those in the sorted table give the same; each is a function that holds the address.
inline void tables(std::string_view bytes)
{
    st::image image;
    if (!image.open(st::byte_source::copy(bytes))) return;
    for (bool const dynamic : {false, true}) {
        st::symbol_table sorted;
        if (!sorted.load(image, dynamic)) continue;
        st::symbol_table::entry a, b;
        for (unsigned i = 0; i < st::symbol_table::searches_before_sorting; ++i) (void)sorted.find(i, a);
        st::symbol_table fresh;
        (void)fresh.load(image, dynamic);
        for (unsigned i = 0; i < 16; ++i) {
            auto const at = image.entry() + i * 0x111;
            bool const found = sorted.find(at, a);
            require(found == fresh.find(at, b));
            if (!found) continue;
            require(a.begin <= at && at < a.end && a.begin == b.begin);
            require(sorted.name(a).size() <= st::symbol_table::longest_name);
        }
    }
}

inline void perf_map(std::string_view bytes)
{
    st::perf_map map;
    map.parse(std::string{bytes});
    for (std::uint64_t pc = 0; pc < 0x20000; pc += 0x123) {
        std::string_view name;
        std::uint64_t begin = 0;
        if (map.find(pc, name, begin)) require(begin <= pc && name.size() <= bytes.size());
    }
}

inline void demangle(std::string_view bytes)
{
    require(st::demangle(bytes).size() <= st::largest_demangled + bytes.size());
}

} // namespace fuzz_symbols
