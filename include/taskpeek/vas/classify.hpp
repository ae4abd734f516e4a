// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// The vmas of a process told apart as they are read: every vma, every part of one, and every gap, in ascending order.

#include <taskpeek/procfs/maps.hpp>
#include <taskpeek/text/cursor.hpp>
#include <taskpeek/text/lending.hpp>
#include <taskpeek/vas/facts.hpp>
#include <taskpeek/vas/range.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace taskpeek::vas {

/// Where user space ends and the kernel's half begins.
struct user_layout {
    std::uint64_t user_end = 0;     ///< TASK_SIZE: the first address that mmap(2) never gives
    std::uint64_t kernel_begin = 0; ///< 0 where there is no hole above: 32-bit processes

    /// The least of the layouts that Linux has which holds a vma that ends at \p highest. The main stack is always near the top, so this
    /// tells them apart: 38 bits (RISC-V sv39), 39, 48 and 52 (arm64), 47 and 56 (x86-64 of 4 and 5 levels), and for 4-byte pointers 3 GiB
    /// (of 32-bit kernels) or 4 GiB. A process uses 52 and 56 only by asking for it: see `facts::highest_mappable`.
    [[nodiscard]] static constexpr user_layout holding(std::uint64_t highest, std::size_t word_size) noexcept
    {
        if (word_size == 4) {
            for (std::uint64_t const end : {0xc0000000u, 0xffffe000u})
                if (highest <= end) return {end, 0};
            return {0x100000000, 0};
        }
        constexpr std::uint64_t page = 4096;
        for (int const bits : {38, 39, 42, 47, 48, 52, 56}) {
            auto const all = std::uint64_t{1} << bits;
            auto const end = bits == 47 || bits == 56 ? all - page : all; // x86 keeps the last page free
            if (highest <= end) return {end, 0 - all};
        }
        return {std::uint64_t{1} << 63, std::uint64_t{1} << 63};
    }
};

/// Tells vmas apart by the facts of their process.
///
/// A lending range of `range`, in ascending order, over the vmas of \p Maps (`process::maps()`, or `pf::maps{text}`): the ranges tile the
/// address space from 0 to the kernel's half, without overlap or hole; `[vsyscall]`, which lies there, comes last.
/// Does not allocate. \code for (auto const& range : vas::classify(process.maps(), facts)) … \endcode
/// Lifetime: borrows what the maps borrow, and the facts' images and stack pointers. A range's `path` is valid until the next `++`.
template <class Maps>
class classified : public lending_range<classified<Maps>, range> {
    using base = lending_range<classified, range>;

public:
    classified() noexcept = default;
    classified(Maps const& maps, facts const& known) noexcept : maps_{maps}, facts_{known} {}
    classified(classified const& other) noexcept : base{}, maps_{other.maps_}, facts_{other.facts_} {}
    classified& operator=(classified const& other) noexcept
    {
        if (this != &other) {
            base::operator=(other);
            maps_ = other.maps_;
            facts_ = other.facts_;
            state_ = {};
        }
        return *this;
    }
    ~classified() = default;

    /// Success, or why the maps ended early: the ranges then tile what was read, and the rest of the address space is not told.
    [[nodiscard]] result<void> status() const noexcept { return maps_.status(); }

private:
    friend base;
    using source_iterator = typename Maps::iterator;

    static constexpr std::uint64_t sign_bit = std::uint64_t{1} << 63;

    [[nodiscard]] range const& current() const noexcept { return state_.row; }

    bool fetch() noexcept
    {
        auto& s = state_;
        if (!s.begun) {
            s.begun = true;
            s.next = maps_.begin();
            take_next();
        }
        for (;;) {
            if (s.active) {
                auto const& v = s.vma;
                if (s.at < v.start.value) return tell_gap(v.start.value);
                if (s.at < v.end.value) return tell_part();
                take_next();
                continue;
            }
            if (s.finished || !maps_.status()) return false;
            find_layout();
            auto const end = s.layout.kernel_begin != 0 ? s.layout.kernel_begin : s.layout.user_end;
            if (s.at >= end) { s.finished = true; return false; }
            return tell_gap(end);
        }
    }

