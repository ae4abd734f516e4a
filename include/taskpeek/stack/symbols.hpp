// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Names for program counters: from the symbol tables of ELF files and their separate debug files, and from the maps that JIT
/// compilers write. This header allocates; what is read and kept of a file is bounded whatever the file says.

#include <taskpeek/procfs/status.hpp>
#include <taskpeek/stack/elf_image.hpp>
#include <taskpeek/stack/mapping_table.hpp>
#include <taskpeek/stack/unwind.hpp>
#include <taskpeek/task/process.hpp>
#include <taskpeek/text/cursor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <cxxabi.h>

namespace taskpeek::stack {

namespace detail {

/// Intervals of addresses, which may overlap, for hostile ones do: sorted by where they begin, each with the furthest end of those
/// before it, so that a search knows when to stop.
class interval_index {
public:
    struct entry {
        std::uint64_t begin;
        std::uint64_t end;
        std::uint64_t reach;     ///< the greatest end so far
        std::uint32_t id;        ///< the caller's; of several that begin together the greatest comes first
    };

    void clear() noexcept { entries_.clear(); }
    void add(std::uint64_t begin, std::uint64_t end, std::uint32_t id) { entries_.push_back({begin, end, 0, id}); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return entries_.capacity() * sizeof(entry); }

    void sort()
    {
        std::sort(entries_.begin(), entries_.end(), [](entry const& a, entry const& b) {
            return a.begin != b.begin ? a.begin < b.begin : a.id < b.id;
        });
        std::uint64_t reach = 0;
        for (auto& e : entries_) e.reach = reach = std::max(reach, e.end);
    }

    /// The interval around \p at that \p better likes best; \p better(a, b) is called with those that hold it, the last one to begin
    /// first. Null if there is none. Looks at no more than \p most.
    template <class Better>
    [[nodiscard]] entry const* find(std::uint64_t at, Better&& better, unsigned most = 4096) const noexcept
    {
        auto after = std::upper_bound(entries_.begin(), entries_.end(), at, [](std::uint64_t v, entry const& e) { return v < e.begin; });
        entry const* best = nullptr;
        for (unsigned looked = 0; after != entries_.begin() && looked < most; ++looked) {
            --after;
            if (after->reach <= at) break;
            if (at < after->end && (best == nullptr || better(*after, *best))) best = &*after;
        }
        return best;
    }

private:
    std::vector<entry> entries_;
};

} // namespace detail

/// The functions of one file. What is kept is the symbol table as it is in the file; names are read when they are asked for. The first
/// searches go through the table from end to end, which costs less than to sort it: most programs that look at stacks meet a dozen
/// functions of each file. Whoever searches more often makes the table sort itself.
/// Lifetime: the file that it was loaded from must stay open, or be `keep`ed.
class symbol_table {
public:
    static constexpr std::uint64_t most_symbols = 4u << 20;     ///< more are left out
    static constexpr std::size_t longest_name = 65536;          ///< bytes; a longer one is cut
    static constexpr unsigned searches_before_sorting = 32;

    /// One function. Addresses are those at link time.
    struct entry {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;    ///< of one whose size is not told: of its section, if no other begins before
        std::uint32_t name = 0;   ///< where in the string table
        std::uint8_t rank = 0;    ///< of several at one address the highest is named
        bool sized = false;
    };

    /// Takes the functions of `.symtab`, or of `.dynsym` if \p dynamic. False if there is no such section, or no function in it.
    [[nodiscard]] bool load(image const& of, bool dynamic)
    {
        raw_.clear();
        index_.clear();
        searches_ = 0;
        elf_section table;
        std::uint32_t const wanted = dynamic ? 11 : 2; // SHT_DYNSYM, SHT_SYMTAB
        std::vector<std::uint64_t> section_ends{0};
        bool found = false;
        (void)of.find_section([&](elf_section const& s) {
            section_ends.push_back(s.address + s.size < s.address ? UINT64_MAX : s.address + s.size);
            if (s.type == wanted && !found) { table = s; found = true; }
            return false;
        }, strings_);
        if (!found || table.entry_size != 24 || !of.section(table.link, strings_) || strings_.type != 3) return false;
        source_ = of.source();
        read_functions(table, section_ends);
        return !raw_.empty();
    }

