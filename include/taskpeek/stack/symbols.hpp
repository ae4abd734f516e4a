// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Names for program counters: from the symbol tables of ELF files and their separate debug files, and from the maps that JIT
/// compilers write. This header allocates; what is read of a file is bounded whatever the file says.

#include <taskpeek/procfs/status.hpp>
#include <taskpeek/stack/elf_image.hpp>
#include <taskpeek/stack/mapping_table.hpp>
#include <taskpeek/stack/unwind.hpp>
#include <taskpeek/task/process.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <cxxabi.h>

namespace taskpeek::stack {

/// The functions of one file, sorted by address.
class symbol_table {
public:
    static constexpr std::uint64_t most_symbols = 8u << 20;        ///< more are left out
    static constexpr std::uint64_t most_name_bytes = 512u << 20;   ///< of a string table

    /// One function. Addresses are those at link time.
    struct entry {
        std::uint64_t begin = 0;
        std::uint64_t size = 0;   ///< 0: not told; it goes up to the next
        std::uint32_t name = 0;
        std::uint8_t rank = 0;    ///< of several at one address the highest is named
    };

    /// Adds the functions of `.symtab`, or of `.dynsym` if \p dynamic. False if there is no such section.
    bool load(image const& of, bool dynamic)
    {
        elf_section table;
        std::uint32_t const wanted = dynamic ? 11 : 2;
        bool found = false;
        for (unsigned i = 1; i < of.section_count() && !found; ++i) found = of.section(i, table) && table.type == wanted;
        elf_section strings;
        if (!found || table.entry_size != 24 || !of.section(table.link, strings) || strings.type != 3) return false;
        auto const count = std::min(table.size / 24, most_symbols);
        std::string const raw = bytes_of(of, table.offset, count * 24);
        names_ = bytes_of(of, strings.offset, std::min(strings.size, most_name_bytes));
        entries_.clear();
        for (std::size_t at = 0; at + 24 <= raw.size(); at += 24) {
            byte_cursor in{std::string_view{raw}.substr(at, 24)};
            entry e;
            e.name = in.u32();
            auto const info = in.u8();
            (void)in.u8();
            auto const section = in.u16();
            e.begin = in.u64();
            e.size = in.u64();
            auto const type = info & 15;
            if (section == 0 || section >= 0xff00 || e.name >= names_.size() || e.name == 0) continue; // undefined, absolute, unnamed
            if (type != 2 && type != 10 && type != 0) continue;                     // functions, indirect ones, and labels of assembly
            if (type == 0 && names_[e.name] == '$') continue;                       // aarch64: marks of code and data
            auto const binding = info >> 4;
            e.rank = static_cast<std::uint8_t>((type != 0 ? 4 : 0) + (binding == 1 ? 2 : binding == 2 ? 1 : 0));
            entries_.push_back(e);
        }
        std::sort(entries_.begin(), entries_.end(), [](entry const& a, entry const& b) {
            return a.begin != b.begin ? a.begin < b.begin : a.rank != b.rank ? a.rank < b.rank : a.name > b.name;
        });
        return true;
    }

    /// The function that holds \p vaddr, or null.
    [[nodiscard]] entry const* find(std::uint64_t vaddr) const noexcept
    {
        auto after = std::upper_bound(entries_.begin(), entries_.end(), vaddr, [](std::uint64_t v, entry const& e) { return v < e.begin; });
        for (unsigned looked = 0; after != entries_.begin() && looked < 16; ++looked) { // a label may stand inside a function
            --after;
            if (after->size == 0 ? looked == 0 : vaddr - after->begin < after->size) return &*after;
        }
        return nullptr;
    }