    /// Makes the next vma the active one, and looks at the one behind where that matters.
    void take_next() noexcept
    {
        auto& s = state_;
        if (s.looked_ahead) s.looked_ahead = false;
        else if (s.fetched_one) ++s.next;
        s.fetched_one = true;
        s.active = !(s.next == maps_.end());
        if (!s.active) return;
        s.vma = *s.next;
        if (s.vma.start.value < s.at)
            s.vma.start.value = s.at; // maps is a picture in pieces: a vma that grew or moved meanwhile may overlap
        if (s.vma.end.value < s.vma.start.value) s.vma.end = s.vma.start;
        s.has_behind = false;
        if (!wants_look_behind()) return;
        if (!s.vma.path.empty()) __builtin_memcpy(s.name, s.vma.path.data(), s.vma.path.size());
        s.vma.path = {s.name, s.vma.path.size()};
        ++s.next;
        s.looked_ahead = true;
        s.has_behind = !(s.next == maps_.end());
    }

    [[nodiscard]] static bool is_anonymous(procfs::vma const& v) noexcept { return v.path.empty() || v.path.front() == '['; }
    [[nodiscard]] static bool is_accessible(procfs::vma const& v) noexcept { return v.perms.read || v.perms.write || v.perms.execute; }

    /// A guard is known by what it guards, an arena by the reserve behind it.
    [[nodiscard]] bool wants_look_behind() const noexcept
    {
        auto const& v = state_.vma;
        if (!is_anonymous(v) || v.path.size() > sizeof state_.name) return false;
        return !is_accessible(v) || v.start.value % arena_size() == 0;
    }

    [[nodiscard]] std::uint64_t arena_size() const noexcept { return facts_.word_size == 4 ? 1u << 20 : 64u << 20; }

    void find_layout() noexcept
    {
        auto& s = state_;
        if (s.layout.user_end != 0) return;
        s.highest = facts_.highest_end.value > s.at ? facts_.highest_end.value : s.at;
        s.rests_on = basis::highest_vma;
        if (facts_.word_size != 4 && facts_.highest_mappable.value > s.highest) {
            s.highest = facts_.highest_mappable.value;
            s.rests_on = basis::mmap;
        }
        s.layout = user_layout::holding(s.highest, facts_.word_size);
    }

    void begin_row(std::uint64_t end, range_class kind, evidence why) noexcept
    {
        auto& s = state_;
        s.row.start = address{s.at};
        s.row.end = address{end};
        s.row.kind = kind;
        s.row.why = why;
        s.row.thread = {};
        s.at = end;
    }

    bool tell_gap(std::uint64_t end) noexcept
    {
        auto& s = state_;
        s.row.mapping = {};
        auto const tell = [&](std::uint64_t until, range_class kind, basis rests_on, std::uint64_t cited) {
            begin_row(until < end ? until : end, kind, {rests_on, cited, file_source::none, true});
            return true;
        };
        if (auto const least = facts_.mmap_min_addr.value_or(0); s.at < least)
            return tell(least, range_class::null_page, basis::mmap_min_addr, least);
        if (s.active && s.vma.path == "[stack]") return tell_gap_below_stack(end);
        bool const to_the_top = !s.active || s.vma.start.value >= sign_bit;
        if (!to_the_top) return tell(end, range_class::gap, basis::absence, 0);
        find_layout();
        if (s.at < s.layout.user_end) return tell(s.layout.user_end, range_class::gap, basis::absence, 0);
        if (s.layout.kernel_begin != 0 && s.at < s.layout.kernel_begin)
            return tell(s.layout.kernel_begin, range_class::non_canonical, s.rests_on, s.highest);
        return tell(end, range_class::kernel_half, basis::documented, s.layout.kernel_begin);
    }

