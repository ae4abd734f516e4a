// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// libFuzzer targets of stack/: ELF images, call frame information, saved captures with the code that they are of. What is read lies
/// within the bytes, or the address sanitizer speaks; what is done is bounded, or libFuzzer's time limit does.

#include <taskpeek/stack/saved.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace fuzz_stacks {

namespace tp = taskpeek;
namespace st = taskpeek::stack;

inline void require(bool holds)
{
    if (!holds) std::abort();
}

/// Memory as a hostile target's: any address holds bytes of the input.
struct any_memory {
    std::string_view bytes;
    bool operator()(std::uint64_t at, std::size_t size, std::uint64_t& value) const
    {
        value = 0;
        if (at % 7 == 6 || bytes.empty()) return false;
        for (std::size_t i = 0; i < size; ++i)
            value |= std::uint64_t{static_cast<unsigned char>(bytes[static_cast<std::size_t>((at + i) % bytes.size())])} << 8 * i;
        return true;
    }
};

inline st::registers some_registers(std::uint64_t seed, st::machine isa)
{
    st::registers regs{isa};
    for (st::register_number r = 0; r < st::register_count; ++r)
        if ((seed >> r & 1) == 0) regs.set(r, seed * (r + 1u));
    return regs;
}

/// A row must be one of its function, whatever the bytes; stepping by it ends.
inline void step_by(st::cie const& shared, st::fde const& function, std::uint64_t pc, std::string_view bytes, std::string_view expressions,
                    std::uint64_t expressions_at)
{
    st::cfi_row row;
    if (!st::find_row(shared, function, pc, row)) return;
    require(row.begin <= pc && pc < row.end);
    require(row.return_address < st::register_count);
    auto const expression = [&](st::register_rule rule) -> std::string_view {
        auto const at = row.expressions + static_cast<std::uint64_t>(std::int64_t{rule.value}) - expressions_at;
        if (at > expressions.size() || rule.size > expressions.size() - at) return {};
        return expressions.substr(static_cast<std::size_t>(at), rule.size);
    };
    for (auto const isa : {st::machine::x86_64, st::machine::aarch64}) {
        auto regs = some_registers(pc, isa);
        auto const before = regs;
        auto const stepped = st::step(row, regs, any_memory{bytes}, expression);
        require(stepped.status == st::cfi_status::ok || regs == before); // what fails changes nothing
    }
}

/// A CIE and an FDE, of lengths that the first byte gives, and an expression.
inline void cfi(std::string_view bytes)
{
    if (bytes.size() < 2) return;
    auto const shared_size = static_cast<unsigned char>(bytes[0]);
    bool const debug = (bytes[1] & 1) != 0;
    bytes.remove_prefix(2);
    auto const first = bytes.substr(0, shared_size);
    auto const second = bytes.substr(first.size());
    st::cie shared;
    st::fde function;
    if (st::cie::parse(first, 0x1000, shared, debug) && st::fde::parse(second, 0x2000, shared, function, debug))
        for (auto const pc : {function.begin, function.begin + 1, function.begin + (function.end - function.begin) / 2, function.end - 1})
            step_by(shared, function, pc, bytes, second, 0x2000);
    auto const value = st::evaluate(bytes, some_registers(bytes.size(), st::machine::x86_64), bytes.size() % 2 != 0, 7, any_memory{bytes});
    require(value.status != st::cfi_status::ok || value.missing == 0);
}

/// An image, as a file and as the memory of a process has it.
inline void elf(std::string_view bytes)
{
    st::image image;
    if (!image.open(st::byte_source::copy(bytes))) return;
    (void)image.fingerprint();
    static char scratch[st::image::scratch_size];
    st::cie shared;
    st::fde function;
    st::elf_section section;
    (void)image.section_named(".symtab", section);
    for (std::uint64_t i = 0; i < 64; ++i) {
        auto const pc = i < 32 ? image.entry() + i : i * 64;
        if (image.find_function(pc, scratch, shared, function) != st::cfi_status::ok) continue;
        require(function.contains(pc));
        step_by(shared, function, pc, bytes, {}, 0);
    }
    std::uint64_t vaddr = 0;
    for (std::uint64_t offset = 0; offset < bytes.size(); offset += 512)
        if (image.address_of(offset, vaddr)) (void)image.read(vaddr, scratch, sizeof scratch);
}

/// A saved file: its threads unwind by the code that comes with it, the vdso's.
inline void captures(std::string_view bytes)
{
    st::saved_captures saved{bytes};
    static std::vector<char> memory(1u << 16), rows(st::unwinder::least_memory + 4096);
    auto const maps = saved.maps(memory);
    if (!maps) return;
    for (auto const& m : maps.value().all()) // files of this machine are none of a fuzzer's business
        if (maps.value().path(m).starts_with('/')) return;
    st::unwinder unwinder{maps.value(), saved.process(), -1, rows};
    unwinder.lend_vdso(saved.vdso());
    st::thread_capture c;
    for (unsigned threads = 0; saved.next(c) && threads < 16; ++threads) {
        require(c.stack.empty() || (c.stack.data() >= bytes.data() && c.stack.data() + c.stack.size() <= bytes.data() + bytes.size()));
        require(c.other.empty() || (c.other.data() >= bytes.data() && c.other.data() + c.other.size() <= bytes.data() + bytes.size()));
        for (auto const outcome : {c.outcome, st::capture_outcome::captured}) {
            c.outcome = outcome;
            st::frame frames[64];
            auto const u = unwinder.unwind(c, frames);
            require(u.frames.size() <= 64 && !st::name_of(u.end).empty());
            require((u.end == st::stack_end::not_captured) == (outcome != st::capture_outcome::captured));
        }
    }
}

} // namespace fuzz_stacks
