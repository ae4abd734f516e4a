// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// ELF images of other processes: opened as a hostile file is opened, read with pread(2) or out of the process's memory, never
/// mapped. Everything is bounded, whatever the bytes say.

#include <taskpeek/io/descriptor.hpp>
#include <taskpeek/io/syscall.hpp>
#include <taskpeek/result.hpp>
#include <taskpeek/stack/cfi.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

namespace taskpeek::stack {

namespace detail {

/// `struct open_how` of linux/openat2.h (since 5.6), which Debian 12's C library does not bring.
struct open_how {
    std::uint64_t flags = 0;
    std::uint64_t mode = 0;
    std::uint64_t resolve = 0;
};
inline constexpr std::uint64_t resolve_no_magiclinks = 0x02;
inline constexpr std::uint64_t resolve_in_root = 0x10;

#if defined SYS_openat2
inline constexpr long openat2_number = SYS_openat2;
#else
inline constexpr long openat2_number = 437;
#endif

} // namespace detail

namespace detail {

/// For kernels without openat2(2), before 5.6: goes down name by name and follows no link at all. `maps` prints paths without links.
[[nodiscard]] inline io::answer open_without_links(int root, char const* path, int flags) noexcept
{
    io::descriptor at;
    for (auto below = root;;) {
        while (*path == '/') ++path;
        char name[256];
        std::size_t size = 0;
        while (path[size] != '\0' && path[size] != '/' && size < sizeof name - 1) { name[size] = path[size]; ++size; }
        name[size] = '\0';
        path += size;
        if (size == 0 || size == sizeof name - 1 || std::string_view{name, size} == "..") return io::answer{-40}; // ELOOP, as of a link
        while (*path == '/') ++path;
        bool const last = *path == '\0';
        auto const fd = io::open_at(below, name, last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW);
        if (last || !fd.ok()) return fd;
        at = io::descriptor{static_cast<int>(fd.value())};
        below = at.get();
    }
}

} // namespace detail

/// Opens the regular file \p path as a process with the root directory \p root sees it: no link leads out, no fifo blocks.
/// Errors: vanished, denied, invalid (not a regular file), os.
[[nodiscard]] inline result<io::descriptor> open_inside(int root, char const* path, kernel_file file = kernel_file::elf) noexcept
{
    detail::open_how how;
    how.flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    how.resolve = detail::resolve_in_root | detail::resolve_no_magiclinks;
    auto fd = io::system_call(detail::openat2_number, root, io::as_argument(path), io::as_argument(&how), sizeof how);
    if (fd.error() == 38) fd = detail::open_without_links(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY); // ENOSYS
    if (!fd.ok()) return os_failure(fd.error(), file);
    io::descriptor opened{static_cast<int>(fd.value())};
    struct stat status;
    if (::fstat(opened.get(), &status) != 0 || !S_ISREG(status.st_mode)) return error{errc::invalid, file, 0, {}, 0};
    return opened;
}

/// Where the bytes of an image are.
class byte_source {
public:
    constexpr byte_source() noexcept = default; ///< nowhere

    /// By offset in an open file. Lifetime: borrows the descriptor.
    [[nodiscard]] static constexpr byte_source file(int fd) noexcept { return {kind::file, fd, {}, {}}; }
    /// By address in a live process.
    [[nodiscard]] static constexpr byte_source memory(tgid process) noexcept { return {kind::memory, -1, process, {}}; }
    /// By offset in a copy. Lifetime: borrows it.
    [[nodiscard]] static constexpr byte_source copy(std::string_view bytes) noexcept { return {kind::copy, -1, {}, bytes}; }

    [[nodiscard]] constexpr bool is_memory() const noexcept { return kind_ == kind::memory; }