    /// Below the main stack: room to grow, down to what RLIMIT_STACK allows or the guard gap to the mapping below leaves; then that gap.
    bool tell_gap_below_stack(std::uint64_t stack) noexcept
    {
        auto& s = state_;
        if (s.growth_end != stack) { // once for each stack
            constexpr std::uint64_t default_gap_pages = 256; // mm/mmap.c, stack_guard_gap, since 4.12
            s.growth_end = stack;
            auto const gap = default_gap_pages * facts_.page_size;
            auto const below = s.at;
            auto const top = s.vma.end.value;
            auto const guarded = stack - below > gap ? below + gap : stack;
            s.growth_begin = stack;
            if (facts_.stack_limit) {
                auto const limit = facts_.stack_limit->value();
                s.growth_limit = limit ? limit->count : 0;
                auto const allowed =
                    !limit || limit->count > top ? 0 : (top - limit->count + facts_.page_size - 1) & ~(facts_.page_size - 1);
                s.growth_begin = allowed > guarded ? allowed : guarded;
                if (s.growth_begin > stack) s.growth_begin = stack;
            }
            s.guard_begin = s.growth_begin - below > gap ? s.growth_begin - gap : below;
        }
        if (s.at < s.guard_begin) begin_row(s.guard_begin, range_class::gap, {basis::absence, 0, file_source::none, true});
        else if (s.at < s.growth_begin)
            begin_row(s.growth_begin, range_class::stack_guard_gap, {basis::documented, 256, file_source::none, true});
        else begin_row(stack, range_class::stack_growth, {basis::limits, s.growth_limit, file_source::none, true});
        return true;
    }

    bool tell_part() noexcept
    {
        auto& s = state_;
        auto const& v = s.vma;
        if (s.at == v.start.value) s.row.mapping = v;
        if (is_anonymous(v)) tell_anonymous(v);
        else tell_file(v);
        note_thread();
        return true;
    }

    void tell(range_class kind, evidence why, std::uint64_t end) noexcept
    {
        begin_row(end < state_.vma.end.value ? end : state_.vma.end.value, kind, why);
    }
    void tell_whole(range_class kind, basis rests_on = basis::maps, std::uint64_t cited = 0) noexcept
    {
        begin_row(state_.vma.end.value, kind, {rests_on, cited, file_source::none, true});
    }

    struct found_part {
        image const* of = nullptr;
        image::part part;
    };

    /// The part of an image that \p a is in. Images are in ascending order, as the questions are.
    [[nodiscard]] found_part find_part(std::uint64_t a) noexcept
    {
        auto& s = state_;
        auto const& images = facts_.images;
        while (s.image < images.size() && images[s.image].end.value <= a) ++s.image;
        for (auto i = s.image; i < images.size() && images[i].start.value <= a; ++i)
            if (auto const part = images[i].part_at(a)) return {&images[i], *part};
        return {};
    }

    /// Tells the part of an image at the position, if the vma is that of the image.
    bool tell_image_part() noexcept
    {
        auto& s = state_;
        auto const& v = s.vma;
        auto const [of, part] = find_part(s.at);
        if (of == nullptr) return tell_part_without_header();
        if (v.has_inode() ? !of->is_of(v) : part.of_file) return false; // something else was mapped over it
        bool const unprotected = (part.kind == range_class::relro || part.kind == range_class::library_relro) && v.perms.write;
        auto const kind = !unprotected ? part.kind : part.kind == range_class::relro ? range_class::data : range_class::library_data;
        tell(kind, {basis::program_header, part.cited, of->source, of->verified}, part.end);
        return true;
    }

    /// Tells a vma of an image whose headers say nothing about it, or could not be read.
    bool tell_part_without_header() noexcept
    {
        auto const& v = state_.vma;
        for (auto i = state_.image; i < facts_.images.size() && facts_.images[i].start <= v.start; ++i) {
            auto const& of = facts_.images[i];
            if (!of.spans(v.start)) continue;
            if (of.is_of(v)) {
                if (of.has_headers() && !is_accessible(v))
                    tell_whole(range_class::guard, basis::neighbour, of.start.value); // ld.so keeps holes shut
                else if (of.has_headers()) return false;
                else tell_whole(of.kind_by(v.perms), basis::permissions);
                return true;
            }
            if (v.start == of.presumed_bss && !v.has_inode()) {
                tell_whole(of.bss_kind(), basis::neighbour, v.start.value);
                return true;
            }
        }
        return false;
    }

