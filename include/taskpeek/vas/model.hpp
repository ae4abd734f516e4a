// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The user half of a process's address space, whole: all its ranges, their totals, and their numbers if asked for.

#include <taskpeek/procfs/smaps.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/vas/classify.hpp>
#include <taskpeek/vas/facts.hpp>
#include <taskpeek/vas/range.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace taskpeek::vas {

/// Sums over an address space.
struct totals {
    bytes user_size;               ///< from 0 to the end of user space
    bytes kernel_size;             ///< from the hole's end to 2^64; 0 in 32-bit processes
    bytes mapped;                  ///< of all vmas: VmSize of `status`
    std::size_t vmas = 0;          ///< `[vsyscall]` is the kernel's and does not count
    std::size_t gaps = 0;          ///< stretches without a vma, between, below and above them
    bytes by_class[range_class_count] = {};
    bytes writable_and_executable;
    kibibytes rss, pss, swap;      ///< sums of what `smaps` told
    std::optional<bytes> heap_room;               ///< from the heap's end to the next mapping: the break can move so far at most
    std::optional<std::uint64_t> max_map_count;   ///< vm.max_map_count: mmap(2) fails beyond

    [[nodiscard]] constexpr bytes operator[](range_class c) const noexcept { return by_class[static_cast<std::size_t>(c)]; }
    [[nodiscard]] constexpr bytes sparse() const noexcept { return user_size - mapped; }

    /// How many more vmas the process may have.
    [[nodiscard]] constexpr std::optional<std::uint64_t> vmas_left() const noexcept
    {
        if (!max_map_count) return std::nullopt;
        return *max_map_count > vmas ? *max_map_count - vmas : 0;
    }
};

/// Adds ranges up, one by one in ascending order.
class adder {
public:
    constexpr void add(range const& r) noexcept
    {
        auto const size = r.size();
        sum_.by_class[static_cast<std::size_t>(r.kind)] += size;
        if (r.kind == range_class::non_canonical) sum_.kernel_size = bytes{0 - r.end.value};
        if (r.kind == range_class::non_canonical || r.kind == range_class::kernel_half || r.kind == range_class::vsyscall) return;
        sum_.user_size = r.end - address{0};
        if (!r.is_mapped()) {
            if (!in_gap_) ++sum_.gaps;
            in_gap_ = true;
            return;
        }
        if (was_heap_ && r.kind != range_class::heap) {
            sum_.heap_room = r.start - heap_end_;
            was_heap_ = false;
        }
        if (r.kind == range_class::heap) {
            was_heap_ = true;
            heap_end_ = r.end;
        }
        in_gap_ = false;
        sum_.mapped += size;
        if (r.is_writable_and_executable()) sum_.writable_and_executable += size;
        if (r.is_first_part()) ++sum_.vmas;
        if (r.numbers) {
            sum_.rss += r.numbers->rss.value_or(kibibytes{});
            sum_.pss += r.numbers->pss.value_or(kibibytes{});
            sum_.swap += r.numbers->swap.value_or(kibibytes{});
        }
    }
    [[nodiscard]] constexpr totals const& sum() const noexcept { return sum_; }

private:
    totals sum_;
    address heap_end_;
    bool in_gap_ = false;
    bool was_heap_ = false;
};

/// What to read into a model.
struct model_options {
    bool numbers = false; ///< `smaps` too: the kernel walks all page tables of the target, with its mmap lock (6.18: a vma's lock)
                          ///< held for reading
};

/// Memory of the caller's for a model. For N vmas of F files and T threads: 2 N + 2 F + 8 ranges, F images, T stack pointers, and
/// as many bytes of text as the paths have (and with numbers some 90 for each vma). Too little is the error `truncated`, whose
/// offset is the number of ranges that there was room for.
struct model_memory {
    facts_memory facts;
    std::span<range> ranges;
    lent_buffer text;
};

/// The user half of an address space, whole.
/// Lifetime: views into the memory that it was read into.
struct model_view {
    facts known;
    std::span<range const> ranges; ///< ascending; they tile the space from 0 to the kernel's half; `[vsyscall]` comes last
    totals sum;
    error numbers_failure;         ///< why `smaps` could not be read, if `numbers_failed`
    bool numbers_failed = false;

    /// The range that holds \p a; null above the last.
    [[nodiscard]] range const* find(address a) const noexcept
    {
        auto const at = std::partition_point(ranges.begin(), ranges.end(), [a](range const& r) { return r.end <= a; });
        return at != ranges.end() && at->contains(a) ? &*at : nullptr;
    }
};

namespace detail {

/// Keeps texts in the caller's memory; alike neighbours once.
class text_keeper {
public:
    explicit text_keeper(lent_buffer memory) noexcept : memory_{memory} {}

