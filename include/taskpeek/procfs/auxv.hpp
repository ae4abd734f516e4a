// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// `/proc/<tgid>/auxv`: what the kernel told a process at its start, in binary.

#include <taskpeek/result.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <range/v3/range_fwd.hpp>

namespace taskpeek::procfs {

/// What an entry of the auxiliary vector tells: `AT_*` of include/uapi/linux/auxvec.h and of the architectures.
enum class auxv_key : std::uint64_t {
    null = 0,             ///< the end
    ignore = 1,           ///< to be passed over
    execfd = 2,           ///< descriptor of the program (binfmt_misc)
    phdr = 3,             ///< address of the program headers
    phent = 4,            ///< bytes of one program header: 56 in a 64-bit process, 32 in a 32-bit one
    phnum = 5,            ///< how many program headers
    pagesz = 6,           ///< bytes of a page
    base = 7,             ///< address of the dynamic linker, 0 for none
    flags = 8,            ///< flags
    entry = 9,            ///< address where the program starts
    notelf = 10,          ///< the program is no ELF file
    uid = 11,             ///< real user id
    euid = 12,            ///< effective user id
    gid = 13,             ///< real group id
    egid = 14,            ///< effective group id
    platform = 15,        ///< address of the CPU's name
    hwcap = 16,           ///< features of the CPU
    clktck = 17,          ///< clock ticks per second
    fpucw = 18,           ///< SuperH: the FPU's control word
    dcachebsize = 19,     ///< PowerPC: bytes of a data cache block
    icachebsize = 20,     ///< PowerPC: bytes of an instruction cache block
    ucachebsize = 21,     ///< PowerPC: bytes of a unified cache block
    ignoreppc = 22,       ///< PowerPC: to be passed over
    secure = 23,          ///< 1 in set-user-ID and similar programs
    base_platform = 24,   ///< address of the real CPU's name
    random = 25,          ///< address of 16 random bytes
    hwcap2 = 26,          ///< more features of the CPU
    rseq_feature_size = 27, ///< bytes of rseq(2) that the kernel knows; since 6.3
    rseq_align = 28,      ///< how rseq(2) is to be aligned; since 6.3
    hwcap3 = 29,          ///< more features of the CPU; since 6.9
    hwcap4 = 30,          ///< more features of the CPU; since 6.9
    execfn = 31,          ///< address of the program's file name
    sysinfo = 32,         ///< i386 and others: address of the system call entry
    sysinfo_ehdr = 33,    ///< address of the vdso
    l1i_cacheshape = 34,  ///< alpha, SuperH: cache geometry
    l1d_cacheshape = 35,
    l2_cacheshape = 36,
    l3_cacheshape = 37,
    l1i_cachesize = 40,   ///< PowerPC, RISC-V: bytes of the cache
    l1i_cachegeometry = 41,
    l1d_cachesize = 42,
    l1d_cachegeometry = 43,
    l2_cachesize = 44,
    l2_cachegeometry = 45,
    l3_cachesize = 46,
    l3_cachegeometry = 47,
    adi_blksz = 48,       ///< SPARC: application data integrity
    adi_nbits = 49,
    adi_ueonadi = 50,
    minsigstksz = 51      ///< bytes of the least signal stack; arm64 since 4.18, x86 since 5.14
};

/// `"AT_PHDR"`; empty for a key of a kernel to come.
[[nodiscard]] constexpr std::string_view name_of(auxv_key key) noexcept
{
    constexpr std::string_view names[] = {
        "AT_NULL", "AT_IGNORE", "AT_EXECFD", "AT_PHDR", "AT_PHENT", "AT_PHNUM", "AT_PAGESZ", "AT_BASE", "AT_FLAGS", "AT_ENTRY",
        "AT_NOTELF", "AT_UID", "AT_EUID", "AT_GID", "AT_EGID", "AT_PLATFORM", "AT_HWCAP", "AT_CLKTCK", "AT_FPUCW", "AT_DCACHEBSIZE",
        "AT_ICACHEBSIZE", "AT_UCACHEBSIZE", "AT_IGNOREPPC", "AT_SECURE", "AT_BASE_PLATFORM", "AT_RANDOM", "AT_HWCAP2",
        "AT_RSEQ_FEATURE_SIZE", "AT_RSEQ_ALIGN", "AT_HWCAP3", "AT_HWCAP4", "AT_EXECFN", "AT_SYSINFO", "AT_SYSINFO_EHDR",
        "AT_L1I_CACHESHAPE", "AT_L1D_CACHESHAPE", "AT_L2_CACHESHAPE", "AT_L3_CACHESHAPE", "", "", "AT_L1I_CACHESIZE",
        "AT_L1I_CACHEGEOMETRY", "AT_L1D_CACHESIZE", "AT_L1D_CACHEGEOMETRY", "AT_L2_CACHESIZE", "AT_L2_CACHEGEOMETRY",
        "AT_L3_CACHESIZE", "AT_L3_CACHEGEOMETRY", "AT_ADI_BLKSZ", "AT_ADI_NBITS", "AT_ADI_UEONADI", "AT_MINSIGSTKSZ"};
    auto const n = static_cast<std::uint64_t>(key);
    return n < sizeof names / sizeof *names ? names[n] : std::string_view{};
}

/// One entry: a key and what it tells. Keys without a name here are kept.
struct auxv_entry {
    auxv_key key = auxv_key::null;
    std::uint64_t value = 0; ///< an address, a number or flags: the key says which

