// SPDX-License-Identifier: BSL-1.0

/// \file
/// libFuzzer targets: one for each decoder, and for the scanners and escapes below and beside them. Which one is said by
/// `--target=NAME`; `--list` names them all. check.py builds and runs them.

#include "../in_pieces.hpp"
#include "stacks.hpp"
#include "symbols.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/image.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;
namespace text = taskpeek::text;

namespace {

void require(bool holds, char const* what)
{
    if (holds) return;
    std::fprintf(stderr, "violated: %s\n", what);
    std::abort();
}

unsigned sum; // of all that was decoded, so that every byte of a view is read

void touch(std::string_view s)
{
    for (char const c : s) sum += static_cast<unsigned char>(c);
}
void touch(pf::cpu_mask const& mask) { sum += mask.count() + mask.has(63); }
void touch(pf::vm_flag flag) { touch(flag.letters), touch(flag.meaning()); }
void touch(pf::environment_entry entry) { touch(entry.name()), touch(entry.value().value_or("")); }
void touch(pf::cgroup_membership const& c) { touch(c.controllers), touch(c.path), sum += c.has_controller("cpu"); }
void touch(pf::kernel_frame const& frame) { touch(frame.symbol), touch(frame.base_name()), touch(frame.module); }
template <class T>
void touch(T const& value)
{
    if constexpr (requires { value.begin(); })
        for (auto const& element : value) touch(element);
    else
        sum += reinterpret_cast<unsigned char const&>(value);
}
template <class T>
void touch(std::optional<T> const& value)
{
    if (value) touch(*value);
}

void check_error(tp::error const& e, tp::kernel_file file, std::size_t size)
{
    require(e.file == file, "an error names the file");
    require(e.code == tp::errc::truncated || e.code == tp::errc::malformed || e.code == tp::errc::vanished, "truncated, malformed or empty");
    require(e.offset <= size, "an error lies within the text");
    require(e.code != tp::errc::truncated || e.offset == size, "what is truncated is so at its end");
    auto const message = e.message();
    require(!message.view().empty(), "an error says something");
}

template <class Record>
void decode(std::string_view bytes)
{
    auto const decoded = Record::parse(bytes);
    if (!decoded) return check_error(decoded.error(), Record::file, bytes.size());
    Record::each_field(decoded.value(), [](std::string_view name, auto const& field) { touch(name), touch(field); });
}

/// A line is read at once where it is usual: that must not be seen.
void decode_stat(std::string_view bytes)
{
    decode<pf::stat>(bytes);
    auto const at_once = pf::stat::parse(bytes);
    tp::result<pf::stat> carefully{tp::in_place<pf::stat>};
    pf::detail::read_carefully(bytes, carefully);
    require(at_once.has_value() == carefully.has_value(), "both ways find the same amiss");
    if (!at_once) return require(at_once.error().offset == carefully.error().offset, "both ways fail at the same byte");
    auto const spelled = [](pf::stat const& s) {
        std::vector<std::uint64_t> numbers{s.comm.size(), static_cast<unsigned char>(s.state.letter), s.flags.bits, s.policy.number};
        pf::stat::each_field(s, [&](char const*, auto const& field) {
            if constexpr (requires { static_cast<std::uint64_t>(field); }) numbers.push_back(static_cast<std::uint64_t>(field));
            else if constexpr (requires { field.count; }) numbers.push_back(static_cast<std::uint64_t>(field.count));
            else if constexpr (requires { field.raw(); }) numbers.push_back(field.raw());
            else if constexpr (requires { field.value() ? 1 : 0; }) numbers.push_back(field.value() ? field.value()->count : 0);
            else if constexpr (requires { static_cast<std::uint64_t>(field.value); })
                numbers.push_back(static_cast<std::uint64_t>(field.value));
        });
        return numbers;
    };
    require(spelled(at_once.value()) == spelled(carefully.value()), "both ways give the same values");
}

struct outcome {
    std::vector<std::uint64_t> starts;
    std::vector<std::string> paths;
    std::optional<tp::error> why;
};

[[nodiscard]] pf::vma const& mapping_of(pf::vma const& v) { return v; }
[[nodiscard]] pf::vma const& mapping_of(pf::smap const& s) { return s.mapping; }

template <class Table>
[[nodiscard]] outcome walk(Table&& table)
{
    outcome o;
    for (auto const& row : table) {
        auto const& v = mapping_of(row);
        require(v.start <= v.end, "a vma does not end before it starts");
        o.starts.push_back(v.start.value);
        o.paths.emplace_back(v.path);
        std::remove_cvref_t<decltype(row)>::each_field(row, [](std::string_view, auto const& field) { touch(field); });
    }
    if (!table.status()) o.why = table.status().error();
    return o;
}

// A table: whole, and in pieces whose size the first byte gives.
template <class Record>
void decode_table(std::string_view bytes)
{
    if (bytes.empty()) return;
    auto const piece = static_cast<unsigned char>(bytes.front()) + 1u;
    bytes.remove_prefix(1);
    auto const whole = walk(pf::records<Record>{bytes});
    if (whole.why) check_error(*whole.why, Record::file, bytes.size());
    auto const pieces = walk(pf::records<Record, tp::tests::in_pieces>{tp::tests::in_pieces{bytes, piece}});
    require(whole.starts == pieces.starts && whole.paths == pieces.paths, "pieces decode as the whole does");
    require(whole.why.has_value() == pieces.why.has_value(), "pieces fail as the whole does");
    if (!whole.why) return;
    check_error(*pieces.why, Record::file, bytes.size());
    require(whole.why->code == pieces.why->code, "pieces fail for the whole's reason"); // but a number may be found too large earlier
}

void decode_auxv(std::string_view bytes)
{
    decode<pf::auxv>(bytes);
    for (std::size_t const word_size : {4u, 8u}) {
        auto const decoded = pf::auxv::parse(bytes, word_size);
        if (!decoded) continue;
        for (auto const entry : decoded.value().entries) require(entry.key != pf::auxv_key::null, "AT_NULL ends the entries");
    }
}

void scan(std::string_view bytes)
{
    auto const* const end = bytes.data() + bytes.size();
    for (auto const* p = bytes.data(); p != end; ++p) {
        auto const fast = text::scan_hex(p, end);
        auto const slow = text::scan_hex_bytewise(p, end);
        require(fast.value == slow.value && fast.next == slow.next, "hex reads the same by eights and by ones");

        auto const decimal = text::scan_decimal(p, end);
        auto const* q = p;
        std::uint64_t value = 0;
        bool fits = true;
        for (; q != end && *q >= '0' && *q <= '9'; ++q) {
            auto const digit = static_cast<std::uint64_t>(*q - '0');
            if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) || __builtin_add_overflow(value, digit, &value)) fits = false;
        }
        fits = fits && q != p;
        require((decimal.next != nullptr) == fits, "a decimal is one if it has a digit and fits");
        if (fits) require(decimal.next == q && decimal.value == value, "a decimal has the value of its digits");