    [[nodiscard]] bool keep(std::string_view& text) noexcept
    {
        if (text.empty()) return true;
        if (text == last_) { text = last_; return true; }
        if (text.size() > memory_.size() - used_) return false;
        __builtin_memcpy(memory_.data() + used_, text.data(), text.size());
        last_ = text = {memory_.data() + used_, text.size()};
        used_ += text.size();
        return true;
    }

private:
    lent_buffer memory_;
    std::string_view last_;
    std::size_t used_ = 0;
};

/// Gives each range that begins a vma the numbers which `smaps` has for that vma, if it is still the same size.
[[nodiscard]] inline result<bool> add_numbers(process const& target, std::span<range> ranges, text_keeper& texts) noexcept
{
    auto at = ranges.begin();
    auto smaps = target.smaps();
    for (auto const& smap : smaps) {
        auto const& m = smap.mapping;
        while (at != ranges.end() && (at->start < m.start || !at->is_mapped())) ++at;
        if (at == ranges.end()) break;
        if (at->start != m.start || at->mapping.end != m.end) continue;
        vma_numbers n{smap.rss, smap.pss, smap.private_dirty, smap.shared_dirty, smap.swap, smap.anon_huge_pages, {}, false};
        if (smap.vm_flags) {
            n.vm_flags = smap.vm_flags->text();
            n.has_lightweight_guards = smap.vm_flags->has("gu");
            if (!texts.keep(n.vm_flags)) return false;
            auto const becomes = [&](range_class kind) {
                for (auto part = at; part != ranges.end() && part->start < m.end; ++part) {
                    part->kind = kind;
                    part->why = {basis::vm_flags, 0, file_source::none, true};
                }
            };
            if (smap.vm_flags->has("ss")) becomes(range_class::shadow_stack);
            else if (smap.vm_flags->has("ht") && at->kind == range_class::file_mapping) becomes(range_class::huge_pages);
        }
        at->numbers = n;
    }
    if (auto const ended = smaps.status(); !ended) return ended.error();
    return true;
}

} // namespace detail

/// Reads the user half of \p target's address space into \p memory. No allocation; 40 KiB of stack.
/// Errors: vanished, zombie, kernel_thread, denied; truncated (\p memory is too small).
/// Lifetime: views into \p memory.
[[nodiscard]] inline result<model_view> read_model(process const& target, model_memory const& memory,
                                                   model_options const& options = {}) noexcept
{
    auto const known = gather(target, memory.facts);
    if (!known) return known.error();
    detail::text_keeper texts{memory.text};
    std::size_t used = 0;
    auto const too_small = [&] { return error{errc::truncated, kernel_file::maps, 0, target.id(), static_cast<std::uint32_t>(used)}; };
    if (known.value().images_wanted > known.value().images.size() ||
        known.value().stack_pointers_wanted > known.value().stack_pointers.size())
        return too_small();

    auto ranges = classify(target.maps(), known.value());
    for (auto const& r : ranges) {
        if (used == memory.ranges.size()) return too_small();
        auto& kept = memory.ranges[used] = r;
        kept.numbers.reset();
        if (!texts.keep(kept.mapping.path)) return too_small();
        ++used;
    }
    if (auto const ended = ranges.status(); !ended) return ended.error();

    model_view model;
    model.known = known.value();
    if (options.numbers) {
        auto const added = detail::add_numbers(target, memory.ranges.first(used), texts);
        if (added && !added.value()) return too_small();
        model.numbers_failed = !added;
        if (!added) model.numbers_failure = added.error();
    }
    model.ranges = memory.ranges.first(used);
    adder sum;
    for (auto const& r : model.ranges) sum.add(r);
    model.sum = sum.sum();
    model.sum.max_map_count = model.known.max_map_count;
    return model;
}

/// The same, in memory of its own: this is the part of the library that allocates (and throws std::bad_alloc).
class model {
public:
    model(model&&) noexcept = default; ///< the vectors keep their memory, so the view stays true
    model& operator=(model&&) noexcept = default;

    [[nodiscard]] model_view const& view() const noexcept { return view_; }
    [[nodiscard]] model_view const* operator->() const noexcept { return &view_; }

private:
    friend result<model> read_model(process const& target, model_options const& options);

    model() = default;

    std::vector<image> images_;
    std::vector<stack_pointer> stack_pointers_;
    std::vector<range> ranges_;
    std::vector<char> text_;
    model_view view_;
};

/// Reads the user half of \p target's address space.
/// \code
/// auto const process = tp::process::open(tgid);
/// auto const model = tp::vas::read_model(process.value());
/// for (auto const& range : model.value()->ranges) print(range.start, range.end, name_of(range.kind), range.mapping.path);
/// \endcode
/// Errors: vanished, zombie, kernel_thread, denied; truncated (it grew faster than it could be read).
[[nodiscard]] inline result<model> read_model(process const& target, model_options const& options = {})
{
    model made;
    std::size_t vmas = 64, images = 8, text = 4096; // some to spare: it goes on living meanwhile
    auto maps = target.maps();
    for (auto const& vma : maps) {
        ++vmas;
        images += vma.has_inode() && vma.perms.execute ? 1 : 0;
        text += vma.path.size() + (options.numbers ? 100 : 0);
    }
    if (auto const ended = maps.status(); !ended) return ended.error();
    std::size_t threads = 16;
    buffer<procfs::stat::typical_size> memory;
    if (auto const stat = target.read<procfs::stat>(memory)) threads += static_cast<std::size_t>(stat.value().num_threads);
    for (int attempt = 0; attempt < 8; ++attempt) {
        made.images_.resize(images);
        made.stack_pointers_.resize(threads);
        made.ranges_.resize(2 * (vmas + images) + 8);
        made.text_.resize(text);
        auto read = read_model(target, {{made.images_, made.stack_pointers_}, made.ranges_, made.text_}, options);
        if (read) {
            made.view_ = read.value();
            return made;
        }
        if (read.error().code != errc::truncated || read.error().file != kernel_file::maps) return read.error();
        for (auto* const size : {&vmas, &images, &text, &threads}) *size *= 2;
    }
    return error{errc::truncated, kernel_file::maps, 0, target.id(), 0};
}

} // namespace taskpeek::vas