    /// Copies up to \p size bytes from \p at. \return how many could be had.
    [[nodiscard]] std::size_t read(std::uint64_t at, char* into, std::size_t size) const noexcept
    {
        switch (kind_) {
        case kind::nowhere: return 0;
        case kind::file: {
            if (at > INT64_MAX) return 0;
            auto const got = io::pread(fd_, into, size, at);
            return got.ok() ? got.count() : 0;
        }
        case kind::memory: {
            iovec const to{into, size};
            iovec const from{reinterpret_cast<void*>(at), size}; // NOLINT(performance-no-int-to-ptr): an address of the other process
            auto const got = io::system_call(SYS_process_vm_readv, process_.value, io::as_argument(&to), 1, io::as_argument(&from), 1, 0);
            return got.ok() ? got.count() : 0;
        }
        case kind::copy: {
            if (at >= bytes_.size()) return 0;
            auto const part = bytes_.substr(static_cast<std::size_t>(at), size);
            __builtin_memcpy(into, part.data(), part.size());
            return part.size();
        }
        }
        return 0;
    }
    [[nodiscard]] bool read_whole(std::uint64_t at, char* into, std::size_t size) const noexcept { return read(at, into, size) == size; }

private:
    enum class kind : std::uint8_t { nowhere, file, memory, copy };
    constexpr byte_source(kind k, int fd, tgid process, std::string_view bytes) noexcept
        : kind_{k}, fd_{fd}, process_{process}, bytes_{bytes}
    {
    }

    kind kind_ = kind::nowhere;
    int fd_ = -1;
    tgid process_;
    std::string_view bytes_;
};

/// The NT_GNU_BUILD_ID of an image.
struct build_id {
    unsigned char value[32]{};
    std::uint8_t size = 0; ///< 0: it has none

    friend constexpr bool operator==(build_id const& a, build_id const& b) noexcept
    {
        if (a.size != b.size) return false;
        for (std::size_t i = 0; i < a.size; ++i)
            if (a.value[i] != b.value[i]) return false;
        return true;
    }
};

/// A section header as far as we use it.
struct elf_section {
    std::uint32_t name = 0;
    std::uint32_t type = 0;
    std::uint64_t flags = 0;
    std::uint64_t address = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint32_t link = 0;
    std::uint64_t entry_size = 0;
};

/// The headers of a 64-bit little-endian ELF image, and its call frame information. Addresses are those at link time.
class image {
public:
    static constexpr std::size_t scratch_size = 16384; ///< bytes that `find_function` wants: the largest CIE and FDE it can use

    image() noexcept = default;

    /// Reads the headers: of a file or copy from its beginning, of memory from the address \p at where its first byte is mapped.
    /// False if it is no ELF image of a machine that we know; `is_foreign()` if it is one of another.
    [[nodiscard]] bool open(byte_source source, std::uint64_t at = 0) noexcept
    {
        *this = image{};
        source_ = source;
        char header[64];
        if (!source.read_whole(at, header, sizeof header)) return false;
        std::string_view const h{header, sizeof header};
        if (!h.starts_with(std::string_view{"\x7f" "ELF\x02\x01\x01", 7})) {
            foreign_ = h.starts_with(std::string_view{"\x7f" "ELF", 4}); // 32 bits: i386, x32, arm
            return false;
        }
        byte_cursor in{h.substr(16)};
        auto const type = in.u16();
        auto const number = in.u16();
        (void)in.u32();
        entry_ = in.u64();
        auto const phoff = in.u64();
        section_headers_ = in.u64();
        (void)in.u32();
        (void)in.u16();
        auto const phentsize = in.u16();
        auto const phnum = in.u16();
        auto const shentsize = in.u16();
        section_count_ = shentsize == 64 ? in.u16() : 0;
        section_names_ = shentsize == 64 ? in.u16() : 0;
        foreign_ = number != (native_machine == machine::aarch64 ? 183 : 62);
        if ((type != 2 && type != 3) || (number != 62 && number != 183) || phentsize != 56 || phnum == 0) return false;
        machine_ = number == 183 ? stack::machine::aarch64 : stack::machine::x86_64;
        std::uint64_t notes[4]{};
        std::uint64_t note_sizes[4]{};
        std::size_t note_count = 0;
        constexpr std::size_t entry = 56;
        char table[16 * entry]; // most files have fewer: one read
        for (unsigned i = 0; i < phnum && i < 256; ++i) {
            if (i % 16 == 0) {
                auto const wanted = (phnum - i < 16u ? phnum - i : 16u) * entry;
                if (!source.read_whole(at + phoff + i * entry, table, wanted)) return false;
            }
            byte_cursor ph{{table + i % 16 * entry, entry}};
            auto const kind = ph.u32();
            auto const flags = ph.u32();
            auto const offset = ph.u64();
            auto const vaddr = ph.u64();
            (void)ph.u64();
            auto const file_size = ph.u64();
            auto const memory_size = ph.u64();
            if (kind == 1 && load_count_ < most_loads) loads_[load_count_++] = {vaddr, offset, file_size, (flags & 1) != 0};
            else if (kind == 0x6474e550) { hdr_ = vaddr; hdr_size_ = memory_size; }
            else if (kind == 4 && note_count < 4) { notes[note_count] = vaddr; note_sizes[note_count++] = file_size; }
        }
        if (load_count_ == 0) return false;
        if (source.is_memory()) {
            // Its first byte is at \p at, and belongs to the segment with offset 0.
            for (std::size_t i = 0; i < load_count_; ++i)
                if (loads_[i].offset == 0) { bias_ = at - loads_[i].vaddr; break; }
        }
        for (std::size_t i = 0; i < note_count; ++i) read_build_id(notes[i], note_sizes[i]);
        read_hdr();
        return true;
    }