    /// Reads names from \p file henceforth, which is the same file, and keeps it open.
    void keep(io::descriptor&& file) noexcept
    {
        file_ = static_cast<io::descriptor&&>(file);
        source_ = byte_source::file(file_.get());
    }

    /// The function that holds \p vaddr. False if there is none.
    [[nodiscard]] bool find(std::uint64_t vaddr, entry& out)
    {
        if (searches_ < searches_before_sorting) {
            ++searches_;
            return scan(vaddr, out);
        }
        if (index_.size() != raw_.size()) sort();
        // Of those that hold the address the one that begins last, then the one of the highest rank: the order of the index.
        auto const* const found = index_.find(vaddr, [](auto const&, auto const&) { return false; });
        if (found == nullptr) return false;
        out = raw_[by_rank_[found->id]];
        return true;
    }

    /// The name of \p e, as it is in the file.
    [[nodiscard]] std::string name(entry const& e) const
    {
        std::string text;
        for (std::size_t step = 128; text.size() < longest_name; step *= 4) {
            auto const had = text.size();
            auto const left = strings_.size - e.name - had; // e.name < strings_.size
            text.resize(had + static_cast<std::size_t>(std::min<std::uint64_t>({step, left, longest_name - had})));
            auto const got = source_.read(strings_.offset + e.name + had, text.data() + had, text.size() - had);
            text.resize(had + got);
            if (auto const end = text.find('\0', had); end != std::string::npos) { text.resize(end); break; }
            if (got == 0 || text.size() == had || got == left) break;
        }
        return text;
    }
    [[nodiscard]] std::size_t size() const noexcept { return raw_.size(); }
    /// Bytes of memory.
    [[nodiscard]] std::size_t bytes() const noexcept
    {
        return raw_.capacity() * sizeof(entry) + index_.bytes() + by_rank_.capacity() * sizeof(std::uint32_t);
    }

private:
    void read_functions(elf_section const& table, std::vector<std::uint64_t> const& section_ends)
    {
        auto const count = std::min(table.size / 24, most_symbols);
        raw_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, 65536)));
        constexpr std::uint64_t batch = 682; // 16 KiB
        char bytes[batch * 24];
        for (std::uint64_t at = 0; at < count;) {
            auto const wanted = static_cast<std::size_t>(std::min(batch, count - at)) * 24;
            auto const got = source_.read(table.offset + at * 24, bytes, wanted) / 24;
            for (std::size_t i = 0; i < got; ++i) add(bytes + i * 24, section_ends);
            if (got * 24 != wanted) return;
            at += got;
        }
    }

    void add(char const* symbol, std::vector<std::uint64_t> const& section_ends)
    {
        auto const info = static_cast<unsigned char>(symbol[4]);
        auto const type = info & 15;
        if (type != 2 && type != 10 && type != 0) return; // functions, indirect ones, and labels of assembly
        std::uint16_t section = 0;
        std::uint64_t size = 0;
        entry e;
        __builtin_memcpy(&e.name, symbol, 4); // ELF of this byte order alone is opened
        __builtin_memcpy(&section, symbol + 6, 2);
        __builtin_memcpy(&e.begin, symbol + 8, 8);
        __builtin_memcpy(&size, symbol + 16, 8);
        if (section == 0 || section >= 0xff00 || e.name == 0 || e.name >= strings_.size) return; // undefined, absolute, unnamed
        e.sized = size != 0;
        e.end = e.begin + size < e.begin ? UINT64_MAX : e.begin + size;
        if (!e.sized && section < section_ends.size()) e.end = section_ends[section];
        auto const binding = info >> 4;
        e.rank = static_cast<std::uint8_t>((e.sized ? 8 : 0) + (type != 0 ? 4 : 0) + (binding == 1 ? 2 : binding == 2 ? 1 : 0));
        raw_.push_back(e);
    }

    /// Is \p a at the same address the better name? Of equals the one that stands first in the file.
    [[nodiscard]] static bool outranks(entry const& a, entry const& b) noexcept
    {
        return a.rank != b.rank ? a.rank > b.rank : a.name < b.name;
    }

    /// Does \p a begin later, or at the same address and is the better name?
    [[nodiscard]] static bool is_nearer(entry const& a, entry const* b) noexcept
    {
        return b == nullptr || a.begin > b->begin || (a.begin == b->begin && outranks(a, *b));
    }

    [[nodiscard]] bool scan(std::uint64_t vaddr, entry& out) const noexcept
    {
        entry const* sized = nullptr;
        entry const* unsized = nullptr;
        std::uint64_t nearest = 0; // where the last one begins that begins below: no unsized one goes beyond
        for (auto const& e : raw_) {
            if (e.begin > vaddr) continue;
            if (e.begin > nearest) nearest = e.begin;
            if (vaddr >= e.end) continue;
            auto& best = e.sized ? sized : unsized;
            if (is_nearer(e, best)) best = &e;
        }
        if (unsized != nullptr && unsized->begin == nearest && is_nearer(*unsized, sized)) sized = unsized;
        if (sized != nullptr) out = *sized;
        return sized != nullptr;
    }

    void sort()
    {
        by_rank_.resize(raw_.size());
        for (std::uint32_t i = 0; i < by_rank_.size(); ++i) by_rank_[i] = i;
        std::sort(by_rank_.begin(), by_rank_.end(), [this](std::uint32_t a, std::uint32_t b) {
            return raw_[a].begin != raw_[b].begin ? raw_[a].begin < raw_[b].begin : outranks(raw_[b], raw_[a]);
        });
        auto next = UINT64_MAX;
        for (auto i = by_rank_.size(); i-- > 0;) {
            auto const& e = raw_[by_rank_[i]];
            if (i + 1 < by_rank_.size() && raw_[by_rank_[i + 1]].begin != e.begin) next = raw_[by_rank_[i + 1]].begin;
            index_.add(e.begin, e.sized ? e.end : std::min(e.end, next), static_cast<std::uint32_t>(i));
        }
        index_.sort();
    }

    std::vector<entry> raw_;
    std::vector<std::uint32_t> by_rank_;
    detail::interval_index index_;
    elf_section strings_;
    byte_source source_;
    io::descriptor file_;
    unsigned searches_ = 0;
};

