// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Source lines and inlined calls, from the debug information of ELF files by elfutils' libdw (0.170 or later). Opt-in: whoever
/// includes this links with -ldw -lelf. Allocates. DWARF is parsed by libdw, which reads the files by pread(2) and opens none itself:
/// what a file refers to (.gnu_debugaltlink) is opened as the target sees it, split DWARF (.dwo) is left alone.

#include <taskpeek/stack/elf_image.hpp>
#include <taskpeek/stack/symbols.hpp>
#include <taskpeek/stack/unwind.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>

namespace taskpeek::stack {

/// One call in the source. Texts are bytes as the file has them: any, of a hostile one.
struct source_call {
    std::string function;    ///< demangled; empty where the debug information does not tell
    std::string file;        ///< as the compiler was given it; empty if not known
    unsigned line = 0;       ///< where this call stands now; 0 if not known
    unsigned column = 0;     ///< from 1; 0 if not known
    bool inlined = false;    ///< into the next one out
};

namespace detail {

struct end_elf {
    void operator()(Elf* e) const noexcept { (void)elf_end(e); }
};
struct end_dwarf {
    void operator()(Dwarf* d) const noexcept { (void)dwarf_end(d); }
};

/// A file's debug information, opened.
class dwarf_file {
public:
    static constexpr std::uint64_t most_bytes = std::uint64_t{2} << 30; ///< of its debug sections once they are decompressed
    static constexpr unsigned most_units = 1u << 20;
    static constexpr unsigned most_entries = 1u << 22;                  ///< that are looked at in one unit
    static constexpr unsigned deepest = 256;

    /// \p root is where what the file refers to is looked for. False if it has no debug information that can be used.
    [[nodiscard]] bool open(io::descriptor&& file, image const& of, int root)
    {
        size_ = size_of(of);
        if (size_ == 0 || size_ > most_bytes) return false;
        file_ = static_cast<io::descriptor&&>(file);
        (void)elf_version(EV_CURRENT);
        elf_.reset(elf_begin(file_.get(), ELF_C_READ, nullptr)); // not _MMAP: a file cut short would kill us by SIGBUS
        if (!elf_) return false;
        dwarf_.reset(dwarf_begin_elf(elf_.get(), DWARF_C_READ, nullptr));
        return dwarf_ && open_alternate(of, root);
    }

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    /// The calls at the link-time address \p vaddr, innermost first.
    void find(std::uint64_t vaddr, std::vector<source_call>& out)
    {
        Dwarf_Die unit;
        if (!unit_at(vaddr, unit)) return;
        source_call here;
        if (auto* const line = dwarf_getsrc_die(&unit, vaddr); line != nullptr) {
            if (auto const* const source = dwarf_linesrc(line, nullptr, nullptr); source != nullptr) here.file = source;
            int number = 0;
            if (dwarf_lineno(line, &number) == 0 && number > 0) here.line = static_cast<unsigned>(number);
            if (dwarf_linecol(line, &number) == 0 && number > 0) here.column = static_cast<unsigned>(number);
        }
        // From the function inwards, through the blocks and inlined calls that hold the address.
        std::vector<Dwarf_Die> chain;
        if (Dwarf_Die function; function_at(unit, vaddr, function)) {
            chain.push_back(function);
            unsigned looked = 0;
            while (chain.size() < deepest && descend(chain, vaddr, looked)) {}
        }
        // NOLINTNEXTLINE(modernize-loop-convert): innermost first
        for (auto die = chain.rbegin(); die != chain.rend(); ++die) {
            auto const tag = dwarf_tag(&*die);
            if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
            here.function = name_of(*die);
            here.inlined = tag == DW_TAG_inlined_subroutine;
            out.push_back(here);
            if (!here.inlined) return;
            here = called_from(unit, *die);
        }
        if (here.line != 0) out.push_back(here); // assembly has lines and no functions
    }

private:
    /// Of the debug sections, as large as they become; 0 if there is no .debug_info.
    [[nodiscard]] static std::uint64_t size_of(image const& of)
    {
        elf_section s;
        if (!of.section_named(".debug_info", s)) return 0;
        std::uint64_t sum = 1;
        (void)of.find_section([&](elf_section const& one) {
            constexpr std::uint64_t shf_alloc = 2;
            constexpr std::uint64_t shf_compressed = 0x800;
            constexpr std::uint32_t nobits = 8;
            if ((one.flags & shf_alloc) != 0 || one.type == nobits) return false;
            auto size = one.size;
            char header[24]; // Elf64_Chdr
            if ((one.flags & shf_compressed) != 0 && of.source().read_whole(one.offset, header, sizeof header))
                size = byte_cursor{{header + 8, 8}}.u64();
            sum = sum + size < sum ? UINT64_MAX : sum + size;
            return false;
        }, s);
        return sum;
    }

