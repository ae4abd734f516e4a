// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// What a walk hands out for each task.

#include <taskpeek/task/read_record.hpp>

#include <cstddef>
#include <utility>

namespace taskpeek {

namespace detail {

/// One of a row's results. It always holds one; `emplace` makes the next in its place, without a copy.
template <std::size_t Index, class File>
struct row_slot {
    result<File> slot = error{};
};

template <class Indices, class... Files>
struct row_slots;

template <std::size_t... Index, class... Files>
struct row_slots<std::index_sequence<Index...>, Files...> : row_slot<Index, Files>... {};

template <std::size_t Index, class File>
[[nodiscard]] constexpr auto& slot_at(row_slot<Index, File>& s) noexcept { return s.slot; }
template <std::size_t Index, class File>
[[nodiscard]] constexpr auto const& slot_at(row_slot<Index, File> const& s) noexcept { return s.slot; }

} // namespace detail

/// One task of a walk: its ids, then one result for each of the kernel \p Files that the walk reads.
/// \code for (auto const& [id, stat] : tp::threads<pf::stat>()) … \endcode
/// Not copyable: its texts lie in the walk's memory and are valid until the next `++`.
template <kernel_record... Files>
class row {
public:
    row() noexcept = default;
    row(row const&) = delete;
    row& operator=(row const&) = delete;

    /// The process and the task.
    [[nodiscard]] constexpr task_id const& id() const noexcept { return id_; }

    /// The result of reading \p File.
    template <class File>
    [[nodiscard]] constexpr result<File> const& get() const noexcept
    {
        constexpr std::size_t index = [] {
            std::size_t i = 0;
            (void)((__is_same(File, Files) || (++i, false)) || ...);
            return i;
        }();
        static_assert(index < sizeof...(Files), "the walk does not read this kernel file");
        return detail::slot_at<index>(slots_);
    }

    /// For structured bindings: 0 is the ids, 1 … the results.
    template <std::size_t Index>
    [[nodiscard]] constexpr auto const& get() const noexcept
    {
        if constexpr (Index == 0) return id_;
        else return detail::slot_at<Index - 1>(slots_);
    }

    /// Was the listing of this process's threads made in several steps so far? A live thread may then have been passed over when
    /// one at a boundary died. Lend the walk a larger `listing` buffer to have it in one step.
    [[nodiscard]] constexpr bool possibly_incomplete() const noexcept { return possibly_incomplete_; }

private:
    template <class...> friend class process_walk;
    template <class...> friend class thread_walk;

    /// Reads all files of the task whose directory is \p prefix below \p directory. False if the task has gone.
    [[nodiscard, gnu::always_inline]] bool fill(task_id id, int directory, io::short_path const& prefix, lent_buffer text) noexcept
    {
        id_ = id;
        return fill_each(directory, prefix, text, std::index_sequence_for<Files...>{});
    }

    /// Nothing of the process \p id may be read.
    void refuse(task_id id, error why) noexcept
    {
        id_ = id;
        possibly_incomplete_ = false;
        why.task = id;
        refuse_each(why, std::index_sequence_for<Files...>{});
    }

    template <std::size_t... Index>
    void refuse_each([[maybe_unused]] error why, std::index_sequence<Index...>) noexcept
    {
        ((detail::slot_at<Index>(slots_) = why), ...);
    }

    template <std::size_t... Index>
    [[nodiscard, gnu::always_inline]] bool fill_each([[maybe_unused]] int directory, [[maybe_unused]] io::short_path const& prefix,
                                                     [[maybe_unused]] lent_buffer text, std::index_sequence<Index...>) noexcept
    {
        return (fill_one<Index, Files>(directory, prefix, text) && ...);
    }

    template <std::size_t Index, class File>
    [[nodiscard, gnu::always_inline]] bool fill_one(int directory, io::short_path const& prefix, lent_buffer& text) noexcept
    {
        std::size_t used = 0;
        auto& slot = detail::slot_at<Index>(slots_);
        using type = result<File>;
        slot.~type();
        ::new (static_cast<void*>(&slot)) type(detail::read_record<File>(directory, prefix, id_, text, used));
        text = {text.data() + used, text.size() - used};
        return slot.has_value() || slot.error().code != errc::vanished;
    }

    task_id id_;
    bool possibly_incomplete_ = false;
    detail::row_slots<std::index_sequence_for<Files...>, Files...> slots_;
};

} // namespace taskpeek

template <class... Files>
struct std::tuple_size<taskpeek::row<Files...>> : std::integral_constant<std::size_t, 1 + sizeof...(Files)> {};

template <std::size_t Index, class... Files>
struct std::tuple_element<Index, taskpeek::row<Files...>> {
    using type = std::remove_reference_t<decltype(std::declval<taskpeek::row<Files...> const&>().template get<Index>())>;
};