/// How large a demangled name may become. Back-references let a mangled name of 300 bytes stand for gigabytes, and __cxa_demangle
/// would write them all; n references make at most 3^(n/3) of what they refer to.
inline constexpr std::uint64_t largest_demangled = std::uint64_t{16} << 20;

namespace detail {

[[nodiscard]] inline bool may_be_demangled(std::string_view name) noexcept
{
    if (name.size() > 4096) return false;
    unsigned references = 0;
    for (std::size_t i = 0; i + 1 < name.size(); ++i) { // S_, S0_, T_, T1A_ …; in an identifier too, which does no harm
        if (name[i] != 'S' && name[i] != 'T') continue;
        auto k = i + 1;
        while (k < name.size() && ((name[k] >= '0' && name[k] <= '9') || (name[k] >= 'A' && name[k] <= 'Z'))) ++k;
        if (k < name.size() && name[k] == '_') ++references;
    }
    auto size = static_cast<std::uint64_t>(name.size());
    for (; references > 0 && size < largest_demangled; references -= references < 3 ? references : 3) size *= 3;
    return size < largest_demangled;
}

} // namespace detail

/// The C++ name that \p mangled stands for; itself, without its version (`@@GLIBC_2.14`), if it is none, or one that is hostile.
/// Allocates, as __cxa_demangle does.
[[nodiscard]] inline std::string demangle(std::string_view mangled)
{
    std::string name{mangled.substr(0, mangled.find('@', 1))};
    if (!name.starts_with("_Z") || !detail::may_be_demangled(name)) return name;
    int status = 0;
    std::unique_ptr<char, decltype(&std::free)> const plain{abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free};
    return status == 0 && plain ? std::string{plain.get()} : name;
}

/// What is known of the code at an address.
struct symbol {
    std::string name;                 ///< demangled; empty where no symbol is found
    std::uint64_t offset = 0;         ///< from the function's first byte
    std::string module;               ///< path of the file as `maps` prints it, `[vdso]`, or nothing (a JIT's)
    std::uint64_t module_offset = 0;  ///< address at link time: what addr2line(1) takes
    build_id id;
};

