// SPDX-License-Identifier: BSL-1.0
// How far may this process go? Its resource limits, shown and set: prlimit(1) for people.

#include "common/json.hpp"
#include "common/program.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace examples;

/// Calls \p body with the resource \p what, known at run time, as a constant.
template <class Body>
auto with_resource(tp::resource what, Body body)
{
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        std::optional<decltype(body.template operator()<tp::resource::cpu>())> answer;
        (void)((static_cast<std::size_t>(what) == I && (answer = body.template operator()<tp::resource{I}>(), true)) || ...);
        return *answer;
    }(std::make_index_sequence<tp::resource_count>{});
}

/// A limit as prlimit(2) counts it: `UINT64_MAX` is unlimited.
struct limits {
    std::uint64_t soft, hard;
};

tp::result<limits> get(tp::process const& process, tp::resource what)
{
    return with_resource(what, [&]<tp::resource R>() -> tp::result<limits> {
        auto const now = tp::get_rlimit<R>(process);
        if (!now) return now.error();
        return limits{tp::to_rlim(now.value().soft), tp::to_rlim(now.value().hard)};
    });
}

tp::result<void> set(tp::process const& process, tp::resource what, limits wanted)
{
    return with_resource(what, [&]<tp::resource R>() -> tp::result<void> {
        using unit = tp::rlimit_unit<R>;
        tp::rlimit<R> const next{tp::from_rlim<unit>(wanted.soft), tp::from_rlim<unit>(wanted.hard)};
        auto const before = tp::set_rlimit(process, next);
        if (!before) return before.error();
        return tp::success();
    });
}

/// What `--set` asks for; a half that is not told stays as it is.
struct change {
    tp::resource what;
    std::optional<std::uint64_t> soft, hard;
};

constexpr std::string_view suffixes = "KMGTPE";

/// `65536`, `64K` (of bytes only; also `64k`, `64KiB`), `unlimited`.
std::optional<std::uint64_t> parse_value(std::string_view text, tp::resource what)
{
    if (text == "unlimited" || text == "infinity") return UINT64_MAX;
    tp::text::cursor in{text};
    auto const number = in.decimal<std::uint64_t>();
    if (!in.ok()) return std::nullopt;
    auto const suffix = in.rest();
    if (suffix.empty()) return number < UINT64_MAX ? std::optional{number} : std::nullopt; // 2^64-1 would mean unlimited
    auto const power = suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(suffix.front()))));
    auto const rest = suffix.substr(1); // not "B", which may mean powers of 1,000
    if ((!rest.empty() && rest != "iB") || power == suffixes.npos || tp::unit_name(what) != "bytes") return std::nullopt;
    auto const shift = 10 * (power + 1);
    if (number > UINT64_MAX >> shift) return std::nullopt;
    return number << shift;
}

/// The resource that \p name means, in upper or lower case: `nofile`, `RLIMIT_NOFILE`, `Max open files`.
std::optional<tp::resource> find_resource(std::string_view name)
{
    auto const same = [](std::string_view a, std::string_view b) {
        return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
    };
    for (std::size_t i = 0; i < tp::resource_count; ++i) {
        auto const r = static_cast<tp::resource>(i);
        if (same(name, tp::name_of(r)) || same(name, tp::rlimit_name(r)) || same(name, tp::kernel_key(r))) return r;
    }
    return std::nullopt;
}

/// `NAME=SOFT[:HARD]`; `NAME=:HARD` too.
std::optional<change> parse_change(std::string_view text)
{
    auto const equals = text.find('=');
    if (equals == text.npos) return std::nullopt;
    auto const what = find_resource(text.substr(0, equals));
    if (!what) return std::nullopt;
    auto const values = text.substr(equals + 1);
    auto const colon = values.find(':');
    change out{*what, {}, {}};
    auto const read = [&](std::string_view value, std::optional<std::uint64_t>& into) {
        into = parse_value(value, *what);
        return into.has_value();
    };
    if (colon != 0 && !read(values.substr(0, colon), out.soft)) return std::nullopt;
    if (colon != values.npos && !read(values.substr(colon + 1), out.hard)) return std::nullopt;
    return out;
}

/// What `nofile` may be raised to, whoever one is: `/proc/sys/fs/nr_open` (kernel/sys.c, do_prlimit).
std::uint64_t largest_nofile()
{
    tp::buffer<32> memory;
    auto const text = tp::io::read_file(AT_FDCWD, "/proc/sys/fs/nr_open", memory, tp::io::read_mode::at_once, tp::kernel_file::none);
    if (!text) return UINT64_MAX;
    tp::text::cursor in{text.value()};
    auto const number = in.decimal<std::uint64_t>();
    return in.ok() ? number : UINT64_MAX;
}