    /// What dwz(1) moved to a file that several share. libdw would look for it where this process is: with none given here, a file
    /// that refers to one is not used.
    [[nodiscard]] bool open_alternate(image const& of, int root)
    {
        elf_section link;
        if (!of.section_named(".gnu_debugaltlink", link)) return true;
        char bytes[4096];
        auto const got = link.size <= sizeof bytes ? of.source().read(link.offset, bytes, static_cast<std::size_t>(link.size)) : 0;
        std::string_view const text{bytes, got};
        auto const end = text.find('\0');
        build_id wanted;
        if (end == std::string_view::npos || got - end - 1 > sizeof wanted.value || got - end - 1 < 2) return false;
        wanted.size = static_cast<std::uint8_t>(got - end - 1);
        __builtin_memcpy(wanted.value, bytes + end + 1, wanted.size);
        std::string const path{text.substr(0, end)};
        for (auto const& candidate : {build_id_path(wanted), path}) {
            if (!candidate.starts_with('/')) continue;
            auto opened = open_inside(root, candidate.c_str());
            image found;
            if (!opened || !found.open(byte_source::file(opened.value().get())) || !(found.id() == wanted)) continue;
            auto const size = size_of(found);
            if (size == 0 || size > most_bytes) continue;
            size_ += size;
            alternate_file_ = static_cast<io::descriptor&&>(opened.value());
            alternate_elf_.reset(elf_begin(alternate_file_.get(), ELF_C_READ, nullptr));
            if (alternate_elf_) alternate_.reset(dwarf_begin_elf(alternate_elf_.get(), DWARF_C_READ, nullptr));
            if (!alternate_) return false;
            dwarf_setalt(dwarf_.get(), alternate_.get());
            return true;
        }
        return false;
    }

    /// The unit of code at \p vaddr: by .debug_aranges, or by the units' own ranges where a compiler (clang) wrote none.
    [[nodiscard]] bool unit_at(std::uint64_t vaddr, Dwarf_Die& unit)
    {
        if (dwarf_addrdie(dwarf_.get(), vaddr, &unit) == nullptr) {
            if (!units_listed_) list_units();
            auto const* const found = units_.find(vaddr, [](auto const&, auto const&) { return false; });
            if (found == nullptr || dwarf_offdie(dwarf_.get(), unit_offsets_[found->id], &unit) == nullptr) return false;
        }
        // Split DWARF: libdw would open the file that the unit names.
        constexpr unsigned gnu_dwo_name = 0x2130;
        constexpr unsigned dwo_name = 0x76;
        return dwarf_hasattr(&unit, gnu_dwo_name) == 0 && dwarf_hasattr(&unit, dwo_name) == 0;
    }