    void tell_file(procfs::vma const& v) noexcept
    {
        auto const path = v.path;
        if (path.starts_with("/SYSV")) return tell_whole(range_class::sysv_shared_memory);
        if (path.starts_with("/memfd:")) return tell_whole(range_class::memfd);
        if (path.starts_with("/dev/zero")) return tell_whole(v.perms.shared ? range_class::shared_anonymous : range_class::anonymous);
        if (path.starts_with("/anon_hugepage")) return tell_whole(range_class::huge_pages);
        if (path.starts_with("/[aio]")) return tell_whole(range_class::aio_ring);
        if (tell_image_part()) return;
        if (path.starts_with("/dev/shm/")) return tell_whole(range_class::posix_shared_memory);
        if (path.starts_with("/dev/hugepages/")) return tell_whole(range_class::huge_pages);
        if (path.starts_with("anon_inode:") || path.starts_with("/dmabuf:") || path.starts_with("/dev/")) return tell_whole(range_class::kernel_object);
        return tell_whole(path.starts_with('/') ? range_class::file_mapping : range_class::unknown);
    }

    void tell_anonymous(procfs::vma const& v) noexcept
    {
        if (!v.path.empty()) return tell_named(v);
        if (tell_image_part()) return;
        if (!is_accessible(v)) return tell_inaccessible(v);
        if (tell_arena(v)) return;
        if (auto const* const s = first_stack_pointer_in(v); s != nullptr && v.perms.write)
            return tell_whole(range_class::thread_stack, basis::stack_pointer, s->value.value);
        if (v.perms.execute) return tell_whole(range_class::jit_code);
        if (has_size_of_thread_stack(v))
            return tell_whole(range_class::thread_stack, basis::thread_stack_size, facts_.thread_stack_size());
        return tell_whole(v.perms.shared ? range_class::shared_anonymous : range_class::anonymous);
    }

    void tell_named(procfs::vma const& v) noexcept
    {
        auto const name = v.path;
        if (name == "[heap]") {
            auto const brk = facts_.start_brk;
            if (brk && state_.at < (*brk).value && tell_image_part()) return; // without randomisation, bss and heap may be one vma
            return tell_whole(range_class::heap, brk ? basis::stat : basis::maps, brk ? (*brk).value : 0);
        }
        if (name == "[stack]")
            return tell_whole(range_class::main_stack, facts_.start_stack ? basis::stat : basis::maps, facts_.start_stack.raw());
        for (std::string_view const of_thread :
             {"[stack:", "[anon:stack_and_tls:", "[anon: glibc: pthread stack: ", "[anon: glibc: pthread user stack: "})
            if (name.starts_with(of_thread)) return tell_stack_of(name.substr(of_thread.size()));
        if (name == "[vdso]")
            return tell_whole(range_class::vdso, facts_.vdso ? basis::auxv : basis::maps, facts_.vdso.value_or(address{}).value);
        if (name.starts_with("[vvar")) return tell_whole(range_class::vvar);
        if (name == "[vsyscall]") return tell_whole(range_class::vsyscall);
        if (name == "[uprobes]" || name == "[sigpage]" || name == "[vectors]") return tell_whole(range_class::kernel_page);
        if (name.starts_with("[anon_shmem:")) return tell_whole(range_class::shared_anonymous);
        if (name.starts_with("[anon:")) {
            if (!is_accessible(v)) return tell_inaccessible(v);
            if (tell_arena(v)) return;
            if (name == "[anon: glibc: malloc arena]") return tell_whole(range_class::malloc_arena);
            if (auto const* const s = first_stack_pointer_in(v); s != nullptr && v.perms.write)
                return tell_whole(range_class::thread_stack, basis::stack_pointer, s->value.value);
            return tell_whole(v.perms.execute ? range_class::jit_code : range_class::named_anonymous);
        }
        return tell_whole(range_class::unknown, basis::nothing);
    }

    /// A stack whose name tells the thread: the kernel's of 3.4 to 4.4, bionic's, and glibc's of 2.39 with glibc.mem.decorate_maps.
    void tell_stack_of(std::string_view number) noexcept
    {
        text::cursor in{number};
        auto const tid = in.decimal<std::int32_t>();
        if (!is_accessible(state_.vma)) return tell_inaccessible(state_.vma);
        tell_whole(range_class::thread_stack);
        if (in.ok() && tid > 0) state_.row.thread = taskpeek::tid{tid};
    }

