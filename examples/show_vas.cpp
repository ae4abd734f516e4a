// SPDX-License-Identifier: BSL-1.0
// Where do text, data, heap, libraries, stacks and the kernel live? A process's whole address space, drawn.

#include "common/json.hpp"
#include "common/program.hpp"
#include "common/vas_html.hpp"

#include <taskpeek/vas/diff.hpp>
#include <taskpeek/vas/kernel_half.hpp>
#include <taskpeek/vas/model.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace examples;
namespace vas = tp::vas;
using vas::range_class;

struct choices {
    target process;
    std::string root = "/proc", locate, csv, html, color = "auto";
    bool user = false, kernel = false, as_json = false, numbers = false;
    double diff = 0;
};

struct stretch {
    std::uint64_t first = 0, last = 0;
};

/// `0x7f00` or `0x7f00,4096`.
std::optional<stretch> parse_stretch(std::string_view text)
{
    auto const number = [](std::string_view digits) -> std::optional<std::uint64_t> {
        bool const hex = digits.starts_with("0x");
        tp::text::cursor in{digits.substr(hex ? 2 : 0)};
        auto const n = hex ? in.hex<std::uint64_t>() : in.decimal<std::uint64_t>();
        return in.ok() && in.at_end() ? std::optional{n} : std::nullopt;
    };
    auto const comma = text.find(',');
    auto const first = number(text.substr(0, comma));
    if (!first) return std::nullopt;
    if (comma == text.npos) return stretch{*first, *first};
    auto const length = number(text.substr(comma + 1));
    if (!length || *length == 0 || *length - 1 > UINT64_MAX - *first) return std::nullopt;
    return stretch{*first, *first + *length - 1};
}

std::string human(std::uint64_t size)
{
    static constexpr std::array<std::string_view, 7> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    auto amount = static_cast<double>(size);
    for (; amount >= 1024 && unit + 1 < units.size(); ++unit) amount /= 1024;
    return fmt::format("{:.{}f} {}", amount, amount >= 100 || amount == static_cast<double>(static_cast<std::uint64_t>(amount)) ? 0 : 1, units[unit]);
}

/// What says so, in words: `program header at 0x5581…, through map_files, verified`.
std::string evidence_of(vas::range const& r)
{
    auto text = std::string{name_of(r.why.rests_on)};
    if (r.why.cited != 0) text += r.why.rests_on == vas::basis::documented ? fmt::format(" {}", r.why.cited) : fmt::format(" {:#x}", r.why.cited);
    if (r.why.rests_on == vas::basis::program_header)
        text += fmt::format(" through {}, {}", name_of(r.why.source), r.why.verified ? "verified" : "unverified");
    if (r.kind == range_class::kernel_half) text = "documented";
    return text;
}

bool is_of_user_half(vas::range const& r) { return r.kind != range_class::kernel_half && r.kind != range_class::vsyscall; }

std::string end_of(std::uint64_t last) { return last == UINT64_MAX ? "0x10000000000000000" : fmt::format("{:#x}", last + 1); }

json json_of(vas::range const& r)
{
    json out = {{"start", examples::json_of(r.start)}, {"end", examples::json_of(r.end)}, {"class", name_of(r.kind)}, {"evidence", evidence_of(r)}};
    if (!r.is_mapped()) return out;
    auto const& m = r.mapping;
    out["perms"] = examples::json_of(m.perms);
    out["offset"] = r.file_offset().count;
    out["dev"] = examples::json_of(m.dev);
    out["inode"] = m.inode;
    out["path"] = examples::json_of(m.path);
    if (r.thread.value != 0) out["tid"] = r.thread.value;
    if (r.is_part()) out["vma"] = {{"start", examples::json_of(m.start)}, {"end", examples::json_of(m.end)}};
    if (r.is_writable_and_executable()) out["writable_and_executable"] = true;
    if (r.has_no_permission()) out["no_permission"] = true;
    if (!r.numbers) return out;
    auto const& n = *r.numbers;
    for (auto const& [key, value] : {std::pair{"rss_kib", n.rss}, {"pss_kib", n.pss}, {"private_dirty_kib", n.private_dirty},
                                     {"shared_dirty_kib", n.shared_dirty}, {"swap_kib", n.swap}, {"anon_huge_kib", n.anon_huge_pages}})
        if (value) out[key] = value->count;
    out["vm_flags"] = examples::json_of(n.vm_flags);
    return out;
}