/// The functions that a JIT compiler tells perf(1) of: a line for each, `start size name`, both in hex
/// (tools/perf/Documentation/jit-interface.txt). Where it used memory again, the line written last holds.
class perf_map {
public:
    static constexpr std::size_t most_bytes = 64u << 20;     ///< of the file; the rest is not read
    static constexpr std::size_t most_functions = 2u << 20;

    /// Takes the text of such a file. Lines that are none are passed over.
    void parse(std::string text)
    {
        text_ = std::move(text);
        index_.clear();
        lines_.clear();
        for (std::size_t at = 0; at < text_.size() && lines_.size() < most_functions;) {
            auto const end = std::min(text_.find('\n', at), text_.size());
            text::cursor in{std::string_view{text_}.substr(at, end - at)};
            auto const begin = in.hex<std::uint64_t>();
            in.expect(' ');
            auto const size = in.hex<std::uint64_t>();
            in.expect(' ');
            if (in.ok() && size != 0 && begin + size > begin) {
                auto const rest = in.rest();
                index_.add(begin, begin + size, static_cast<std::uint32_t>(lines_.size()));
                lines_.push_back({static_cast<std::uint32_t>(end - rest.size()), static_cast<std::uint32_t>(rest.size())});
            }
            at = end + 1;
        }
        index_.sort();
    }

    /// The name of the function at \p pc and where it begins. False if there is none. Lifetime: as long as the text.
    [[nodiscard]] bool find(std::uint64_t pc, std::string_view& name, std::uint64_t& begin) const noexcept
    {
        auto const* const e = index_.find(pc, [](auto const& a, auto const& b) { return a.id > b.id; });
        if (e == nullptr) return false;
        name = std::string_view{text_}.substr(lines_[e->id].at, lines_[e->id].size);
        begin = e->begin;
        return true;
    }
    [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

private:
    struct line {
        std::uint32_t at;
        std::uint32_t size;
    };
    std::string text_;
    std::vector<line> lines_;
    detail::interval_index index_;
};

namespace detail {

/// `/usr/lib/debug/.build-id/ab/cdef….debug`
[[nodiscard]] inline std::string build_id_path(build_id const& id)
{
    std::string name = "/usr/lib/debug/.build-id/";
    for (std::size_t i = 0; i < id.size; ++i) {
        name += "0123456789abcdef"[id.value[i] >> 4];
        name += "0123456789abcdef"[id.value[i] & 15];
        if (i == 0) name += '/';
    }
    return name + ".debug";
}

/// The checksum of .gnu_debuglink; 0 of a file of more than 256 MiB.
[[nodiscard]] inline std::uint32_t crc32_of(int fd)
{
    std::uint32_t table[256];
    for (std::uint32_t i = 0; i < 256; ++i) {
        auto c = i;
        for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ ((c & 1) != 0 ? 0xedb88320u : 0);
        table[i] = c;
    }
    std::vector<char> bytes(1u << 16);
    std::uint32_t sum = 0xffffffff;
    for (std::uint64_t at = 0; at < 256u << 20;) {
        auto const got = io::pread(fd, bytes.data(), bytes.size(), at);
        if (!got.ok()) return 0;
        if (got.value() == 0) return ~sum;
        for (std::size_t i = 0; i < got.count(); ++i) sum = sum >> 8 ^ table[(sum ^ static_cast<unsigned char>(bytes[i])) & 255];
        at += got.count();
    }
    return 0;
}

/// A separate file with the symbols and debug information of \p of, mapped from \p path; opened into \p debug and \p file.
/// By build-id it is looked for in the target's root, then in our own: the same id is the same file, wherever it lies. By
/// .gnu_debuglink only where the target sees it, and only a file beside it or its mirror below /usr/lib/debug.
[[nodiscard]] inline bool open_debug_file(module_opener& opener, image const& of, std::string const& path, image& debug,
                                          io::descriptor& file)
{
    auto const attempt = [&](int root, std::string const& name, std::uint32_t const* checksum) {
        auto opened = open_inside(root, name.c_str());
        if (!opened || !debug.open(byte_source::file(opened.value().get()))) return false;
        bool const same = of.id().size != 0 ? debug.id() == of.id() : checksum != nullptr && crc32_of(opened.value().get()) == *checksum;
        if (same) file = static_cast<io::descriptor&&>(opened.value());
        return same;
    };
    auto const root = opener.root();
    if (root == AT_FDCWD) return false;
    if (of.id().size >= 2) {
        auto const name = build_id_path(of.id());
        if (attempt(root, name, nullptr)) return true;
        auto const own = io::open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
        if (own.ok()) {
            io::descriptor const here{static_cast<int>(own.value())};
            if (attempt(here.get(), name, nullptr)) return true;
        }
    }
    elf_section link;
    if (!of.section_named(".gnu_debuglink", link) || link.size < 8 || link.size > 512) return false;
    char bytes[512];
    auto const got = of.source().read(link.offset, bytes, static_cast<std::size_t>(link.size));
    if (got != link.size) return false;
    std::string_view const text{bytes, got};
    std::string const base{text.substr(0, text.find('\0'))};
    // It names a file beside ours, and no other.
    if (base.empty() || base.find('/') != std::string::npos || base == "." || base == "..") return false;
    auto const checksum = byte_cursor{text.substr(got - 4)}.u32();
    auto const folder = path.substr(0, path.rfind('/') + 1);
    auto const below = folder + ".debug/";
    auto const installed = "/usr/lib/debug" + folder;
    for (auto const& candidate : {folder + base, below + base, installed + base})
        if (candidate != path && attempt(root, candidate, &checksum)) return true;
    return false;
}

} // namespace detail

/// Gives names to the frames of one process. Symbol tables are loaded when they are first needed, each file once.
/// Lifetime: borrows the unwinder and the process.
class symbolizer {
public:
    static constexpr std::size_t most_bytes = std::size_t{256} << 20; ///< of symbol tables; with more, all are dropped and begun anew
    static constexpr std::size_t most_known = std::size_t{1} << 16;   ///< addresses that are remembered, likewise