    /// A PROT_NONE vma: what is left of an arena's reserve, then a guard if something to guard begins right behind it.
    void tell_inaccessible(procfs::vma const& v) noexcept
    {
        auto& s = state_;
        if (s.arena_end > s.at) {
            auto const reserve_end = s.arena_end < v.end.value ? s.arena_end : v.end.value;
            return tell(range_class::arena_reserve, {basis::arena_alignment, s.arena_end - arena_size(), file_source::none, true},
                        reserve_end);
        }
        constexpr std::uint64_t largest_guard = 2u << 20; // larger ones are address space kept for later
        bool const guards =
            s.has_behind && (*s.next).start == v.end && is_accessible(*s.next) && (*s.next).perms.write && is_anonymous(*s.next);
        if (guards && v.end.value - s.at <= largest_guard) return tell_whole(range_class::guard, basis::neighbour, v.end.value);
        return tell_whole(range_class::reserved);
    }

    /// glibc's arena: written to from a multiple of its size on, and the rest of that size kept without permission.
    bool tell_arena(procfs::vma const& v) noexcept
    {
        auto& s = state_;
        if (v.perms.shared || !v.perms.write) return false;
        auto const size = arena_size();
        bool const goes_on = s.at < s.arena_end; // a part of it with other permissions or names
        bool const begins = s.at % size == 0 &&
                            (v.end.value - s.at == size || (s.has_behind && (*s.next).start == v.end && !is_accessible(*s.next) &&
                                                            (*s.next).end.value >= s.at + size && v.end.value < s.at + size));
        if (!goes_on && !begins) return false;
        if (begins) s.arena_end = s.at + size;
        tell(range_class::malloc_arena, {basis::arena_alignment, s.arena_end - size, file_source::none, true}, s.arena_end);
        return true;
    }

    /// pthread_create(3) makes stacks of RLIMIT_STACK bytes, the guard included; a thread that is running tells no stack pointer.
    [[nodiscard]] bool has_size_of_thread_stack(procfs::vma const& v) const noexcept
    {
        if (v.perms.shared || !v.perms.write || v.perms.execute) return false;
        auto const& s = state_;
        if (s.guard_end != v.start.value) return false;
        auto const usual = facts_.thread_stack_size();
        auto const size = v.end.value - v.start.value;
        return usual != 0 && (size == usual || size + s.guard_size == usual);
    }

    [[nodiscard]] stack_pointer const* first_stack_pointer_in(procfs::vma const& v) noexcept
    {
        auto& s = state_;
        auto const& all = facts_.stack_pointers;
        while (s.pointer < all.size() && all[s.pointer].value < v.start) ++s.pointer;
        return s.pointer < all.size() && all[s.pointer].value < v.end ? &all[s.pointer] : nullptr;
    }

    /// Whatever it is, a thread may have its stack there.
    void note_thread() noexcept
    {
        auto& s = state_;
        auto const& all = facts_.stack_pointers;
        while (s.row_pointer < all.size() && all[s.row_pointer].value < s.row.start) ++s.row_pointer;
        if (s.row_pointer < all.size() && all[s.row_pointer].value < s.row.end) s.row.thread = all[s.row_pointer].thread;
        if (s.row.kind == range_class::guard) {
            s.guard_end = s.row.end.value;
            s.guard_size = s.row.size().count;
        }
    }

    /// Everything that begins anew with a copy.
    struct walk_state {
        bool begun = false, finished = false, active = false, fetched_one = false, looked_ahead = false, has_behind = false;
        source_iterator next;
        procfs::vma vma;                    ///< the active one
        char name[96];                      ///< its path, while the one behind is looked at
        std::uint64_t at = 0;               ///< everything below is told
        std::size_t image = 0, pointer = 0, row_pointer = 0;
        std::uint64_t arena_end = 0, guard_end = 0, guard_size = 0, highest = 0;
        std::uint64_t growth_end = 0, growth_begin = 0, guard_begin = 0, growth_limit = 0;
        user_layout layout;
        basis rests_on = basis::highest_vma; ///< the layout
        range row;
    };

    Maps maps_;
    facts facts_;
    walk_state state_;
};

/// Tells the vmas of \p maps apart: see `classified`. Without \p known facts, by their names and permissions alone.
template <class Maps>
[[nodiscard]] classified<Maps> classify(Maps const& maps, facts const& known = {}) noexcept
{
    return {maps, known};
}

} // namespace taskpeek::vas