    [[nodiscard]] machine isa() const noexcept { return machine_; }
    /// An ELF image of another machine than the one that this program was compiled for.
    [[nodiscard]] bool is_foreign() const noexcept { return foreign_; }
    [[nodiscard]] build_id const& id() const noexcept { return id_; }
    [[nodiscard]] std::uint64_t entry() const noexcept { return entry_; }

    /// A number for the code that this is: of its build-id, or where it has none of its segments and the table of its functions;
    /// not of what strip(1) takes away. Never 0.
    [[nodiscard]] std::uint64_t fingerprint() const noexcept
    {
        std::uint64_t hash = 0xcbf29ce484222325u; // FNV-1a
        auto const add = [&](char const* bytes, std::size_t size) {
            for (std::size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3u;
        };
        if (id_.size != 0) {
            add(reinterpret_cast<char const*>(id_.value), id_.size);
        } else {
            for (std::size_t i = 0; i < load_count_; ++i) {
                std::uint64_t const numbers[] = {loads_[i].vaddr, loads_[i].offset, loads_[i].file_size};
                add(reinterpret_cast<char const*>(numbers), sizeof numbers);
            }
            char bytes[1024];
            for (std::uint64_t at = 0; hdr_ != 0 && at < hdr_size_ && at < 64 * sizeof bytes; at += sizeof bytes)
                add(bytes, read(hdr_ + at, bytes, static_cast<std::size_t>(hdr_size_ - at < sizeof bytes ? hdr_size_ - at : sizeof bytes)));
        }
        return hash == 0 ? 1 : hash;
    }
    [[nodiscard]] byte_source const& source() const noexcept { return source_; }

    /// The address at link time of the byte of code at \p offset of the file; false if no executable segment loads it. (A page
    /// that two segments share is mapped twice.)
    [[nodiscard]] bool address_of(std::uint64_t offset, std::uint64_t& vaddr) const noexcept
    {
        for (std::size_t i = 0; i < load_count_; ++i) {
            auto const& l = loads_[i];
            if (!l.executable) continue;
            auto const page = l.offset & 0xfff; // a mapping begins with the page that the segment begins in
            auto const end = (l.offset + l.file_size + 0xfff) & ~std::uint64_t{0xfff};
            if (offset < l.offset - page || offset >= end) continue;
            vaddr = l.vaddr + (offset - l.offset);
            return true;
        }
        return false;
    }

    /// Copies up to \p size bytes at the link-time address \p vaddr.
    [[nodiscard]] std::size_t read(std::uint64_t vaddr, char* into, std::size_t size) const noexcept
    {
        if (source_.is_memory()) return source_.read(vaddr + bias_, into, size);
        for (std::size_t i = 0; i < load_count_; ++i) {
            auto const& l = loads_[i];
            if (vaddr < l.vaddr || vaddr - l.vaddr >= l.file_size) continue;
            auto const left = l.file_size - (vaddr - l.vaddr);
            return source_.read(l.offset + (vaddr - l.vaddr), into, static_cast<std::size_t>(left < size ? left : size));
        }
        return 0;
    }

    /// Finds the entries for \p pc: by the table of `.eh_frame_hdr`, without one from the first of `.eh_frame` on; then in
    /// `.debug_frame`, where a program has its call frame information there alone. (Not in one that is compressed.)
    /// \p scratch has `scratch_size` bytes, which \p shared and \p function then refer to.
    /// \return ok; unreadable where there is no CFI for \p pc; malformed.
    [[nodiscard]] cfi_status find_function(std::uint64_t pc, char* scratch, cie& shared, fde& function) const noexcept
    {
        auto status = cfi_status::unreadable;
        if (table_ != 0) {
            std::uint64_t at = 0;
            if (search_table(pc, scratch, at)) {
                status = read_entry(eh_frame(), at, scratch, shared, function);
                if (status == cfi_status::ok && !function.contains(pc)) status = cfi_status::unreadable;
            }
        } else if (frames_ != 0) {
            status = search_frames(eh_frame(), pc, scratch, shared, function);
        }
        if (status != cfi_status::unreadable) return status;
        constexpr std::uint64_t compressed = 0x800;
        elf_section debug;
        if (!section_named(".debug_frame", debug) || debug.type != 1 || (debug.flags & compressed) != 0) return status;
        return search_frames({true, debug.offset, debug.offset + debug.size}, pc, scratch, shared, function);
    }

    /// Number of section headers; 0 for an image in memory, where they are not loaded.
    [[nodiscard]] unsigned section_count() const noexcept { return source_.is_memory() ? 0 : section_count_; }
    [[nodiscard]] bool section(unsigned index, elf_section& out) const noexcept
    {
        char bytes[section_header_size];
        auto const at = section_headers_ + std::uint64_t{index} * sizeof bytes;
        if (index >= section_count() || !source_.read_whole(at, bytes, sizeof bytes)) return false;
        out = decode_section(bytes);
        return true;
    }
    /// The first section that \p is_it says yes to; section 0, which is none, is passed over. Reads many headers at once.
    template <class Predicate>
    [[nodiscard]] bool find_section(Predicate&& is_it, elf_section& out) const noexcept
    {
        constexpr unsigned batch = 64;
        char bytes[batch * section_header_size];
        for (unsigned first = 0; first < section_count(); first += batch) {
            auto const wanted = section_count() - first < batch ? section_count() - first : batch;
            auto const at = section_headers_ + std::uint64_t{first} * section_header_size;
            auto const got = source_.read(at, bytes, wanted * section_header_size);
            for (unsigned i = 0; i < got / section_header_size; ++i) {
                out = decode_section(bytes + i * section_header_size);
                if (first + i != 0 && is_it(out)) return true;
            }
            if (got < wanted * section_header_size) return false;
        }
        return false;
    }
    /// The section called \p name (of at most 31 bytes).
    [[nodiscard]] bool section_named(std::string_view name, elf_section& out) const noexcept
    {
        elf_section names;
        if (!section(section_names_, names)) return false;
        char front[2048]; // of the names: those of most files, read once
        auto const wanted = names.size < sizeof front ? static_cast<std::size_t>(names.size) : sizeof front;
        auto const size = source_.read(names.offset, front, wanted);
        unsigned searched = 0;
        return find_section([&](elf_section const& s) {
            if (s.name >= names.size || name.size() > 31 || ++searched > most_sections) return false;
            auto const end = s.name + name.size();
            if (end < size) return std::string_view{front + s.name, name.size()} == name && front[end] == '\0';
            char text[32]{};
            auto const got = source_.read(names.offset + s.name, text, sizeof text - 1);
            return got > name.size() && std::string_view{text} == name;
        }, out);
    }

private:
    struct load {
        std::uint64_t vaddr = 0;
        std::uint64_t offset = 0;
        std::uint64_t file_size = 0;
        bool executable = false;
    };
    static constexpr std::size_t most_loads = 16;
    static constexpr unsigned most_sections = 4096;                       ///< that are searched for a name
    static constexpr std::uint64_t most_to_search = std::uint64_t{16} << 20; ///< bytes that a search without a table goes through
    static constexpr unsigned most_shared = 1u << 15;                     ///< CIEs that it reads on its way

    /// Where entries are: addresses at link time, or of `.debug_frame`, which is not loaded, offsets in the file.
    struct entries {
        bool debug = false;
        std::uint64_t start = 0;
        std::uint64_t end = 0;
    };
    [[nodiscard]] entries eh_frame() const noexcept { return {false, frames_, UINT64_MAX}; }
    [[nodiscard]] std::size_t read(entries const& from, std::uint64_t at, char* into, std::size_t size) const noexcept
    {
        return from.debug ? source_.read(at, into, size) : read(at, into, size);
    }
    static constexpr std::size_t section_header_size = 64;

    [[nodiscard]] static elf_section decode_section(char const* header) noexcept
    {
        byte_cursor in{{header, section_header_size}};
        elf_section s;
        s.name = in.u32();
        s.type = in.u32();
        s.flags = in.u64();
        s.address = in.u64();
        s.offset = in.u64();
        s.size = in.u64();
        s.link = in.u32();
        (void)in.u32();
        (void)in.u64();
        s.entry_size = in.u64();
        return s;
    }

    void read_build_id(std::uint64_t at, std::uint64_t size) noexcept
    {
        char bytes[1024];
        auto const got = read(at, bytes, static_cast<std::size_t>(size < sizeof bytes ? size : sizeof bytes));
        byte_cursor in{{bytes, got}};
        while (!in.at_end()) {
            auto const name_size = in.u32();
            auto const value_size = in.u32();
            auto const type = in.u32();
            auto const name = in.take((std::uint64_t{name_size} + 3) & ~std::uint64_t{3});
            auto const value = in.take((std::uint64_t{value_size} + 3) & ~std::uint64_t{3});
            if (!in.ok()) return;
            if (type != 3 || !name.starts_with(std::string_view{"GNU\0", 4}) || value_size > sizeof id_.value) continue;
            id_.size = static_cast<std::uint8_t>(value_size);
            __builtin_memcpy(id_.value, value.data(), value_size);
            return;
        }
    }

    void read_hdr() noexcept
    {
        if (hdr_ != 0) {
            char bytes[32]{};
            auto const got = read(hdr_, bytes, sizeof bytes);
            byte_cursor in{{bytes, got}, hdr_};
            auto const version = in.u8();
            auto const frame_encoding = in.u8();
            auto const count_encoding = in.u8();
            auto const table_encoding = in.u8();
            if (version == 1) {
                frames_ = in.pointer(frame_encoding, hdr_);
                if (!in.ok()) frames_ = 0;
                // What every linker writes: pairs of 4 bytes, relative to the header.
                if (count_encoding != 0xff && table_encoding == 0x3b) {
                    auto const count = in.pointer(count_encoding, hdr_);
                    auto const most = hdr_size_ / 8;
                    if (in.ok() && count != 0) {
                        table_ = in.here();
                        table_count_ = count < most ? count : most;
                    }
                }
            }
        }
        if (frames_ == 0) {
            elf_section s;
            if (section_named(".eh_frame", s)) frames_ = s.address;
        }
    }

    [[nodiscard]] std::int64_t relative(std::uint64_t pc) const noexcept { return static_cast<std::int64_t>(pc - hdr_); }

    [[nodiscard]] bool search_table(std::uint64_t pc, char* scratch, std::uint64_t& entry) const noexcept
    {
        constexpr std::uint64_t batch = 256; // below so many pairs one read of all is cheaper than halving on
        std::uint64_t low = 0;
        auto high = table_count_;
        auto const wanted = relative(pc);
        while (high - low > batch) {
            auto const middle = low + (high - low) / 2;
            char pair[8];
            if (read(table_ + middle * 8, pair, 8) != 8) return false;
            if (std::int64_t{static_cast<std::int32_t>(byte_cursor{{pair, 8}}.u32())} <= wanted) low = middle;
            else high = middle;
        }
        auto const got = read(table_ + low * 8, scratch, static_cast<std::size_t>((high - low) * 8)) / 8;
        std::size_t first = 0;
        auto last = got;
        while (first < last) {
            auto const middle = first + (last - first) / 2;
            if (std::int64_t{static_cast<std::int32_t>(byte_cursor{{scratch + middle * 8, 8}}.u32())} <= wanted) first = middle + 1;
            else last = middle;
        }
        if (first == 0) return false;
        byte_cursor in{{scratch + (first - 1) * 8, 8}};
        (void)in.u32();
        entry = hdr_ + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(in.u32())});
        return true;
    }