    [[nodiscard]] std::string_view name(entry const& e) const noexcept
    {
        auto const rest = std::string_view{names_}.substr(e.name);
        return rest.substr(0, rest.find('\0'));
    }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    [[nodiscard]] static std::string bytes_of(image const& of, std::uint64_t offset, std::uint64_t size)
    {
        // Grown as the bytes come: a header may claim more than there is.
        std::string bytes;
        constexpr std::size_t step = 1u << 20;
        while (bytes.size() < size) {
            auto const had = bytes.size();
            auto const more = std::min<std::uint64_t>(step, size - had);
            bytes.resize(had + static_cast<std::size_t>(more));
            auto const got = of.source().read(offset + had, bytes.data() + had, static_cast<std::size_t>(more));
            bytes.resize(had + got);
            if (got != more) break;
        }
        return bytes;
    }

    std::vector<entry> entries_;
    std::string names_;
};

/// The C++ name that \p mangled stands for; itself, without its version (`@@GLIBC_2.14`), if it is none.
[[nodiscard]] inline std::string demangle(std::string_view mangled)
{
    std::string name{mangled.substr(0, mangled.find('@', 1))};
    if (!name.starts_with("_Z") || name.size() > 4096) return name;
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

/// Gives names to the frames of one process. Symbol tables are loaded when they are first needed, each file once.
/// Lifetime: borrows the unwinder and the process.
class symbolizer {
public:
    symbolizer(unwinder& code, process const& of) : code_{code}, process_{&of} {}
    /// For a capture from elsewhere: no JIT's map is looked for.
    explicit symbolizer(unwinder& code) : code_{code} {}

    /// The symbol at \p pc. For a frame: `find(frame.lookup_pc())`, whose offset then counts to the call; `find(frame)` corrects it.
    /// Lifetime: as long as the symbolizer.
    [[nodiscard]] symbol const& find(address pc)
    {
        auto const [at, is_new] = known_.try_emplace(pc.value);
        if (is_new) look_up(pc, at->second);
        return at->second;
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
    struct jitted {
        std::uint64_t begin;
        std::uint64_t end;
        std::size_t line; ///< of several at one address the one written last holds
        std::string name;
    };

    void look_up(address pc, symbol& out)
    {
        auto const* const m = code_.maps().find(pc);
        if (m == nullptr) return;
        out.module = std::string{code_.maps().path(*m)};
        auto const* const mod = code_.module_at(pc);
        if (mod == nullptr || !mod->usable) {
            if (m->inode == 0) look_up_jit(pc, out);
            return;
        }
        out.id = mod->elf.id();
        out.module_offset = pc.value - mod->bias;
        auto& file = tables_[m];
        if (!file) {
            file = std::make_unique<loaded>();
            load(*file, *mod, *m, out.module);
        }
        auto const* const e = file->functions.find(out.module_offset);
        if (e == nullptr) return;
        out.name = demangle(file->functions.name(*e));
        out.offset = out.module_offset - e->begin;
    }

    void load(loaded& to, module const& mod, mapping const& m, std::string const& path)
    {
        if (mod.from_memory) {
            constexpr std::uint64_t most = std::uint64_t{64} * 1024; // only the vdso's sections are in memory
            if (m.offset.count != 0 || m.end.value - m.start.value > most) return;
            to.copy.resize(static_cast<std::size_t>(m.end.value - m.start.value));
            to.copy.resize(mod.elf.source().read(m.start.value, to.copy.data(), to.copy.size()));
            image vdso;
            if (vdso.open(byte_source::copy(to.copy)) && !to.functions.load(vdso, false)) to.functions.load(vdso, true);
            return;
        }
        if (to.functions.load(mod.elf, false) || load_debug_file(to, mod, path)) return;
        to.functions.load(mod.elf, true);
    }

    [[nodiscard]] bool load_debug_file(loaded& to, module const& mod, std::string const& path)
    {
        if (auto const& id = mod.elf.id(); id.size >= 2) {
            std::string name = "/usr/lib/debug/.build-id/";
            for (std::size_t i = 0; i < id.size; ++i) {
                name += "0123456789abcdef"[id.value[i] >> 4];
                name += "0123456789abcdef"[id.value[i] & 15];
                if (i == 0) name += '/';
            }
            if (try_debug_file(to, mod, name + ".debug", nullptr)) return true;
        }
        elf_section link;
        if (!mod.elf.section_named(".gnu_debuglink", link) || link.size < 8 || link.size > 512) return false;
        char bytes[512];
        auto const got = mod.elf.source().read(link.offset, bytes, static_cast<std::size_t>(link.size));
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
            if (candidate != path && try_debug_file(to, mod, candidate, &checksum)) return true;
        return false;
    }

    [[nodiscard]] bool try_debug_file(loaded& to, module const& mod, std::string const& name, std::uint32_t const* checksum)
    {
        auto const opened = open_inside(code_.opener().root(), name.c_str());
        image debug;
        if (!opened || !debug.open(byte_source::file(opened.value().get()))) return false;
        bool const same = mod.elf.id().size != 0 ? debug.id() == mod.elf.id()
                                                 : checksum != nullptr && crc32_of(opened.value().get()) == *checksum;
        return same && to.functions.load(debug, false);
    }

    /// The checksum of .gnu_debuglink; 0 of a file of more than 256 MiB.
    [[nodiscard]] static std::uint32_t crc32_of(int fd)
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

    void look_up_jit(address pc, symbol& out)
    {
        if (!jit_tried_) {
            jit_tried_ = true;
            load_jit_map();
        }
        auto after = std::upper_bound(jit_.begin(), jit_.end(), pc.value, [](std::uint64_t v, jitted const& j) { return v < j.begin; });
        if (after == jit_.begin() || pc.value >= (--after)->end) return;
        out.name = after->name;
        out.offset = pc.value - after->begin;
    }

    /// `/tmp/perf-<pid>.map`: named by the pid that the target itself sees, in the root that it sees, and only if it is its user's.
    void load_jit_map()
    {
        if (process_ == nullptr) return;
        buffer<procfs::status::typical_size> memory;
        auto const status = process_->read<procfs::status>(memory);
        if (!status) return;
        auto inner = process_->id().tgid.value;
        if (status.value().ns_tgid)
            for (auto const& id : *status.value().ns_tgid) inner = id.value;
        auto const name = "/tmp/perf-" + std::to_string(inner) + ".map";
        auto const opened = open_inside(code_.opener().root(), name.c_str(), kernel_file::perf_map);
        struct stat file;
        if (!opened || ::fstat(opened.value().get(), &file) != 0) return;
        if (!status.value().uid || file.st_uid != status.value().uid->effective.value) return;
        constexpr std::size_t most = 64u << 20;
        std::string text;
        for (std::size_t had = 0; had < most;) {
            text.resize(had + (1u << 16));
            auto const got = io::pread(opened.value().get(), text.data() + had, 1u << 16, had);
            had += got.ok() ? got.count() : 0;
            text.resize(had);
            if (!got.ok() || got.value() == 0) break;
        }
        for (std::string_view rest = text; !rest.empty();) {
            auto const end = rest.find('\n');
            auto const line = rest.substr(0, end);
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            text::cursor in{line};
            auto const begin = in.hex<std::uint64_t>();
            in.expect(' ');
            auto const size = in.hex<std::uint64_t>();
            in.expect(' ');
            if (in.ok() && size != 0 && begin + size > begin) jit_.push_back({begin, begin + size, jit_.size(), std::string{in.rest()}});
        }
        std::sort(jit_.begin(), jit_.end(), [](jitted const& a, jitted const& b) {
            return a.begin != b.begin ? a.begin < b.begin : a.line < b.line;
        });
    }

    unwinder& code_;
    process const* process_ = nullptr;
    std::map<mapping const*, std::unique_ptr<loaded>> tables_;
    std::unordered_map<std::uint64_t, symbol> known_;
    std::vector<jitted> jit_;
    bool jit_tried_ = false;
};

} // namespace taskpeek::stack