    symbolizer(unwinder& code, process const& of) : code_{code}, process_{&of} {}
    /// For a capture from elsewhere: no JIT's map is looked for.
    explicit symbolizer(unwinder& code) : code_{code} {}

    /// The symbol at \p pc. For a frame: `find(frame.lookup_pc())`, whose offset then counts to the call; `find(frame)` corrects it.
    /// Lifetime: until `most_known` others were asked for.
    [[nodiscard]] symbol const& find(address pc)
    {
        auto known = known_.find(pc.value);
        if (known != known_.end()) return known->second;
        if (known_.size() >= most_known) known_.clear();
        symbol found;
        if (look_up(pc, found)) return known_.try_emplace(pc.value, std::move(found)).first->second;
        fleeting_ = std::move(found);
        return fleeting_;
    }

    /// The symbol of a frame, its offset that of the frame's pc.
    [[nodiscard]] symbol find(frame const& f)
    {
        auto s = find(f.lookup_pc());
        if (f.is_return) {
            ++s.module_offset;
            if (!s.name.empty()) ++s.offset;
        }
        return s;
    }

private:
    struct loaded {
        symbol_table functions;
        std::string copy;     ///< of the vdso
    };
    /// A file is one whichever of its vmas a pc is in.
    struct file_key {
        std::uint64_t device;
        std::uint64_t inode; ///< of the vdso: where it is
        friend bool operator<(file_key const& a, file_key const& b) noexcept
        {
            return a.inode != b.inode ? a.inode < b.inode : a.device < b.device;
        }
    };

    /// \return whether it will stay so: a JIT may tell more later.
    bool look_up(address pc, symbol& out)
    {
        auto const* const m = code_.maps().find(pc);
        if (m == nullptr) return true;
        out.module = std::string{code_.maps().path(*m)};
        auto const* const mod = code_.module_at(pc);
        if (mod == nullptr || !mod->usable) return look_up_jit(pc, out); // anonymous memory, or a memfd
        out.id = mod->elf.id();
        out.module_offset = pc.value - mod->bias;
        auto& functions = table_of(*m, *mod, out.module);
        symbol_table::entry e;
        if (!functions.find(out.module_offset, e)) return true;
        out.name = demangle(functions.name(e));
        out.offset = out.module_offset - e.begin;
        return true;
    }