    /// An entry without its length: bytes of it in \p into, its address, what follows it.
    struct raw_entry {
        std::string_view bytes;
        std::uint64_t at = 0;
        std::uint64_t next = 0;
        bool is_end = false;
        bool too_large = false;
    };
    [[nodiscard]] bool read_raw(entries const& from, std::uint64_t at, char* into, std::size_t room, raw_entry& out) const noexcept
    {
        constexpr std::size_t typical = 128; // most entries have fewer bytes: one read
        auto const got = read(from, at, into, room < typical ? room : typical);
        byte_cursor in{{into, got}, at};
        std::uint64_t size = in.u32();
        if (size == 0) out.is_end = true;
        if (size == 0xffffffff) size = in.u64();
        if (!in.ok()) return false;
        auto const header = in.position();
        out.at = at + header;
        out.next = out.at + size;
        if (out.next < at) return false;
        if (size > room - header) { out.too_large = true; size = 0; }
        if (header + size > got && read(from, at, into, static_cast<std::size_t>(header + size)) != header + size) return false;
        out.bytes = {into + header, static_cast<std::size_t>(size)};
        return true;
    }

    /// Where the CIE is that an entry at \p at (behind its length) refers to: so many bytes before, or into `.debug_frame`.
    [[nodiscard]] static std::uint64_t shared_by(entries const& from, std::uint64_t at, std::uint32_t reference) noexcept
    {
        return from.debug ? from.start + reference : at - reference;
    }