    friend constexpr bool operator==(auxv_entry, auxv_entry) noexcept = default;
};

/// The entries before AT_NULL, decoded as they are walked.
/// Multi-pass. Entries are handed out by value.
/// Lifetime: a view into the bytes.
class auxv_entries : public ranges::view_base {
public:
    class sentinel {};

    class iterator {
    public:
        using value_type = auxv_entry;
        using difference_type = std::ptrdiff_t;
        using reference = auxv_entry;

        constexpr iterator() noexcept = default;
        constexpr iterator(char const* at, std::size_t word_size) noexcept : at_{at}, word_size_{word_size} {}

        [[nodiscard]] constexpr auxv_entry operator*() const noexcept
        {
            return {auxv_key{word(at_, word_size_)}, word(at_ + word_size_, word_size_)};
        }
        constexpr iterator& operator++() noexcept
        {
            at_ += 2 * word_size_;
            return *this;
        }
        constexpr iterator operator++(int) noexcept
        {
            auto const was = *this;
            ++*this;
            return was;
        }

        friend constexpr bool operator==(iterator const& a, iterator const& b) noexcept { return a.at_ == b.at_; }
        friend constexpr bool operator==(iterator const& i, sentinel) noexcept { return i.at_ == nullptr || (*i).key == auxv_key::null; }

    private:
        char const* at_ = nullptr;
        std::size_t word_size_ = sizeof(std::uint64_t);
    };

    constexpr auxv_entries() noexcept = default;

    /// \p bytes must hold an AT_NULL entry; \p word_size is 4 or 8.
    constexpr auxv_entries(std::string_view bytes, std::size_t word_size) noexcept : bytes_{bytes}, word_size_{word_size} {}

    [[nodiscard]] constexpr iterator begin() const noexcept { return {bytes_.data(), word_size_}; }
    [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }
    [[nodiscard]] constexpr bool empty() const noexcept { return begin() == end(); }

    /// Bytes of one word: 8, or 4 in a 32-bit process.
    [[nodiscard]] constexpr std::size_t word_size() const noexcept { return word_size_; }

    /// The number in the \p size bytes at \p at, in this machine's byte order.
    [[nodiscard]] static constexpr std::uint64_t word(char const* at, std::size_t size) noexcept
    {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < size; ++i) {
            auto const byte = static_cast<unsigned char>(at[std::endian::native == std::endian::little ? size - 1 - i : i]);
            value = value << 8 | byte;
        }
        return value;
    }

private:
    std::string_view bytes_;
    std::size_t word_size_ = sizeof(std::uint64_t);
};

/// The auxiliary vector of a process (fs/proc/base.c, auxv_read): words of the process's own size, in this machine's byte order.
/// A tree recorded on a machine of the other byte order is malformed here.
/// Kernel threads and zombies have none: an empty text (which is truncated), on later kernels (seen on 6.18) ESRCH.
/// Errors: truncated (no AT_NULL, or a part of an entry), malformed (AT_PHENT does not tell the word size).
/// Lifetime: `entries` is a view into the bytes.
struct auxv {
    static constexpr kernel_file file = kernel_file::auxv; ///< what it decodes
    static constexpr std::size_t typical_size = 1024; ///< bytes; at most 2 * 8 * 30 on any architecture so far
    static constexpr bool needs_address_space = true; ///< emptiness may mean that there is none

    auxv_entries entries;

    /// Bytes of the process's words: 8, or 4 for a 32-bit process.
    [[nodiscard]] constexpr std::size_t word_size() const noexcept { return entries.word_size(); }

    /// What the kernel told for \p key; none if it did not.
    [[nodiscard]] constexpr std::optional<std::uint64_t> get(auxv_key key) const noexcept
    {
        for (auto const entry : entries)
            if (entry.key == key) return entry.value;
        return std::nullopt;
    }

    /// Calls `visit(name, field)` for every field, in the kernel's order.
    template <class Auxv, class Visitor>
    static constexpr void each_field(Auxv& a, Visitor&& visit) noexcept { visit("auxv", a.entries); }

    /// Decodes entries of words of \p word_size bytes: 4 or 8. What follows AT_NULL is passed over, since a 64-bit kernel pads the
    /// vector of a 32-bit process.
    [[nodiscard]] static constexpr result<auxv> parse(std::string_view bytes, std::size_t word_size) noexcept
    {
        if (word_size != 4 && word_size != 8) return error{errc::invalid, file, 0, {}, 0};
        for (auto rest = bytes; rest.size() >= 2 * word_size; rest.remove_prefix(2 * word_size))
            if (auxv_entries::word(rest.data(), word_size) == 0) return auxv{auxv_entries{bytes, word_size}};
        return error{errc::truncated, file, 0, {}, static_cast<std::uint32_t>(bytes.size())};
    }

    /// Decodes entries of the word size that AT_PHENT proves: it is 56 in 64-bit processes and 32 in 32-bit ones, by ELF's definition.
    [[nodiscard]] static constexpr result<auxv> parse(std::string_view bytes) noexcept
    {
        auto const wide = parse(bytes, 8);
        if (wide && wide.value().get(auxv_key::phent) == 56) return wide;
        auto const narrow = parse(bytes, 4);
        if (narrow && narrow.value().get(auxv_key::phent) == 32) return narrow;
        if (!wide) return wide;
        return error{errc::malformed, file, 0, {}, 0};
    }
};

} // namespace taskpeek::procfs