    void list_units()
    {
        units_listed_ = true;
        Dwarf_Off next = 0;
        std::size_t header = 0;
        for (Dwarf_Off at = 0; unit_offsets_.size() < most_units; at = next) {
            if (dwarf_nextcu(dwarf_.get(), at, &next, &header, nullptr, nullptr, nullptr) != 0 || next <= at) break;
            Dwarf_Die unit;
            if (dwarf_offdie(dwarf_.get(), at + header, &unit) == nullptr || dwarf_tag(&unit) != DW_TAG_compile_unit) continue;
            add_ranges(unit, units_, unit_offsets_);
        }
        units_.sort();
    }

    static void add_ranges(Dwarf_Die& die, interval_index& to, std::vector<Dwarf_Off>& offsets)
    {
        auto const id = static_cast<std::uint32_t>(offsets.size());
        bool has_code = false;
        Dwarf_Addr base = 0;
        Dwarf_Addr begin = 0;
        Dwarf_Addr end = 0;
        std::ptrdiff_t at = 0;
        for (unsigned n = 0; n < 65536 && (at = dwarf_ranges(&die, at, &base, &begin, &end)) > 0; ++n) {
            if (begin >= end) continue;
            to.add(begin, end, id);
            has_code = true;
        }
        if (has_code) offsets.push_back(dwarf_dieoffset(&die));
    }

    /// The functions of a unit that have code.
    struct functions {
        interval_index index;
        std::vector<Dwarf_Off> offsets;
    };

    [[nodiscard]] bool function_at(Dwarf_Die& unit, std::uint64_t vaddr, Dwarf_Die& function)
    {
        auto& known = functions_[dwarf_dieoffset(&unit)];
        if (!known) {
            known = std::make_unique<functions>();
            unsigned looked = 0;
            list_functions(unit, *known, 0, looked);
            known->index.sort();
        }
        auto const* const found = known->index.find(vaddr, [](auto const&, auto const&) { return false; });
        return found != nullptr && dwarf_offdie(dwarf_.get(), known->offsets[found->id], &function) != nullptr;
    }

    static void list_functions(Dwarf_Die& parent, functions& to, unsigned depth, unsigned& looked)
    {
        Dwarf_Die die;
        if (depth > deepest || dwarf_child(&parent, &die) != 0) return;
        do {
            if (++looked > most_entries) return;
            switch (dwarf_tag(&die)) {
            case DW_TAG_subprogram:
                add_ranges(die, to.index, to.offsets);
                break;
            case DW_TAG_namespace:
            case DW_TAG_structure_type:
            case DW_TAG_class_type:
            case DW_TAG_module:
                list_functions(die, to, depth + 1, looked);
                break;
            default: break;
            }
        } while (dwarf_siblingof(&die, &die) == 0);
    }

    /// Adds the child of the innermost entry that holds \p vaddr.
    [[nodiscard]] static bool descend(std::vector<Dwarf_Die>& chain, std::uint64_t vaddr, unsigned& looked)
    {
        Dwarf_Die die;
        if (dwarf_child(&chain.back(), &die) != 0) return false;
        do {
            if (++looked > most_entries) return false;
            auto const tag = dwarf_tag(&die);
            bool const holds_code = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block || tag == DW_TAG_try_block ||
                                    tag == DW_TAG_catch_block || tag == DW_TAG_subprogram;
            if (holds_code && dwarf_haspc(&die, vaddr) == 1) {
                chain.push_back(die);
                return true;
            }
        } while (dwarf_siblingof(&die, &die) == 0);
        return false;
    }

    [[nodiscard]] static std::string name_of(Dwarf_Die& die)
    {
        Dwarf_Attribute attribute;
        for (unsigned const which : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name}) {
            if (dwarf_attr_integrate(&die, which, &attribute) == nullptr) continue;
            if (auto const* const text = dwarf_formstring(&attribute); text != nullptr && *text != '\0') return demangle(text);
        }
        return {};
    }