        auto const* const other = text::skip_spaces(p, end);
        require(other == end || *other != ' ', "no space is left");
    }
}

void escape(std::string_view bytes)
{
    std::string memory(4 * bytes.size() + 1, '\0');
    auto const shown = text::escape_for_terminal(bytes, memory.data(), memory.size());
    require(!shown.truncated && shown.consumed == bytes.size(), "four times the memory suffices");
    require(text::is_utf8(shown.text), "what is shown is UTF-8");
    for (char const c : shown.text) require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "what is shown holds no control byte");

    std::string again(memory.size(), '\0');
    for (auto const undo : {+[](std::string_view s, char* m, std::size_t n) { return text::unescape_path(s, m, n); },
                            +[](std::string_view s, char* m, std::size_t n) { return text::unescape_name(s, m, n); },
                            +[](std::string_view s, char* m, std::size_t n) { return text::escape_for_terminal(s, m, n); }})
        for (std::size_t size = 0; size <= bytes.size(); size += 1 + size / 2) {
            auto const undone = undo(bytes, again.data(), size);
            require(undone.text.size() <= size && undone.consumed <= bytes.size(), "no more memory is used than there is");
            require(undone.truncated == (undone.consumed < bytes.size()), "what did not fit is said");
        }
}

/// An ELF file of anybody's, placed where a vma of it was seen: every part must end behind where it was asked for.
void place_image(std::string_view bytes)
{
    namespace vas = tp::vas;
    auto const header = vas::elf_header::parse(bytes);
    if (!header && header.error().code == tp::errc::unsupported) return; // too many program headers
    if (!header) return check_error(header.error(), tp::kernel_file::elf, bytes.size());
    auto const table = bytes.substr(header.value().phoff < bytes.size() ? header.value().phoff : bytes.size());
    auto const headers = vas::program_headers::parse(header.value(), table);
    if (!headers) return;
    pf::vma mapping;
    mapping.start = tp::address{0x7f0000000000};
    mapping.end = tp::address{0x7f0000100000};
    mapping.inode = 1;
    for (auto const h : headers.value()) {
        if (h.type == vas::segment_type::note && h.offset < bytes.size())
            touch(vas::find_build_id(bytes.substr(h.offset), header.value().big_endian));
        mapping.offset = tp::bytes{h.offset & ~std::uint64_t{4095}};
        mapping.perms.execute = h.flags.execute;
        auto piece = vas::image::place(headers.value(), mapping, 4096);
        for (std::size_t pieces = 0; piece; ++pieces) {
            require(pieces < header.value().phnum, "there are no more pieces than headers");
            auto const& image = piece.value();
            auto at = image.start.value;
            for (int i = 0; i < 64 && at < image.end.value; ++i) {
                auto const part = image.part_at(at);
                require(!part || part->end > at, "a part ends behind where it was asked for");
                at = part ? part->end : at + 4096;
            }
            if (image.segments_behind == 0) break;
            auto next = vas::image::place_behind(image, headers.value(), 4096);
            require(next && next.value().start == image.end, "a piece begins where the one before ends");
            piece = next;
        }
    }
}