/// So many of \p unit, for people: `8 MiB`, `1 h`; empty if nothing is easier than the number. `~` stands before what is rounded.
std::string humanised(std::uint64_t number, std::string_view unit)
{
    struct step {
        std::uint64_t size;
        std::string_view name;
    };
    static constexpr step binary[] = {{1ull << 60, "EiB"}, {1ull << 50, "PiB"}, {1ull << 40, "TiB"},
                                      {1ull << 30, "GiB"}, {1ull << 20, "MiB"}, {1ull << 10, "KiB"}};
    static constexpr step seconds[] = {{86'400, "d"}, {3'600, "h"}, {60, "min"}};
    static constexpr step microseconds[] = {{1'000'000, "s"}, {1'000, "ms"}};
    auto const in = [number](auto const& steps) -> std::string {
        for (auto const& [size, name] : steps) {
            if (number < size) continue;
            if (number % size == 0) return fmt::format("{} {}", number / size, name);
            return fmt::format("~{:.1f} {}", static_cast<double>(number) / static_cast<double>(size), name);
        }
        return {};
    };
    return unit == "bytes" ? in(binary) : unit == "seconds" ? in(seconds) : unit == "us" ? in(microseconds) : std::string{};
}

std::string shown(std::uint64_t number, std::string_view unit)
{
    if (number == UINT64_MAX) return "unlimited";
    auto const easier = humanised(number, unit);
    return easier.empty() ? std::to_string(number) : fmt::format("{} ({})", number, easier);
}

/// All limits, or why they cannot be told. The `limits` file tells them to everyone; prlimit(2) only to the process's own user.
tp::result<void> show(tp::process const& process, bool as_json)
{
    auto const all = process.read<tp::procfs::limits>();
    if (!all) return all.error();
    using align = table::align;
    table rows{{{"NAME", align::left}, {"SOFT", align::left}, {"HARD", align::left}, {"UNIT", align::left},
                {"LIMIT", align::left}}};
    json out = {{"tgid", process.id().tgid.value}, {"limits", json::object()}};
    tp::procfs::limits::each_field(all.value(), [&]<tp::resource R>(char const* key, std::optional<tp::rlimit<R>> const& limit) {
        if (!limit) return; // a kernel without it
        auto const soft = tp::to_rlim(limit->soft), hard = tp::to_rlim(limit->hard);
        std::string const name{tp::name_of(R)}, unit{tp::unit_name(R)};
        auto const number = [](std::uint64_t n) { return n == UINT64_MAX ? json("unlimited") : json(n); };
        out["limits"][name] = {{"soft", number(soft)}, {"hard", number(hard)}, {"units", unit}};
        rows.add({name, shown(soft, unit), shown(hard, unit), unit, key});
    });
    if (as_json) print_json(out, 2);
    else rows.print();
    return tp::success();
}

int show_limits(CLI::App& options, command_line const& arguments)
{
    std::int32_t pid = 0;
    std::vector<std::string> wishes;
    bool as_json = false;

    options.description("Shows the resource limits of a process, and sets them.");
    options.add_option("PID", pid, "the process")->required()->type_name("")->check(CLI::PositiveNumber);
    options.add_option("--set", wishes, "set a limit before they are shown; may be repeated")
        ->type_name("NAME=SOFT[:HARD]")
        ->allow_extra_args(false)
        ->check([](std::string const& text) {
            return parse_change(text) ? std::string{} : harmless(text) + " is no NAME=SOFT[:HARD]";
        });
    options.add_flag("--json", as_json, "print JSON");
    options.footer("NAME is the first column of the table, or as in getrlimit(2): RLIMIT_NOFILE.\n"
                   "SOFT and HARD are numbers, or `unlimited`; of bytes also 64K, 8M, 2G (of 1,024).\n"
                   "A half that is left out stays as it is: stack=16M, core=:0.");
    arguments.read();

    auto const fail = [](tp::error const& why, std::string_view about = {}) {
        auto const message = why.message();
        complain(fmt::format("{}{}", about, message.view()));
        return something_unread;
    };
    auto const process = tp::process::open(tp::tgid{pid});
    if (!process) return fail(process.error());
    for (auto const& wish : wishes) {
        auto const [what, soft, hard] = *parse_change(wish);
        auto const about = fmt::format("{}: ", tp::name_of(what));
        auto const now = get(process.value(), what);
        if (!now) return fail(now.error(), about);
        limits const next{soft.value_or(now.value().soft), hard.value_or(now.value().hard)};
        if (auto const done = set(process.value(), what, next); !done) {
            auto const status = fail(done.error(), about);
            if (done.error().code == tp::errc::denied && what == tp::resource::nofile && next.hard > largest_nofile())
                complain(fmt::format("and nobody may raise it above fs.nr_open, {}", largest_nofile()));
            return status;
        }
    }
    if (auto const shown = show(process.value(), as_json); !shown) return fail(shown.error());
    return all_told;
}

} // namespace

int main(int argc, char** argv) { return run(show_limits, "show_limits", argc, argv); }