/// `measured, /proc/kallsyms`.
std::string source_of(vas::kernel_region const& r)
{
    return r.file.empty() ? std::string{name_of(r.source)} : fmt::format("{}, {}", name_of(r.source), r.file);
}

json json_of(vas::kernel_region const& r)
{
    return {{"start", hex_json(r.first)}, {"end", end_of(r.last)}, {"name", name_of(r.kind)}, {"source", name_of(r.source)}, {"evidence", r.file}};
}

json json_of(vas::totals const& t, bool numbers)
{
    json out = {{"user_size", t.user_size.count}, {"kernel_size", t.kernel_size.count}, {"vmas", t.vmas}, {"gaps", t.gaps},
                {"mapped", t.mapped.count}, {"sparse", t.sparse().count}, {"writable_and_executable", t.writable_and_executable.count}};
    if (t.heap_room) out["heap_room"] = t.heap_room->count;
    if (t.max_map_count) {
        out["max_map_count"] = *t.max_map_count;
        out["vmas_left"] = *t.vmas_left();
    }
    if (numbers) {
        out["rss_kib"] = t.rss.count;
        out["pss_kib"] = t.pss.count;
        out["swap_kib"] = t.swap.count;
    }
    out["by_class"] = json::object();
    for (std::size_t i = 0; i < vas::range_class_count; ++i)
        if (t.by_class[i].count != 0 && static_cast<range_class>(i) != range_class::kernel_half)
            out["by_class"][std::string{name_of(static_cast<range_class>(i))}] = t.by_class[i].count;
    return out;
}

/// All that was found out.
struct picture {
    tp::tgid process;
    std::string name;
    vas::model model;
    std::optional<vas::kernel_half> kernel;
    bool numbers = false;
    bool user_told = true; ///< false: the model could not be read

    /// The kernel's regions; alone, the hole below them belongs to them, or else it is the user half's last range.
    [[nodiscard]] std::vector<vas::kernel_region> kernel_regions(bool alone) const
    {
        std::vector<vas::kernel_region> out;
        if (!kernel) return out;
        if (alone && kernel->hole.kind == vas::kernel_class::non_canonical) out.push_back(kernel->hole);
        out.insert(out.end(), kernel->regions().begin(), kernel->regions().end());
        return out;
    }
};

json json_of(picture const& p, choices const& chosen)
{
    json out = {{"tgid", p.process.value}, {"name", examples::json_of(std::string_view{p.name})}};
    if (!chosen.kernel) {
        out["user"] = json::array();
        for (auto const& r : p.model->ranges)
            if (is_of_user_half(r)) out["user"].push_back(json_of(r));
    }
    if (p.kernel) {
        out["kernel"] = json::array();
        for (auto const& r : p.kernel_regions(chosen.kernel)) out["kernel"].push_back(json_of(r));
        out["hidden"] = json::array();
        for (auto const& s : p.kernel->secrets()) out["hidden"].push_back({{"file", s.file}, {"rule", s.rule}});
        if (auto const& use = p.kernel->usage)
            out["kernel_usage"] = {{"vmalloc", use->vmalloc.count}, {"thread_stacks", use->thread_stacks.count}, {"thread_stack_count", use->thread_stack_count},
                                   {"thread_stack_size", use->thread_stack_size().count}, {"irq_stacks", use->irq_stacks.count},
                                   {"irq_stack_count", use->irq_stack_count}, {"irq_stack_size", use->irq_stack_size().count},
                                   {"modules", use->modules.count}, {"module_count", use->module_count}};
    }
    if (p.user_told) out["totals"] = json_of(p.model->sum, p.numbers);
    return out;
}

