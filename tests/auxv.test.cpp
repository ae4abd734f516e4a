// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/auxv.hpp>

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <elf.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using tp::tests::check_every_damage;
using tp::tests::decode_error;
using tp::tests::decode_exactly;
using tp::tests::gives;
using key = pf::auxv_key;
using entry = pf::auxv_entry;

namespace {

/// The bytes of words of \p Word, in this machine's byte order.
template <class Word, std::size_t N>
struct bytes_of {
    char bytes[N * sizeof(Word)]{};

    constexpr explicit bytes_of(Word const (&words)[N])
    {
        std::size_t at = 0;
        for (auto const word : words)
            for (std::size_t i = 0; i < sizeof(Word); ++i) {
                auto const place = std::endian::native == std::endian::little ? i : sizeof(Word) - 1 - i;
                bytes[at++] = static_cast<char>(static_cast<unsigned char>(word >> 8 * place & 0xff));
            }
    }

    [[nodiscard]] constexpr std::string_view view() const { return {bytes, sizeof bytes}; }
};

// Linux 6.1, x86-64.
constexpr std::uint64_t wide_6_1_words[] = {
    33, 0x7ffd0d18e000, 51, 0x5a0, 16, 0x78bfbfd, 6, 4096, 17, 100, 3, 0x400040, 4, 56, 5, 10, 7, 0, 8, 0, 9, 0x40ebf0, 11, 0, 12, 0,
    13, 0, 14, 0, 23, 0, 25, 0x7ffd0d08bd59, 26, 0, 31, 0x7ffd0d08bff2, 15, 0x7ffd0d08bd69, 0, 0};
constexpr bytes_of wide_6_1{wide_6_1_words};

// A 32-bit process on a 64-bit kernel, which ends the vector with an aligned AT_NULL of its own words.
constexpr std::uint32_t narrow_6_1_words[] = {
    32, 0xf7f8c570, 33, 0xf7f8c000, 51, 0x5b0, 16, 0x78bfbfd, 6, 4096, 17, 100, 3, 0x56555034, 4, 32, 5, 9, 7, 0xf7f8e000, 8, 0,
    9, 0x56556080, 11, 1000, 12, 1000, 13, 1000, 14, 0xfffffffe, 23, 0, 25, 0xffffd2fb, 31, 0xffffdff0, 15, 0xffffd30b, 0, 0, 0, 0};
constexpr bytes_of narrow_6_1{narrow_6_1_words};

constexpr pf::auxv wide = pf::auxv::parse(wide_6_1.view()).value();
static_assert(wide.word_size() == 8);
static_assert(wide.get(key::phdr) == 0x400040u && wide.get(key::sysinfo_ehdr) == 0x7ffd0d18e000u && wide.get(key::base) == 0u);
static_assert(!wide.get(key::sysinfo) && !wide.get(key::execfd), "what is not told is not 0");
static_assert(!wide.get(key::null));

constexpr pf::auxv narrow = pf::auxv::parse(narrow_6_1.view()).value();
static_assert(narrow.word_size() == 4);
static_assert(narrow.get(key::sysinfo) == 0xf7f8c570u && narrow.get(key::egid) == 0xfffffffeu && narrow.get(key::phent) == 32u);

// The word size may be known, and then nothing needs to prove it.
constexpr std::uint64_t few_words[] = {6, 65536, 1000, UINT64_MAX, 0, 7};
constexpr bytes_of few{few_words};
static_assert(gives(pf::auxv::parse(few.view(), 8).value().entries, {entry{key::pagesz, 65536}, entry{key{1000}, UINT64_MAX}}));
static_assert(pf::auxv::parse(few.view()).error().code == tp::errc::malformed);
constexpr std::uint64_t odd_words[] = {4, 32, 6, 4096, 0, 0};
constexpr bytes_of odd{odd_words};
static_assert(pf::auxv::parse(odd.view()).error().code == tp::errc::malformed, "a 32-bit ELF's number in words of 8 bytes proves nothing");
static_assert(pf::auxv::parse(odd.view(), 8).value().get(key::phent) == 32u);
static_assert(pf::auxv::parse(few.view(), 2).error().code == tp::errc::invalid);
static_assert(pf::auxv::parse(std::string_view{"\0\0\0\0\0\0\0\0", 8}, 4).value().entries.empty());

static_assert(pf::auxv::needs_address_space);
static_assert(pf::auxv{}.entries.empty() && !pf::auxv{}.get(key::phdr));

} // namespace