    [[nodiscard]] cfi_status read_entry(entries const& from, std::uint64_t at, char* scratch, cie& shared, fde& function) const noexcept
    {
        constexpr std::size_t for_cie = 1024;
        raw_entry f;
        if (!read_raw(from, at, scratch + for_cie, scratch_size - for_cie, f) || f.is_end || f.too_large) return cfi_status::malformed;
        auto const reference = byte_cursor{f.bytes}.u32();
        if (reference == cie::mark(from.debug)) return cfi_status::malformed;
        raw_entry c;
        if (!read_raw(from, shared_by(from, f.at, reference), scratch, for_cie, c) || c.is_end || c.too_large) return cfi_status::malformed;
        if (!cie::parse(c.bytes, c.at, shared, from.debug) || !fde::parse(f.bytes, f.at, shared, function, from.debug))
            return cfi_status::malformed;
        return cfi_status::ok;
    }

    /// Goes through the entries one by one, a window of them at a time. The CIE is read anew only where it is another.
    [[nodiscard]] cfi_status search_frames(entries const& from, std::uint64_t pc, char* scratch, cie& shared, fde& function) const noexcept
    {
        constexpr std::size_t for_fields = 48; // length, reference, and two pointers
        char window[4096];
        std::uint64_t window_at = 0;
        std::size_t window_size = 0;
        std::uint64_t cie_at = UINT64_MAX;
        cie current;
        unsigned left = most_shared;
        auto at = from.start;
        auto const end = from.end - at < most_to_search ? from.end : at + most_to_search;
        while (at < end) {
            if (at < window_at || at - window_at + for_fields > window_size) {
                window_at = at;
                window_size = read(from, at, window, sizeof window);
            }
            auto const skipped = static_cast<std::size_t>(at - window_at);
            byte_cursor in{{window + skipped, window_size - skipped}, at};
            std::uint64_t size = in.u32();
            if (size == 0xffffffff) size = in.u64();
            auto const body = in.here();
            auto const reference = in.u32();
            if (!in.ok() || size == 0 || body + size < at) return cfi_status::unreadable; // the end
            if (reference != cie::mark(from.debug)) {
                if (auto const wanted = shared_by(from, body, reference); wanted != cie_at) {
                    raw_entry c;
                    if (left-- == 0) return cfi_status::malformed;
                    bool const is_one = read_raw(from, wanted, scratch, 1024, c) && cie::parse(c.bytes, c.at, current, from.debug);
                    cie_at = is_one ? wanted : UINT64_MAX;
                }
                if (cie_at != UINT64_MAX) {
                    auto const begin = in.pointer(current.pointer_encoding);
                    auto const length = in.pointer(current.pointer_encoding & 0x0f);
                    bool const is_discarded = from.debug && begin == 0; // by the linker, which leaves its entry
                    bool const is_here = in.ok() && !is_discarded && pc >= begin && pc - begin < length;
                    if (is_here && read_entry(from, at, scratch, shared, function) == cfi_status::ok && function.contains(pc))
                        return cfi_status::ok;
                }
            }
            at = body + size;
        }
        return cfi_status::unreadable;
    }

    byte_source source_;
    stack::machine machine_ = native_machine;
    bool foreign_ = false;
    std::uint64_t bias_ = 0;         ///< of an image in memory
    std::uint64_t entry_ = 0;
    std::uint64_t section_headers_ = 0;
    unsigned section_count_ = 0;
    unsigned section_names_ = 0;
    load loads_[most_loads]{};
    std::size_t load_count_ = 0;
    std::uint64_t hdr_ = 0;          ///< `.eh_frame_hdr`
    std::uint64_t hdr_size_ = 0;
    std::uint64_t frames_ = 0;       ///< `.eh_frame`
    std::uint64_t table_ = 0;        ///< the header's sorted pairs; 0 where it has none that we use
    std::uint64_t table_count_ = 0;
    build_id id_;
};

} // namespace taskpeek::stack