    [[nodiscard]] static source_call called_from(Dwarf_Die& unit, Dwarf_Die& inlined)
    {
        source_call out;
        auto const number = [&](unsigned which) {
            Dwarf_Attribute attribute;
            Dwarf_Word value = 0;
            bool const told = dwarf_attr(&inlined, which, &attribute) != nullptr && dwarf_formudata(&attribute, &value) == 0;
            return told && value <= UINT32_MAX ? static_cast<unsigned>(value) : 0u;
        };
        out.line = number(DW_AT_call_line);
        out.column = number(DW_AT_call_column);
        Dwarf_Files* files = nullptr;
        std::size_t count = 0;
        auto const file = number(DW_AT_call_file);
        if (dwarf_getsrcfiles(&unit, &files, &count) == 0 && file < count) {
            if (auto const* const source = dwarf_filesrc(files, file, nullptr, nullptr); source != nullptr) out.file = source;
        }
        return out;
    }

    // The last one made is the first to go: libdw's point into libelf's.
    io::descriptor file_, alternate_file_;
    std::unique_ptr<Elf, end_elf> elf_, alternate_elf_;
    std::unique_ptr<Dwarf, end_dwarf> alternate_, dwarf_;
    std::uint64_t size_ = 0;
    bool units_listed_ = false;
    interval_index units_;
    std::vector<Dwarf_Off> unit_offsets_;
    std::map<Dwarf_Off, std::unique_ptr<functions>> functions_;
};

} // namespace detail

/// Tells source lines and inlined calls of one process's code. A file's debug information is opened when it is first asked for: the
/// mapped file's own, else the separate file's that `symbolizer` would take.
/// Not for a signal handler, and not for two threads at once. Lifetime: borrows the unwinder.
class debug_info {
public:
    static constexpr std::uint64_t most_bytes = std::uint64_t{4} << 30; ///< of open files; with more, all are closed and begun anew

    explicit debug_info(unwinder& code) : code_{code} {}

    /// The calls that stand at \p pc, innermost first: inlined ones, then the function that they are inlined into. Empty where there
    /// is no debug information. For a frame ask with `lookup_pc()`.
    [[nodiscard]] std::vector<source_call> find(address pc)
    {
        std::vector<source_call> out;
        auto const* const m = code_.maps().find(pc);
        if (m == nullptr || m->inode == 0) return out;
        auto const* const mod = code_.module_at(pc);
        if (mod == nullptr || !mod->usable) return out;
        auto const vaddr = pc.value - mod->bias;
        auto const key = std::pair{m->inode, std::uint64_t{m->dev.major} << 32 | m->dev.minor};
        auto known = files_.find(key);
        if (known == files_.end()) {
            if (bytes_ > most_bytes) {
                files_.clear();
                bytes_ = 0;
            }
            known = files_.try_emplace(key, open(*mod, std::string{code_.maps().path(*m)})).first;
            if (known->second) bytes_ += known->second->size();
        }
        if (known->second) known->second->find(vaddr, out);
        return out;
    }

private:
    [[nodiscard]] std::unique_ptr<detail::dwarf_file> open(module const& mod, std::string const& path)
    {
        auto out = std::make_unique<detail::dwarf_file>();
        auto const root = code_.opener().root();
        if (root == AT_FDCWD) return nullptr;
        if (elf_section s; !mod.from_memory && mod.elf.section_named(".debug_info", s)) {
            auto const copy = io::system_call(SYS_fcntl, mod.file.get(), F_DUPFD_CLOEXEC, 0); // the unwinder may close its own
            if (copy.ok() && out->open(io::descriptor{static_cast<int>(copy.value())}, mod.elf, root)) return out;
            return nullptr;
        }
        image debug;
        io::descriptor file;
        if (!detail::open_debug_file(code_.opener(), mod.elf, path, debug, file)) return nullptr;
        return out->open(static_cast<io::descriptor&&>(file), debug, root) ? std::move(out) : nullptr;
    }

    unwinder& code_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::unique_ptr<detail::dwarf_file>> files_;
    std::uint64_t bytes_ = 0;
};

} // namespace taskpeek::stack