TEST_CASE("auxv: bytes cut anywhere, in an entry or between two, are truncated")
{
    auto const whole = wide_6_1.view();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        auto const found = decode_error<pf::auxv>(whole.substr(0, size));
        CHECK(found.code == tp::errc::truncated);
        CHECK(found.file == tp::kernel_file::auxv);
        CHECK(found.offset == size);
    }
    // A 32-bit process's AT_NULL may be followed by padding: 8 bytes here.
    auto const padded = narrow_6_1.view();
    for (std::size_t size = 0; size < padded.size(); ++size) {
        CAPTURE(size);
        auto const found = decode_exactly<pf::auxv>(padded.substr(0, size), [](auto const& r) { return r ? tp::errc{} : r.error().code; });
        CHECK(found == (size < padded.size() - 8 ? tp::errc::truncated : tp::errc{}));
    }
}

TEST_CASE("auxv: damage anywhere is survived")
{
    for (auto const whole : {wide_6_1.view(), narrow_6_1.view()}) check_every_damage<pf::auxv>(whole);
}

TEST_CASE("auxv: what follows AT_NULL is passed over")
{
    auto text = std::string{wide_6_1.view()} + std::string(13, '\x05');
    auto const decoded = pf::auxv::parse(text);
    REQUIRE(decoded);
    CHECK(decoded.value().get(key::platform) == 0x7ffd0d08bd69);
}

TEST_CASE("auxv: bytes of the other byte order are refused, not guessed at")
{
    std::string text{wide_6_1.view()};
    for (std::size_t word = 0; word < text.size(); word += 8)
        for (std::size_t i = 0; i < 4; ++i) std::swap(text[word + i], text[word + 7 - i]);
    CHECK(decode_error<pf::auxv>(text).code == tp::errc::malformed);
}

