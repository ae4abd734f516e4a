// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The user half of a process's address space, whole: all its ranges, their totals, and their numbers if asked for.

#include <taskpeek/procfs/smaps.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/vas/classify.hpp>
#include <taskpeek/vas/facts.hpp>
#include <taskpeek/vas/range.hpp>
#include <taskpeek/vas/residency.hpp>

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
    bool pages = false;   ///< `range::pages`, and lightweight guards wherever they are: the kernel walks the page tables likewise.
                          ///< Before 6.7, without PAGEMAP_SCAN, this reads 8 bytes a page, and leaves ranges of more than 64 GiB out
};

/// Memory of the caller's for a model. For N vmas of F files and T threads: 2 N + 2 F + 8 ranges, F images, T stack pointers, and
/// as many bytes of text as the paths have (and with numbers some 90 for each vma); two ranges more for each lightweight guard. Too
/// little is the error `truncated`, whose offset is the number of ranges that there was room for.
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
    error pages_failure;           ///< why the pages could not be looked at, if `pages_failed`
    bool numbers_failed = false;
    bool pages_failed = false;

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

/// Looks at the pages of ranges, and splits lightweight guards off. Since 2.42, glibc's pthread_create(3) makes no vma without permission
/// below a stack, so that the kernel makes one vma of neighbouring stacks: only the pages tell where one ends.
class page_teller {
public:
    /// \p all has room for more behind the first \p used.
    page_teller(process const& target, facts const& known, model_options const& options, std::span<range> all, std::size_t used) noexcept
        : target_{target}, known_{known}, options_{options}, all_{all}, next_{all.size() - used}
    {
        std::copy_backward(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(used), all.end()); // read there, written from the front
    }

    /// \return whether there was room
    [[nodiscard]] bool run() noexcept
    {
        while (next_ != all_.size()) {
            auto behind = next_;
            bool const wanted = is_wanted(next_);
            do ++behind; while (behind != all_.size() && wanted && is_wanted(behind) && all_[behind].start == all_[behind - 1].end);
            if (!(wanted ? look_at(behind) : put(all_[next_++]))) return false;
        }
        return true;
    }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    [[nodiscard]] error const& failure() const noexcept { return failure_; }

private:
    [[nodiscard]] bool is_wanted(std::size_t i) const noexcept
    {
        auto const& r = all_[i];
        if (failed_ || !r.is_mapped() || r.kind == range_class::vsyscall) return false;
        if (options_.pages) return !only_pagemap_ || r.size() <= largest_by_pagemap;
        if (r.numbers && r.numbers->has_lightweight_guards) return true;
        if (r.kind == range_class::thread_stack) return true;
        auto const stack = known_.thread_stack_size();
        return r.kind == range_class::anonymous && r.mapping.perms.write && stack != 0 && r.size().count % stack == 0;
    }

    /// Tells the ranges from the next one to \p behind, which lie side by side.
    [[nodiscard]] bool look_at(std::size_t behind) noexcept
    {
        auto const page = known_.page_size;
        page_runs runs{target_, address{all_[next_].start.value & ~(page - 1)},
                       address{(all_[behind - 1].end.value + page - 1) & ~(page - 1)}, bytes{page}};
        auto run = runs.begin();
        while (next_ != behind) {
            auto rest = all_[next_++];
            residency sum;
            bool was_guard = false;
            for (; !(run == runs.end()) && run->start < rest.end; ++run) {
                page_run seen{run->start > rest.start ? run->start : rest.start, run->end < rest.end ? run->end : rest.end, run->state};
                if (seen.state.guard) {
                    if (seen.start > rest.start && !put_piece(rest, seen.start, sum, was_guard)) return false;
                    if (!put_guard(rest, seen)) return false;
                    sum = {};
                    was_guard = true;
                } else {
                    sum.add(seen);
                }
                if (run->end > rest.end) break; // the next range has its rest
            }
            if (rest.start < rest.end && !put_piece(rest, rest.end, sum, was_guard)) return false;
        }
        if (auto const ended = runs.status(); !ended) {
            failed_ = true;
            failure_ = ended.error();
            for (auto& r : all_.first(count_)) r.pages.reset(); // half a sum is none
        }
        only_pagemap_ = !runs.is_scan();
        return true;
    }

    /// The part of \p rest before \p end, which goes on behind it.
    [[nodiscard]] bool put_piece(range& rest, address end, residency const& sum, bool behind_guard) noexcept
    {
        auto piece = rest;
        piece.end = end;
        if (options_.pages) piece.pages = sum;
        if (behind_guard || end != rest.end) tell_stack(piece, behind_guard);
        rest.start = end;
        rest.numbers.reset(); // are on the vma's first range
        return put(piece);
    }

    [[nodiscard]] bool put_guard(range& rest, page_run const& seen) noexcept
    {
        auto piece = rest;
        piece.end = seen.end;
        piece.kind = range_class::guard;
        piece.why = {basis::pagemap, seen.start.value, file_source::none, true};
        piece.thread = {};
        if (options_.pages) { piece.pages.emplace(); piece.pages->add(seen); }
        rest.start = seen.end;
        rest.numbers.reset();
        return put(piece);
    }