struct target {
    std::string_view name;
    void (*run)(std::string_view);
};

constexpr target targets[] = {
    {"auxv", decode_auxv},
    {"captures", fuzz_stacks::captures},
    {"cfi", fuzz_stacks::cfi},
    {"cgroup", decode<pf::cgroup>},
    {"children", decode<pf::children>},
    {"cmdline", decode<pf::cmdline>},
    {"comm", decode<pf::comm>},
    {"demangle", fuzz_symbols::demangle},
    {"elf", fuzz_stacks::elf},
    {"environ", decode<pf::environ>},
    {"escapes", escape},
    {"fdinfo", decode<pf::fdinfo>},
    {"io", decode<pf::io>},
    {"limits", decode<pf::limits>},
    {"link", [](std::string_view bytes) { decode<pf::exe>(bytes), decode<pf::fd_target>(bytes); }},
    {"maps", decode_table<pf::vma>},
    {"ns", decode<pf::ns>},
    {"oom_score", decode<pf::oom_score>},
    {"oom_score_adj", decode<pf::oom_score_adj>},
    {"perf_map", fuzz_symbols::perf_map},
    {"program_headers", place_image},
    {"scan", scan},
    {"schedstat", decode<pf::schedstat>},
    {"smaps", decode_table<pf::smap>},
    {"smaps_rollup", decode<pf::smaps_rollup>},
    {"stack", decode<pf::stack>},
    {"stat", decode_stat},
    {"statm", decode<pf::statm>},
    {"status", decode<pf::status>},
    {"symbols", fuzz_symbols::tables},
    {"syscall", decode<pf::syscall>},
    {"vma", decode<pf::vma>},
    {"wchan", decode<pf::wchan>},
};

target const* chosen;

} // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments)
{
    for (int i = 1; i < *count; ++i) {
        std::string_view argument = (*arguments)[i];
        if (argument == "--list") {
            for (auto const& t : targets) std::printf("%.*s\n", static_cast<int>(t.name.size()), t.name.data());
            std::exit(0);
        }
        constexpr std::string_view option = "--target=";
        if (!argument.starts_with(option)) continue;
        argument.remove_prefix(option.size());
        for (auto const& t : targets)
            if (t.name == argument) chosen = &t;
    }
    if (chosen == nullptr) {
        std::fprintf(stderr, "say which: --target=NAME, or --list\n");
        std::exit(2);
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    chosen->run({reinterpret_cast<char const*>(data), size});
    return 0;
}