    [[nodiscard]] symbol_table& table_of(mapping const& m, module const& mod, std::string const& path)
    {
        file_key const key{std::uint64_t{m.dev.major} << 32 | m.dev.minor, m.inode != 0 ? m.inode : m.start.value};
        if (auto const known = tables_.find(key); known != tables_.end()) return known->second->functions;
        if (table_bytes_ > most_bytes) {
            tables_.clear();
            table_bytes_ = 0;
        }
        auto& file = tables_[key];
        file = std::make_unique<loaded>();
        load(*file, mod, m, path);
        table_bytes_ += file->functions.bytes() * 3; // what it takes once it is sorted
        return file->functions;
    }

    void load(loaded& to, module const& mod, mapping const& m, std::string const& path)
    {
        if (mod.from_memory && m.inode == 0) {
            constexpr std::uint64_t most = std::uint64_t{64} * 1024; // the vdso, whose sections are in memory
            if (m.offset.count != 0 || m.end.value - m.start.value > most) return;
            to.copy.resize(static_cast<std::size_t>(m.end.value - m.start.value));
            to.copy.resize(mod.elf.source().read(m.start.value, to.copy.data(), to.copy.size()));
            image vdso;
            if (vdso.open(byte_source::copy(to.copy)) && !to.functions.load(vdso, false)) (void)to.functions.load(vdso, true);
            return;
        }
        if (!mod.from_memory && to.functions.load(mod.elf, false)) return keep_own(to, mod);
        image debug;
        io::descriptor file;
        if (detail::open_debug_file(code_.opener(), mod.elf, path, debug, file) && to.functions.load(debug, false)) {
            to.functions.keep(static_cast<io::descriptor&&>(file));
            return;
        }
        if (!mod.from_memory && to.functions.load(mod.elf, true)) keep_own(to, mod);
    }

    /// The unwinder may close its module's file to make room.
    static void keep_own(loaded& to, module const& mod)
    {
        auto const copy = io::system_call(SYS_fcntl, mod.file.get(), F_DUPFD_CLOEXEC, 0);
        if (copy.ok()) to.functions.keep(io::descriptor{static_cast<int>(copy.value())});
        else to.functions = symbol_table{}; // rather none than names out of another file
    }

    [[nodiscard]] bool look_up_jit(address pc, symbol& out)
    {
        std::string_view name;
        std::uint64_t begin = 0;
        if (!jit_.find(pc.value, name, begin) && (!load_jit_map() || !jit_.find(pc.value, name, begin))) return false;
        out.name = std::string{name};
        out.offset = pc.value - begin;
        return false; // the memory may be another function's soon
    }

    /// `/tmp/perf-<pid>.map`: named by the pid that the target itself sees, in the root that it sees, and only if it is its user's.
    /// \return whether there is more in it than before.
    [[nodiscard]] bool load_jit_map()
    {
        if (process_ == nullptr) return false;
        buffer<procfs::status::typical_size> memory;
        auto const status = process_->read<procfs::status>(memory);
        if (!status) return false;
        auto inner = process_->id().tgid.value;
        if (status.value().ns_tgid)
            for (auto const& id : *status.value().ns_tgid) inner = id.value;
        auto const root = code_.opener().root();
        if (root == AT_FDCWD) return false;
        auto const name = "/tmp/perf-" + std::to_string(inner) + ".map";
        auto const opened = open_inside(root, name.c_str(), kernel_file::perf_map);
        struct stat file;
        if (!opened || ::fstat(opened.value().get(), &file) != 0) return false;
        if (!status.value().uid || file.st_uid != status.value().uid->effective.value) return false;
        if (file.st_size == jit_size_) return false;
        jit_size_ = file.st_size;
        std::string text;
        for (std::size_t had = 0; had < perf_map::most_bytes;) {
            text.resize(had + (1u << 16));
            auto const got = io::pread(opened.value().get(), text.data() + had, 1u << 16, had);
            had += got.ok() ? got.count() : 0;
            text.resize(had);
            if (!got.ok() || got.value() == 0) break;
        }
        jit_.parse(std::move(text));
        return true;
    }

    unwinder& code_;
    process const* process_ = nullptr;
    std::map<file_key, std::unique_ptr<loaded>> tables_;
    std::size_t table_bytes_ = 0;
    std::unordered_map<std::uint64_t, symbol> known_;
    symbol fleeting_;
    perf_map jit_;
    std::int64_t jit_size_ = -1;
};

} // namespace taskpeek::stack
