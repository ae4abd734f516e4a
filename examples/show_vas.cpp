// SPDX-License-Identifier: BSL-1.0
// Where do text, data, heap, libraries, stacks and the kernel live? A process's whole address space, drawn.

#include "common/json.hpp"
#include "common/program.hpp"
#include "common/vas_html.hpp"
#include "common/vas_terminal.hpp"

#include <taskpeek/vas/diff.hpp>
#include <taskpeek/vas/kernel_half.hpp>
#include <taskpeek/vas/model.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace examples;

struct choices {
    target process;
    std::string root = "/proc", locate, csv, html, color = "auto";
    bool user = false, kernel = false, as_json = false, numbers = false;
    double diff = 0;
};

/// `0x7f00`, or `7f00` as maps prints it, or `0x7f00,4096`; digits alone are a decimal number.
std::optional<stretch> parse_stretch(std::string_view text)
{
    auto const number = [](std::string_view digits) -> std::optional<std::uint64_t> {
        bool const marked = digits.starts_with("0x");
        bool const hex = marked || digits.find_first_of("abcdefABCDEF") != digits.npos;
        tp::text::cursor in{digits.substr(marked ? 2 : 0)};
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

/// What says so, in words: `program_header 0x5581… through map_files, verified`.
std::string evidence_of(vas::range const& r)
{
    auto text = std::string{name_of(r.why.rests_on)};
    if (r.why.rests_on == vas::basis::stat) text += r.kind == range_class::heap ? " start_brk" : " startstack";
    if (r.why.rests_on == vas::basis::auxv) text += " AT_SYSINFO_EHDR";
    if (r.why.rests_on == vas::basis::limits) text += " RLIMIT_STACK";
    if (r.kind == range_class::stack_guard_gap) text += " stack_guard_gap";
    bool const is_count = r.why.rests_on == vas::basis::documented;
    if (r.why.cited != 0) text += is_count ? fmt::format(" {}", r.why.cited) : fmt::format(" {:#x}", r.why.cited);
    if (r.why.rests_on == vas::basis::program_header)
        text += fmt::format(" through {}{}", name_of(r.why.source),
                            !r.why.verified ? ", unverified" : r.why.source == vas::file_source::memory ? "" : ", verified");
    if (r.kind == range_class::kernel_half) text = "documented";
    return text;
}

json json_of(vas::range const& r)
{
    auto const& m = r.mapping;
    json out = {{"start", examples::json_of(r.start)}, {"end", examples::json_of(r.end)}, {"class", name_of(r.kind)},
                {"evidence", evidence_of(r)}, {"perms", r.is_mapped() ? spelled(m.perms) : ""},
                {"offset", r.file_offset().count}, {"path", examples::json_of(m.path)}};
    if (!r.is_mapped()) return out;
    out["dev"] = examples::json_of(m.dev);
    out["inode"] = m.inode;
    if (m.path_truncated) out["path_truncated"] = true;
    if (r.thread.value != 0) out["tid"] = r.thread.value;
    if (r.is_part()) out["vma"] = {{"start", examples::json_of(m.start)}, {"end", examples::json_of(m.end)}};
    if (r.is_writable_and_executable()) out["writable_and_executable"] = true;
    if (r.has_no_permission()) out["no_permission"] = true;
    if (r.pages) {
        auto const& s = *r.pages;
        for (auto const& [key, value] : {std::pair{"present", s.present}, {"swapped", s.swapped}, {"guard", s.guard}, {"file", s.file},
                                         {"huge", s.huge}, {"zero", s.zero}, {"soft_dirty", s.soft_dirty}})
            if (value.count != 0 || key == std::string_view{"present"}) out["pages"][key] = value.count;
    }
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
    return {{"start", hex_json(r.first)}, {"end", end_of(r.last)}, {"name", name_of(r.kind)}, {"source", name_of(r.source)},
            {"evidence", r.file}};
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
    std::optional<vas::model> model;         ///< none where the kernel's half alone is asked for, and this process may not be read
    std::optional<vas::kernel_half> kernel;

    [[nodiscard]] std::span<vas::range const> ranges() const { return model ? (*model)->ranges : std::span<vas::range const>{}; }

    /// The kernel's regions; alone, the hole below them belongs to them, or else it is the user half's last range.
    [[nodiscard]] std::vector<vas::kernel_region> kernel_regions(bool alone) const
    {
        std::vector<vas::kernel_region> out;
        if (!kernel) return out;
        if (alone && kernel->hole.kind == vas::kernel_class::non_canonical) out.push_back(kernel->hole);
        out.insert(out.end(), kernel->regions().begin(), kernel->regions().end());
        return out;
    }
    bool numbers = false;
};

json json_of(picture const& p, choices const& chosen)
{
    json out = {{"tgid", p.process.value}, {"name", examples::json_of(std::string_view{p.name})}};
    out["user"] = json::array();
    out["kernel"] = json::array();
    for (auto const& r : p.ranges())
        if (!chosen.kernel && is_of_user_half(r)) out["user"].push_back(json_of(r));
    if (p.kernel) {
        for (auto const& r : p.kernel_regions(chosen.kernel)) out["kernel"].push_back(json_of(r));
        out["hidden"] = json::array();
        for (auto const& s : p.kernel->secrets()) out["hidden"].push_back({{"file", s.file}, {"rule", s.rule}});
        if (auto const& use = p.kernel->usage)
            out["kernel_usage"] = {{"vmalloc", use->vmalloc.count}, {"thread_stacks", use->thread_stacks.count},
                                   {"thread_stack_count", use->thread_stack_count}, {"thread_stack_size", use->thread_stack_size().count},
                                   {"irq_stacks", use->irq_stacks.count}, {"irq_stack_count", use->irq_stack_count},
                                   {"irq_stack_size", use->irq_stack_size().count},
                                   {"modules", use->modules.count}, {"module_count", use->module_count}};
    }
    out["totals"] = p.model ? json_of((*p.model)->sum, p.numbers) : json::object();
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
    std::string out = "start,end,size,class,evidence,perms,offset,device,inode,path,tid,rss_kib,pss_kib,swap_kib,present\n";
    auto const count = [](std::optional<tp::kibibytes> n) { return n ? std::to_string(n->count) : std::string{}; };
    for (auto const& r : p.ranges()) {
        if (chosen.kernel || !is_of_user_half(r)) continue;
        out += fmt::format("{:#x},{:#x},{},{},{}", r.start.value, r.end.value, r.size().count, name_of(r.kind),
                           csv_cell(evidence_of(r)));
        auto const& m = r.mapping;
        if (r.is_mapped())
            out += fmt::format(",{},{},{:02x}:{:02x},{},{},{}", csv_cell(spelled(m.perms)), r.file_offset().count, m.dev.major,
                               m.dev.minor, m.inode, csv_cell(m.path), r.thread.value != 0 ? std::to_string(r.thread.value) : "");
        else out += ",,,,,,";
        out += r.numbers ? fmt::format(",{},{},{}", count(r.numbers->rss), count(r.numbers->pss), count(r.numbers->swap)) : ",,,";
        out += r.pages ? fmt::format(",{}\n", r.pages->present.count) : ",\n";
    }
    for (auto const& r : p.kernel_regions(chosen.kernel))
        out += fmt::format("{:#x},{},{},{},{},,,,,,,,,,\n", r.first, end_of(r.last), r.size().count, name_of(r.kind),
                           csv_cell(source_of(r)));
    return out;
}

void draw(picture const& p, choices const& chosen, std::optional<stretch> located)
{
    terminal_map map{wants_color(chosen.color), located};
    if (!chosen.kernel) map.add(p.ranges());
    for (auto const& r : p.kernel_regions(chosen.kernel)) map.add(r);
    map.print();
    if (p.model && !chosen.kernel) {
        fmt::print("\n");
        map.print_classes((*p.model)->sum);
    }
}

/// In one line, all that is known of an address.
void print_located(picture const& p, std::uint64_t at)
{
    if (p.kernel)
        for (auto const& r : p.kernel->regions()) // the user half tells more of what is not in them
            if (r.contains(tp::address{at}))
                return fmt::print("\n{:#x} is in the kernel's {} ({})\n", at, name_of(r.kind), source_of(r));
    auto const* const found = p.model ? (*p.model)->find(tp::address{at}) : nullptr;
    if (found == nullptr) return fmt::print("\n{:#x} is in nothing that is told here\n", at);
    fmt::print("\n{:#x} is {:#x} bytes into {} {:x}-{:x}", at, at - found->start.value, name_of(found->kind), found->start.value,
               found->end.value);
    if (found->is_mapped()) fmt::print(" {}", spelled(found->mapping.perms));
    if (found->mapping.has_inode()) fmt::print(", {:#x} bytes into its file", found->file_offset(tp::address{at}).count);
    fmt::print("; {}\n", evidence_of(*found));
    if (!found->mapping.path.empty()) fmt::print("{}\n", harmless(found->mapping.path));
}

void print_user_totals(picture const& p)
{
    auto const& t = (*p.model)->sum;
    auto const share = 100.0 * static_cast<double>(t.sparse().count) / static_cast<double>(t.user_size.count);
    fmt::print("\nuser {}, kernel {}; {} vmas map {}, {} gaps leave {} ({:.4f} %) free\n", human(t.user_size.count),
               human(t.kernel_size.count), t.vmas, human(t.mapped.count), t.gaps, human(t.sparse().count), share);
    if (t.vmas_left()) fmt::print("{} more vmas until vm.max_map_count = {}\n", *t.vmas_left(), *t.max_map_count);
    if (t.heap_room) fmt::print("the heap may grow by {} before it meets a mapping\n", human(t.heap_room->count));
    auto const kib = [](tp::kibibytes n) { return human(n.count * 1024); };
    if (p.numbers) fmt::print("Rss {}, Pss {}, swap {}\n", kib(t.rss), kib(t.pss), kib(t.swap));
    auto const alarming = t.writable_and_executable.count;
    if (alarming != 0) fmt::print("{} are writable and executable: W+X!\n", human(alarming));
}

void print_totals(picture const& p, choices const& chosen)
{
    if (p.model && !chosen.kernel) print_user_totals(p);
    if (!p.kernel) return;
    if (auto const& use = p.kernel->usage)
        fmt::print("kernel: vmalloc holds {}, among them {} thread stacks of {} and {} IRQ stacks of {}; {} modules of {}\n",
                   human(use->vmalloc.count), use->thread_stack_count, human(use->thread_stacks.count), use->irq_stack_count,
                   human(use->irq_stacks.count), use->module_count, human(use->modules.count));
    for (auto const& s : p.kernel->secrets()) fmt::print("kernel: {} is hidden: {}\n", s.file, s.rule);
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
            fmt::print("{:<6} {:x}-{:x} {:>+14} bytes {:>+10} KiB Rss  {} {}\n", name_of(c.what), r.mapping.start.value,
                       r.mapping.end.value, c.size, c.rss, name_of(r.kind), harmless(r.mapping.path));
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

    auto model = vas::read_model(process.value(), {.numbers = chosen.numbers, .pages = chosen.numbers});
    if (!model && !chosen.kernel) { complain(model.error()); return something_unread; }
    tp::buffer<pf::comm::typical_size> memory;
    auto const comm = process.value().read<pf::comm>(memory);
    picture p{process.value().id().tgid, comm ? std::string{comm.value().name} : "", std::nullopt, std::nullopt, chosen.numbers};
    if (model) p.model = std::move(model.value());
    bool told = true;
    vas::user_layout layout;
    if (p.model) {
        auto const& view = p.model->view();
        if (view.numbers_failed) { complain(view.numbers_failure); told = false; }
        if (view.pages_failed) { complain(view.pages_failure); told = false; }
        if (view.sum.kernel_size.count != 0) layout = {view.sum.user_size.count, 0 - view.sum.kernel_size.count};
    }
    bool const has_kernel_half = layout.kernel_begin != 0; // a 32-bit process addresses none
    if (chosen.kernel || (!chosen.user && has_kernel_half)) {
        auto const kernel = vas::read_kernel_half(chosen.root.c_str(), layout);
        if (kernel) p.kernel = kernel.value();
        else { complain(kernel.error()); told = false; }
    }

    if (!chosen.csv.empty()) told = write_file(chosen.csv, csv_of(p, chosen)) && told;
    if (!chosen.html.empty()) told = write_file(chosen.html, vas_page(json_of(p, chosen))) && told;
    if (chosen.as_json) print_json(json_of(p, chosen), 2);
    else if (chosen.csv.empty() && chosen.html.empty()) {
        fmt::print("process {} ({})\n", p.process.value, harmless(p.name));
        draw(p, chosen, located);
        if (located) print_located(p, located->first);
        print_totals(p, chosen);
        if (p.model && !chosen.kernel)
            for (auto const& why : std::span{(*p.model)->known.failures}.first((*p.model)->known.failure_count)) complain(why);
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
    options.add_option("--locate", chosen.locate, "point at an address, 0x7f… or 7f…, or at LEN bytes")->type_name("ADDR[,LEN]");
    options.add_flag("--json", chosen.as_json, "for programs");
    options.add_option("--csv", chosen.csv, "one row for each range, into FILE")->type_name("FILE");
    options.add_option("--html", chosen.html, "a page to explore, into FILE")->type_name("FILE");
    options.add_flag("--smaps", chosen.numbers, "Rss, Pss, flags and pages too (walks its page tables)");
    options.add_option("--diff", chosen.diff, "what changes within so many seconds")->type_name("SECONDS")->check(CLI::PositiveNumber);
    options.add_option("--color", chosen.color, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}))->type_name("WHEN");
    options.add_option("--root", chosen.root, "another procfs, or one recorded")->type_name("DIR");
    line.read();
    return show(chosen);
}

} // namespace

int main(int argc, char** argv) { return run(show_vas, "show_vas", argc, argv); }
