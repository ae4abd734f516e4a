// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Values of kernel files as JSON: one overload for each type that a record's field may have.
/// Addresses are strings `"0x…"`, since not every reader of JSON keeps 64 bits; other numbers are exact. What the kernel prints
/// as a mask in hex or octal stays the text that it prints. Bytes that are no UTF-8 become `{"bytes":"ff00…"}`.

#include <taskpeek/taskpeek.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace examples {

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using json = nlohmann::ordered_json; // in the kernel's order

inline json json_of(std::string_view bytes)
{
    if (tp::text::is_utf8(bytes)) return std::string{bytes};
    std::string hex;
    for (char const byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    return {{"bytes", hex}};
}

/// `0` or `1`, as the kernel prints flags.
inline json json_of(bool flag) { return flag ? 1 : 0; }

template <std::integral Number>
json json_of(Number n) { return n; }

template <class Tag, class Rep>
json json_of(tp::strong_id<Tag, Rep> id) { return id.value; }

template <class Unit, class Rep>
json json_of(tp::quantity<Unit, Rep> amount) { return amount.count; }

template <class Unit>
json json_of(tp::limit_value<Unit> const& limit)
{
    if (limit.is_unlimited()) return "unlimited";
    return json_of(*limit.value());
}

template <tp::resource R>
json json_of(tp::rlimit<R> const& limit)
{
    return {{"soft", json_of(limit.soft)}, {"hard", json_of(limit.hard)}, {"units", std::string{tp::unit_name(R)}}};
}

inline json hex_json(std::uint64_t n) { return fmt::format("{:#x}", n); }
inline json json_of(tp::address at) { return hex_json(at.value); }
inline json json_of(tp::optional_address at) { return hex_json(at.raw()); } // 0x0 and 0x1 too: it is what the kernel said

// The types of single kernel files, in their spelling there.
inline json json_of(pf::task_state state) { return json_of(std::string_view{&state.letter, 1}); }
inline json json_of(pf::task_flags flags) { return flags.bits; }
inline json json_of(pf::scheduling_policy policy) { return policy.number; }
inline json json_of(pf::seccomp_mode mode) { return mode.number; }
inline json json_of(pf::signal_set signals) { return fmt::format("{:016x}", signals.bits); }
inline json json_of(pf::capability_set capabilities) { return fmt::format("{:016x}", capabilities.bits); }
inline json json_of(pf::file_mode_mask umask) { return fmt::format("{:04o}", umask.bits); }
inline json json_of(pf::address_mask mask) { return hex_json(mask.bits); }
inline json json_of(pf::open_flags flags) { return fmt::format("0{:o}", flags.bits); }
inline json json_of(pf::eventfd_counter counter) { return counter.value; }
inline json json_of(pf::cpu_mask const& mask) { return json_of(mask.text()); }
inline json json_of(pf::cpu_list const& list) { return json_of(list.text()); }
inline json json_of(pf::vm_flag flag) { return json_of(flag.letters); }
inline json json_of(pf::environment_entry entry) { return json_of(entry.text); }
inline json json_of(pf::signal_queue const& queue) { return {json_of(queue.queued), json_of(queue.limit)}; }
inline json json_of(pf::device device) { return fmt::format("{:02x}:{:02x}", device.major, device.minor); }
inline json json_of(pf::permissions perms)
{
    return std::string{perms.read ? 'r' : '-', perms.write ? 'w' : '-', perms.execute ? 'x' : '-', perms.shared ? 's' : 'p'};
}

template <class Id>
json json_of(pf::credentials<Id> const& ids)
{
    return {json_of(ids.real), json_of(ids.effective), json_of(ids.saved), json_of(ids.filesystem)};
}

inline json json_of(pf::syscall_arguments const& args)
{
    auto list = json::array();
    for (auto const value : args.values) list.push_back(hex_json(value));
    return list;
}

inline json json_of(pf::cgroup_membership const& membership)
{
    return {{"hierarchy_id", membership.hierarchy_id},
            {"controllers", json_of(membership.controllers)},
            {"path", json_of(membership.path)}};
}

inline json json_of(pf::kernel_frame const& frame)
{
    auto out = json::object();
    if (frame.pc) out["pc"] = json_of(frame.pc);
    if (!frame.symbol.empty()) {
        out["symbol"] = json_of(frame.symbol);
        out["offset"] = json_of(frame.offset);
        out["size"] = json_of(frame.size);
    }
    if (!frame.module.empty()) out["module"] = json_of(frame.module);
    out["reliable"] = frame.reliable;
    return out;
}

inline json json_of(pf::epoll_target const& watched)
{
    json out = {{"tfd", watched.tfd}, {"events", fmt::format("{:x}", watched.events)}, {"data", hex_json(watched.data)}};
    if (watched.pos) out["pos"] = *watched.pos;
    if (watched.ino) out["ino"] = *watched.ino;
    if (watched.sdev) out["sdev"] = *watched.sdev;
    return out;
}

/// A list inside a record: groups, arguments, frames.
template <class List>
    requires(!std::convertible_to<List const&, std::string_view>) && requires(List const& list) { list.begin() == list.end(); }
json json_of(List const& list)
{
    auto out = json::array();
    for (auto const element : list) out.push_back(json_of(element));
    return out;
}

/// Every field of \p record under the kernel's key; one that the kernel did not print is left out.
template <class Record>
    requires requires(Record const& record) { Record::each_field(record, [](char const*, auto const&) {}); }
json json_of(Record const& record)
{
    auto out = json::object();
    Record::each_field(record, [&out]<class Field>(char const* key, Field const& field) {
        if constexpr (requires { field.has_value(); *field; } && !std::same_as<Field, tp::optional_address>) {
            if (field.has_value()) out[key] = json_of(*field);
        } else {
            out[key] = json_of(field);
        }
    });
    return out;
}

inline json json_of(tp::error const& why)
{
    auto const message = why.message();
    json const fields = {{"code", std::string{tp::name_of(why.code)}},
                         {"errno", why.os_error},
                         {"offset", why.offset},
                         {"message", std::string{message.view()}}};
    return {{"error", fields}};
}

/// Prints \p value with the elements of its upper levels, as many as \p levels, on lines of their own.
inline void print_json(json const& value, unsigned levels, std::size_t indent = 0)
{
    if (levels == 0 || !value.is_structured() || value.empty()) {
        fmt::print("{}", value.dump());
    } else {
        auto const* separator = value.is_object() ? "{\n" : "[\n";
        for (auto const& element : value.items()) {
            fmt::print("{}{:{}}", separator, "", indent + 2);
            if (value.is_object()) fmt::print("{}: ", json(element.key()).dump());
            print_json(element.value(), levels - 1, indent + 2);
            separator = ",\n";
        }
        fmt::print("\n{:{}}{}", "", indent, value.is_object() ? '}' : ']');
    }
    if (indent == 0) fmt::print("\n");
}

} // namespace examples