    /// Whose stack is a part of what was one vma?
    void tell_stack(range& piece, bool behind_guard) const noexcept
    {
        if (piece.kind != range_class::thread_stack && piece.kind != range_class::anonymous && piece.kind != range_class::named_anonymous)
            return;
        auto const& all = known_.stack_pointers;
        auto const first = std::partition_point(all.begin(), all.end(), [&](stack_pointer const& p) { return p.value < piece.start; });
        piece.thread = {};
        if (first != all.end() && first->value < piece.end) {
            piece.kind = range_class::thread_stack;
            piece.why = {basis::stack_pointer, first->value.value, file_source::none, true};
            piece.thread = first->thread;
            return;
        }
        auto const usual = known_.thread_stack_size();
        auto const guard = count_ != 0 && all_[count_ - 1].kind == range_class::guard ? all_[count_ - 1].size().count : 0;
        if (behind_guard && usual != 0 && (piece.size().count == usual || piece.size().count + guard == usual)) {
            piece.kind = range_class::thread_stack;
            piece.why = {basis::thread_stack_size, usual, file_source::none, true};
        } else if (piece.kind == range_class::thread_stack) {
            piece.kind = piece.mapping.path.empty() ? range_class::anonymous : range_class::named_anonymous;
            piece.why = {basis::maps, 0, file_source::none, true};
        }
    }

    [[nodiscard]] bool put(range const& one) noexcept
    {
        if (count_ == next_) return false;
        auto const kept = one; // it may lie where the ranges to come do
        all_[count_++] = kept;
        return true;
    }

    static constexpr bytes largest_by_pagemap{std::uint64_t{64} << 30};

    process const& target_;
    facts const& known_;
    model_options const& options_;
    std::span<range> all_;
    std::size_t next_, count_ = 0;
    bool only_pagemap_ = false;
    bool failed_ = false;
    error failure_;
};

/// Gathers what is known of \p target, and tells its ranges apart. \return false for too little memory
[[nodiscard]] inline result<bool> tell_ranges(process const& target, model_memory const& memory, facts& known, text_keeper& texts,
                                              std::size_t& used) noexcept
{
    auto const gathered = gather(target, memory.facts);
    if (!gathered) return gathered.error();
    known = gathered.value();
    if (known.images_wanted > known.images.size() || known.stack_pointers_wanted > known.stack_pointers.size()) return false;
    auto ranges = classify(target.maps(), known);
    for (auto const& r : ranges) {
        if (used == memory.ranges.size()) return false;
        auto& kept = memory.ranges[used] = r;
        kept.numbers.reset();
        kept.pages.reset();
        if (!texts.keep(kept.mapping.path)) return false;
        ++used;
    }
    if (auto const ended = ranges.status(); !ended) return ended.error();
    return true;
}

/// Did `maps` end in the middle, as it does for who reads it while its process executes another program?
[[nodiscard]] constexpr bool was_cut(error const& why) noexcept { return why.code == errc::truncated && why.file == kernel_file::maps; }

/// Does \p target run another program than when \p known was gathered? An exec moves the stack, the code, or both.
[[nodiscard]] inline bool has_executed_another(process const& target, facts const& known) noexcept
{
    buffer<procfs::stat::typical_size> memory;
    auto const stat = target.read<procfs::stat>(memory);
    return stat && (stat.value().startstack != known.start_stack || stat.value().startcode != known.start_code ||
                    stat.value().start_data != known.start_data);
}

} // namespace detail

/// Reads the user half of \p target's address space into \p memory. No allocation; 40 KiB of stack.
/// Errors: vanished, zombie, kernel_thread, denied; truncated (\p memory is too small).
/// Lifetime: views into \p memory.
[[nodiscard]] inline result<model_view> read_model(process const& target, model_memory const& memory,
                                                   model_options const& options = {}) noexcept
{
    detail::text_keeper texts{memory.text};
    std::size_t used = 0;
    auto const too_small = [&] { return error{errc::truncated, kernel_file::maps, 0, target.id(), static_cast<std::uint32_t>(used)}; };
    model_view model;
    for (int attempts_left = 8;; --attempts_left) {
        texts = detail::text_keeper{memory.text};
        used = 0;
        auto const told = detail::tell_ranges(target, memory, model.known, texts, used);
        if (told && !told.value()) return too_small();
        bool const again = told ? detail::has_executed_another(target, model.known) : detail::was_cut(told.error());
        if (again && attempts_left > 0) continue; // what was known was another program's
        if (!told) return told.error();
        break;
    }
    if (options.numbers) {
        auto const added = detail::add_numbers(target, memory.ranges.first(used), texts);
        if (added && !added.value()) return too_small();
        model.numbers_failed = !added;
        if (!added) model.numbers_failure = added.error();
    }
    detail::page_teller pages{target, model.known, options, memory.ranges, used};
    if (!pages.run()) return too_small();
    used = pages.count();
    model.pages_failed = pages.failed() && options.pages;
    if (model.pages_failed) model.pages_failure = pages.failure();
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
    model() = default; ///< of nothing
    model(model&&) noexcept = default; ///< the vectors keep their memory, so the view stays true
    model& operator=(model&&) noexcept = default;

    [[nodiscard]] model_view const& view() const noexcept { return view_; }
    [[nodiscard]] model_view const* operator->() const noexcept { return &view_; }

private:
    friend result<model> read_model(process const& target, model_options const& options);

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
    std::size_t vmas = 0, images = 0, text = 0;
    for (int attempts_left = 8;; --attempts_left) {
        vmas = 64, images = 8, text = 4096; // some to spare: it goes on living meanwhile
        auto maps = target.maps();
        for (auto const& vma : maps) {
            ++vmas;
            images += vma.has_inode() && vma.perms.execute ? 1 : 0;
            text += vma.path.size() + (options.numbers ? 100 : 0);
        }
        auto const ended = maps.status();
        if (ended) break;
        if (!detail::was_cut(ended.error()) || attempts_left == 0) return ended.error();
    }
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
        if (!detail::was_cut(read.error())) return read.error();
        for (auto* const size : {&vmas, &images, &text, &threads}) *size *= 2;
    }
    return error{errc::truncated, kernel_file::maps, 0, target.id(), 0};
}

} // namespace taskpeek::vas