/// A cell of CSV: quoted, and no formula for a spreadsheet, whatever the bytes are.
std::string csv_cell(std::string_view bytes)
{
    auto const text = harmless(bytes);
    std::string out = "\"";
    if (!text.empty() && std::string_view{"=+-@"}.find(text.front()) != std::string_view::npos) out += '\'';
    for (char const c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

std::string csv_of(picture const& p, choices const& chosen)
{
    std::string out = "start,end,size,class,evidence,perms,offset,device,inode,path,tid,rss_kib,pss_kib,swap_kib\n";
    auto const count = [](std::optional<tp::kibibytes> n) { return n ? std::to_string(n->count) : std::string{}; };
    for (auto const& r : p.model->ranges) {
        if (chosen.kernel || !is_of_user_half(r)) continue;
        out += fmt::format("{:#x},{:#x},{},{},{}", r.start.value, r.end.value, r.size().count, name_of(r.kind), csv_cell(evidence_of(r)));
        if (r.is_mapped())
            out += fmt::format(",{},{},{:02x}:{:02x},{},{},{}", csv_cell(examples::json_of(r.mapping.perms).get<std::string>()), r.file_offset().count,
                               r.mapping.dev.major, r.mapping.dev.minor, r.mapping.inode, csv_cell(r.mapping.path),
                               r.thread.value != 0 ? std::to_string(r.thread.value) : "");
        else out += ",,,,,,";
        out += r.numbers ? fmt::format(",{},{},{}\n", count(r.numbers->rss), count(r.numbers->pss), count(r.numbers->swap)) : ",,,\n";
    }
    for (auto const& r : p.kernel_regions(chosen.kernel))
        out += fmt::format("{:#x},{},{},{},{},,,,,,,,,\n", r.first, end_of(r.last), r.size().count, name_of(r.kind), csv_cell(source_of(r)));
    return out;
}

/// How a class looks: a fill that needs no colour, and a colour that most eyes tell apart (Okabe and Ito's).
struct look {
    std::string_view fill;
    int color; ///< of the 256
};

look look_of(range_class c)
{
    using enum range_class;
    switch (c) {
    case text: case library_text: return {"██", 202};
    case rodata: case relro: case library_rodata: case library_relro: return {"▓▓", 32};
    case data: case bss: case library_data: case library_bss: return {"▒▒", 35};
    case heap: case malloc_arena: return {"##", 214};
    case main_stack: case thread_stack: case shadow_stack: return {"==", 75};
    case dynamic_linker: return {"%%", 139};
    case anonymous: case named_anonymous: case huge_pages: return {"++", 227};
    case jit_code: return {"!!", 196};
    case file_mapping: return {"[]", 175};
    case shared_anonymous:
    case sysv_shared_memory:
    case posix_shared_memory:
    case memfd:
    case aio_ring:
    case kernel_object:
        return {"<>", 79};
    case vdso: case vvar: case vsyscall: case kernel_page: return {"@@", 250};
    case guard: case reserved: case arena_reserve: return {"xx", 244};
    case stack_growth: case stack_guard_gap: return {" :", 244};
    case unknown: return {"??", 255};
    case null_page: case gap: case non_canonical: case kernel_half: break;
    }
    return {"  ", 240};
}

/// One box of the map.
struct box {
    std::uint64_t first = 0, last = 0, size = 0;
    look how;
    std::string label;
    bool alarm = false;
};

class terminal_map {
public:
    terminal_map(bool colors, std::optional<stretch> located) : colors_{colors}, located_{located} {}

    void add(box b) { boxes_.push_back(std::move(b)); }

    /// From the highest address down.
    void print() const
    {
        auto const width = terminal_width();
        for (auto b = boxes_.rbegin(); b != boxes_.rend(); ++b) { // NOLINT(modernize-loop-convert): from the top down
            // a line for up to 64 KiB, and one more for each factor of 64
            auto const lines = std::min<int>(6, 1 + std::max(0, static_cast<int>(std::bit_width(b->size)) - 17) / 6);
            bool const here = located_ && located_->first <= b->last && located_->last >= b->first;
            for (int i = 0; i < lines; ++i) {
                auto const address = i == 0 ? fmt::format("{:>17}", end_of(b->last).substr(2)) : std::string(17, ' ');
                auto line = fmt::format(" |{}| {}", b->how.fill, i == 0 ? b->label : "");
                if (here && i == 0) line += fmt::format("  <== {:#x}", std::max(located_->first, b->first));
                put(address, line, *b, here && i == 0, width);
            }
        }
        if (!boxes_.empty()) fmt::print("{:>17x}\n", boxes_.front().first);
    }

private:
    void put(std::string_view address, std::string const& line, box const& b, bool here, std::optional<std::size_t> width) const
    {
        auto const room = width ? std::optional{*width > address.size() + 1 ? *width - address.size() : 1} : std::nullopt;
        auto const text = fitted(line, room);
        if (!colors_) return fmt::print("{}{}\n", address, text);
        fmt::print("\x1b[2m{}\x1b[0m\x1b[{}38;5;{}m{}\x1b[0m\n", address, here ? "7;" : b.alarm ? "1;" : "", b.how.color, text);
    }

    bool colors_;
    std::optional<stretch> located_;
    std::vector<box> boxes_;
};

std::string label_of(vas::range const& r)
{
    auto label = fmt::format("{:<19} {:>9}", name_of(r.kind), human(r.size().count));
    if (!r.is_mapped()) {
        if (r.kind == range_class::stack_growth) label += "  the main stack may grow to here";
        return label;
    }
    label += "  " + examples::json_of(r.mapping.perms).get<std::string>();
    if (r.numbers && r.numbers->rss) label += fmt::format("  rss {:>8}", human(r.numbers->rss->count * 1024));
    if (r.is_writable_and_executable()) label += "  W+X!";
    if (r.thread.value != 0) label += fmt::format("  tid {}", r.thread.value);
    if (!r.mapping.path.empty()) label += "  " + harmless(r.mapping.path);
    if (r.why.rests_on == vas::basis::program_header && !r.why.verified) label += "  (unverified)";
    return label;
}

bool alike(vas::range const& a, vas::range const& b)
{
    return a.kind == b.kind && a.mapping.perms == b.mapping.perms && a.mapping.path == b.mapping.path &&
           (a.is_mapped() || a.size() == b.size());
}

/// How often the \p period ranges at \p at come again, one group after the other.
std::size_t repeats(std::vector<vas::range const*> const& all, std::size_t at, std::size_t period)
{
    std::size_t n = 1;
    for (; at + (n + 1) * period <= all.size(); ++n)
        for (std::size_t i = 0; i < period; ++i)
            if (!alike(*all[at + i], *all[at + n * period + i])) return n;
    return n;
}

void draw(picture const& p, choices const& chosen, std::optional<stretch> located)
{
    bool const colors = chosen.color == "always" || (chosen.color == "auto" && terminal_width());
    terminal_map map{colors, located};
    std::vector<vas::range const*> all;
    for (auto const& r : p.model->ranges)
        if (is_of_user_half(r) && !chosen.kernel) all.push_back(&r);
    for (std::size_t at = 0; at < all.size();) {
        std::size_t period = 1, times = 1;
        for (std::size_t candidate = 1; candidate <= 4; ++candidate) {
            if (at + candidate > all.size()) break;
            if (auto const n = repeats(all, at, candidate); n >= 4 && n * candidate > times * period) { period = candidate; times = n; }
        }
        auto const& first = *all[at];
        auto const& last = *all[at + period * times - 1];
        box b{first.start.value,   last.end.value - 1, last.end.value - first.start.value,
              look_of(first.kind), label_of(first),    first.is_writable_and_executable()};
        if (times > 1) {
            std::string kinds;
            for (std::size_t i = 0; i < period; ++i) kinds += (i != 0 ? " + " : "") + std::string{name_of(all[at + i]->kind)};
            b.label = fmt::format("{} times {}, {} in all", times, kinds, human(b.size));
            for (std::size_t i = 0; i < period; ++i)
                if (all[at + i]->is_mapped()) b.how = look_of(all[at + i]->kind);
        }
        map.add(std::move(b));
        at += period * times;
    }
    for (auto const& r : p.kernel_regions(chosen.kernel)) {
        bool const nothing = r.kind == vas::kernel_class::unassigned || r.kind == vas::kernel_class::non_canonical;
        look const how{nothing ? "  " : "KK", nothing ? 240 : 110};
        map.add({r.first, r.last, r.size().count, how, fmt::format("{:<19} {:>9}  ({})", name_of(r.kind), human(r.size().count), name_of(r.source)), false});
    }
    map.print();
}

void print_kernel_totals(vas::kernel_half const& kernel)
{
    if (auto const& use = kernel.usage)
        fmt::print("kernel: vmalloc holds {}, among them {} thread stacks of {} and {} IRQ stacks of {}; {} modules of {}\n",
                   human(use->vmalloc.count), use->thread_stack_count, human(use->thread_stacks.count), use->irq_stack_count,
                   human(use->irq_stacks.count), use->module_count, human(use->modules.count));
    for (auto const& s : kernel.secrets()) fmt::print("kernel: {} is hidden: {}\n", s.file, s.rule);
}

void print_totals(picture const& p)
{
    auto const& t = p.model->sum;
    fmt::print("\nuser {}, kernel {}; {} vmas map {}, {} gaps leave {} ({:.4f} %) free\n", human(t.user_size.count),
               human(t.kernel_size.count), t.vmas, human(t.mapped.count), t.gaps, human(t.sparse().count),
               100.0 * static_cast<double>(t.sparse().count) / static_cast<double>(t.user_size.count));
    if (t.vmas_left()) fmt::print("{} more vmas until vm.max_map_count = {}\n", *t.vmas_left(), *t.max_map_count);
    if (t.heap_room) fmt::print("the heap may grow by {} before it meets a mapping\n", human(t.heap_room->count));
    if (p.numbers) fmt::print("Rss {}, Pss {}, swap {}\n", human(t.rss.count * 1024), human(t.pss.count * 1024), human(t.swap.count * 1024));
    if (t.writable_and_executable.count != 0) fmt::print("{} are writable and executable: W+X!\n", human(t.writable_and_executable.count));
}

bool write_file(std::string const& path, std::string_view text)
{
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file{std::fopen(path.c_str(), "we"), std::fclose};
    bool const written =
        file != nullptr && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size() && std::fflush(file.get()) == 0;
    if (!written) complain(fmt::format("{} could not be written", harmless(path)));
    return written;
}

int show_changes(tp::process const& process, choices const& chosen)
{
    auto const before = vas::read_model(process, {.numbers = true});
    if (!before) { complain(before.error()); return something_unread; }
    std::this_thread::sleep_for(std::chrono::duration<double>{chosen.diff});
    auto const after = vas::read_model(process, {.numbers = true});
    if (!after) { complain(after.error()); return something_unread; }
    auto list = json::array();
    std::int64_t rss = 0;
    vas::diff(before.value()->ranges, after.value()->ranges, [&](vas::vma_change const& c) {
        auto const& r = c.after != nullptr ? *c.after : *c.before;
        rss += c.rss;
        if (chosen.as_json) {
            list.push_back({{"what", name_of(c.what)},
                            {"start", examples::json_of(r.mapping.start)},
                            {"end", examples::json_of(r.mapping.end)},
                            {"size", c.size},
                            {"rss_kib", c.rss},
                            {"class", name_of(r.kind)},
                            {"path", examples::json_of(r.mapping.path)}});
        } else {
            fmt::print("{:<6} {:x}-{:x} {:>+14} bytes {:>+10} KiB Rss  {} {}\n", name_of(c.what), r.mapping.start.value, r.mapping.end.value, c.size, c.rss,
                       name_of(r.kind), harmless(r.mapping.path));
        }
    });
    if (chosen.as_json) print_json({{"tgid", process.id().tgid.value}, {"changes", list}, {"rss_kib", rss}}, 2);
    else fmt::print("{:+} KiB Rss in {} s\n", rss, chosen.diff);
    return all_told;
}

int show(choices const& chosen)
{
    auto const located = chosen.locate.empty() ? std::nullopt : parse_stretch(chosen.locate);
    if (!chosen.locate.empty() && !located) {
        complain("--locate takes ADDR or ADDR,LEN: 0x7f0012345000,4096");
        return wrong_usage;
    }
    auto const process = tp::process::open(chosen.process.process, chosen.root.c_str());
    if (!process) { complain(process.error()); return something_unread; }
    if (chosen.diff > 0) return show_changes(process.value(), chosen);

    auto model = vas::read_model(process.value(), {.numbers = chosen.numbers});
    if (!model) {
        complain(model.error());
        if (!chosen.kernel) return something_unread; // the kernel's half is the same for all
    }
    tp::buffer<pf::comm::typical_size> memory;
    auto const comm = process.value().read<pf::comm>(memory);
    bool told = model.has_value();
    picture p{process.value().id().tgid,
              comm ? std::string{comm.value().name} : "",
              told ? std::move(model.value()) : vas::model{},
              std::nullopt,
              chosen.numbers,
              told};
    if (p.model->numbers_failed) { complain(p.model->numbers_failure); told = false; }
    auto const& sum = p.model->sum;
    if (!chosen.user && (!told || sum.kernel_size.count != 0))
        if (auto const kernel = vas::read_kernel_half(chosen.root.c_str(), {sum.user_size.count, 0 - sum.kernel_size.count}))
            p.kernel = kernel.value();

    if (!chosen.csv.empty()) told = write_file(chosen.csv, csv_of(p, chosen)) && told;
    if (!chosen.html.empty()) told = write_file(chosen.html, vas_page(json_of(p, chosen))) && told;
    if (chosen.as_json) print_json(json_of(p, chosen), 2);
    else if (chosen.csv.empty() && chosen.html.empty()) {
        fmt::print("process {} ({})\n", p.process.value, harmless(p.name));
        draw(p, chosen, located);
        if (p.user_told) print_totals(p);
        else fmt::print("\n");
        if (p.kernel) print_kernel_totals(*p.kernel);
        for (std::size_t i = 0; p.user_told && i < p.model->known.failure_count; ++i) complain(p.model->known.failures[i]);
    }
    return told ? all_told : something_unread;
}

int show_vas(CLI::App& options, command_line const& line)
{
    choices chosen;
    options.description("Draws a process's address space, the kernel's half too, and says how it knows.");
    options.add_option("PID", chosen.process, "the process")->required()->type_name("");
    auto* const user = options.add_flag("--user", chosen.user, "the user half alone");
    options.add_flag("--kernel", chosen.kernel, "the kernel's half alone")->excludes(user);
    options.add_option("--locate", chosen.locate, "point at an address, or at LEN bytes")->type_name("ADDR[,LEN]");
    options.add_flag("--json", chosen.as_json, "for programs");
    options.add_option("--csv", chosen.csv, "one row for each range, into FILE")->type_name("FILE");
    options.add_option("--html", chosen.html, "a page to explore, into FILE")->type_name("FILE");
    options.add_flag("--smaps", chosen.numbers, "Rss, Pss and flags too (walks its page tables)");
    options.add_option("--diff", chosen.diff, "what changes within so many seconds")->type_name("SECONDS")->check(CLI::PositiveNumber);
    options.add_option("--color", chosen.color, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}))->type_name("WHEN");
    options.add_option("--root", chosen.root, "another procfs, or one recorded")->type_name("DIR");
    line.read();
    return show(chosen);
}

} // namespace

int main(int argc, char** argv) { return run(show_vas, "show_vas", argc, argv); }