TEST_CASE("auxv: each key has the number and the name of elf.h, or of the kernel where that lacks it")
{
    struct {
        key k;
        std::uint64_t number;
        std::string_view name;
    } const cases[] = {
        {key::null, AT_NULL, "AT_NULL"}, {key::ignore, AT_IGNORE, "AT_IGNORE"}, {key::execfd, AT_EXECFD, "AT_EXECFD"},
        {key::phdr, AT_PHDR, "AT_PHDR"}, {key::phent, AT_PHENT, "AT_PHENT"}, {key::phnum, AT_PHNUM, "AT_PHNUM"},
        {key::pagesz, AT_PAGESZ, "AT_PAGESZ"}, {key::base, AT_BASE, "AT_BASE"}, {key::flags, AT_FLAGS, "AT_FLAGS"},
        {key::entry, AT_ENTRY, "AT_ENTRY"}, {key::notelf, AT_NOTELF, "AT_NOTELF"}, {key::uid, AT_UID, "AT_UID"},
        {key::euid, AT_EUID, "AT_EUID"}, {key::gid, AT_GID, "AT_GID"}, {key::egid, AT_EGID, "AT_EGID"},
        {key::platform, AT_PLATFORM, "AT_PLATFORM"}, {key::hwcap, AT_HWCAP, "AT_HWCAP"}, {key::clktck, AT_CLKTCK, "AT_CLKTCK"},
        {key::fpucw, AT_FPUCW, "AT_FPUCW"}, {key::dcachebsize, AT_DCACHEBSIZE, "AT_DCACHEBSIZE"},
        {key::icachebsize, AT_ICACHEBSIZE, "AT_ICACHEBSIZE"}, {key::ucachebsize, AT_UCACHEBSIZE, "AT_UCACHEBSIZE"},
        {key::ignoreppc, AT_IGNOREPPC, "AT_IGNOREPPC"}, {key::secure, AT_SECURE, "AT_SECURE"},
        {key::base_platform, AT_BASE_PLATFORM, "AT_BASE_PLATFORM"}, {key::random, AT_RANDOM, "AT_RANDOM"},
        {key::hwcap2, AT_HWCAP2, "AT_HWCAP2"}, {key::rseq_feature_size, 27, "AT_RSEQ_FEATURE_SIZE"}, {key::rseq_align, 28, "AT_RSEQ_ALIGN"},
        {key::hwcap3, 29, "AT_HWCAP3"}, {key::hwcap4, 30, "AT_HWCAP4"}, {key::execfn, AT_EXECFN, "AT_EXECFN"},
        {key::sysinfo, AT_SYSINFO, "AT_SYSINFO"}, {key::sysinfo_ehdr, AT_SYSINFO_EHDR, "AT_SYSINFO_EHDR"},
        {key::l1i_cacheshape, AT_L1I_CACHESHAPE, "AT_L1I_CACHESHAPE"}, {key::l1d_cacheshape, AT_L1D_CACHESHAPE, "AT_L1D_CACHESHAPE"},
        {key::l2_cacheshape, AT_L2_CACHESHAPE, "AT_L2_CACHESHAPE"}, {key::l3_cacheshape, AT_L3_CACHESHAPE, "AT_L3_CACHESHAPE"},
        {key::l1i_cachesize, AT_L1I_CACHESIZE, "AT_L1I_CACHESIZE"}, {key::l1i_cachegeometry, AT_L1I_CACHEGEOMETRY, "AT_L1I_CACHEGEOMETRY"},
        {key::l1d_cachesize, AT_L1D_CACHESIZE, "AT_L1D_CACHESIZE"}, {key::l1d_cachegeometry, AT_L1D_CACHEGEOMETRY, "AT_L1D_CACHEGEOMETRY"},
        {key::l2_cachesize, AT_L2_CACHESIZE, "AT_L2_CACHESIZE"}, {key::l2_cachegeometry, AT_L2_CACHEGEOMETRY, "AT_L2_CACHEGEOMETRY"},
        {key::l3_cachesize, AT_L3_CACHESIZE, "AT_L3_CACHESIZE"}, {key::l3_cachegeometry, AT_L3_CACHEGEOMETRY, "AT_L3_CACHEGEOMETRY"},
        {key::adi_blksz, 48, "AT_ADI_BLKSZ"}, {key::adi_nbits, 49, "AT_ADI_NBITS"}, {key::adi_ueonadi, 50, "AT_ADI_UEONADI"},
        {key::minsigstksz, AT_MINSIGSTKSZ, "AT_MINSIGSTKSZ"},
    };
    for (auto const& [k, number, name] : cases) {
        CHECK(static_cast<std::uint64_t>(k) == number);
        CHECK(name_of(k) == name);
    }
    for (auto const unknown : {std::uint64_t{38}, std::uint64_t{39}, std::uint64_t{52}, UINT64_MAX}) CHECK(name_of(key{unknown}) == "");
}

TEST_CASE("auxv: entries may be walked again, and are listed as one field")
{
    int fields = 0;
    pf::auxv::each_field(wide, [&](std::string_view name, pf::auxv_entries const& entries) {
        ++fields;
        CHECK(name == "auxv");
        int first = 0, again = 0;
        for (auto const e : entries) first += name_of(e.key).empty() ? 100 : 1;
        for (auto i = entries.begin(); i != entries.end(); i++) ++again;
        CHECK(first == 20);
        CHECK(again == 20);
    });
    CHECK(fields == 1);
}
