// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// DWARF call frame information as `.eh_frame` and `.debug_frame` hold it: bytes in, the row that restores a caller's registers out.
/// Pure: no memory of a process is read here but through what the caller passes in. Work is bounded by the size of the input, and
/// an expression's by `expression_step_limit`.

#include <taskpeek/stack/machine.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace taskpeek::stack {

/// What became of interpreting call frame information.
enum class cfi_status : std::uint8_t {
    ok,
    malformed,        ///< the bytes are no valid CFI, or need more than the bounds set here
    missing_register, ///< the answer depends on a register whose value is not known
    unreadable        ///< the answer depends on memory that cannot be read
};

/// Reads little-endian numbers off the front of bytes. The first failure sticks; everything read from there on is 0.
class byte_cursor {
public:
    constexpr byte_cursor() noexcept = default;
    /// \p where is the address (at link time) of the first byte: what pc-relative pointers count from.
    constexpr explicit byte_cursor(std::string_view bytes, std::uint64_t where = 0) noexcept : bytes_{bytes}, where_{where} {}

    [[nodiscard]] constexpr bool ok() const noexcept { return ok_; }
    [[nodiscard]] constexpr bool at_end() const noexcept { return !ok_ || at_ == bytes_.size(); }
    [[nodiscard]] constexpr std::size_t position() const noexcept { return at_; }
    [[nodiscard]] constexpr std::uint64_t here() const noexcept { return where_ + at_; }
    [[nodiscard]] constexpr std::string_view rest() const noexcept { return ok_ ? bytes_.substr(at_) : std::string_view{}; }
    constexpr void fail() noexcept { ok_ = false; }

    template <class Unsigned>
    [[nodiscard]] constexpr Unsigned number() noexcept
    {
        if (!ok_ || bytes_.size() - at_ < sizeof(Unsigned)) { ok_ = false; return 0; }
        Unsigned value = 0;
        for (std::size_t i = 0; i < sizeof(Unsigned); ++i)
            value = static_cast<Unsigned>(value | static_cast<Unsigned>(Unsigned{static_cast<unsigned char>(bytes_[at_ + i])} << 8 * i));
        at_ += sizeof(Unsigned);
        return value;
    }
    [[nodiscard]] constexpr std::uint8_t u8() noexcept { return number<std::uint8_t>(); }
    [[nodiscard]] constexpr std::uint16_t u16() noexcept { return number<std::uint16_t>(); }
    [[nodiscard]] constexpr std::uint32_t u32() noexcept { return number<std::uint32_t>(); }
    [[nodiscard]] constexpr std::uint64_t u64() noexcept { return number<std::uint64_t>(); }

    /// Bits beyond the 64th are dropped; an encoding of more than 16 bytes is refused.
    [[nodiscard]] constexpr std::uint64_t uleb() noexcept
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 7 * 16; shift += 7) {
            auto const byte = u8();
            if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
            if ((byte & 0x80) == 0) return value;
        }
        ok_ = false;
        return 0;
    }
    [[nodiscard]] constexpr std::int64_t sleb() noexcept
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 7 * 16; shift += 7) {
            auto const byte = u8();
            if (shift < 64) value |= std::uint64_t{byte & 0x7fu} << shift;
            if ((byte & 0x80) == 0) {
                if ((byte & 0x40) != 0 && shift + 7 < 64) value |= ~std::uint64_t{0} << (shift + 7);
                return static_cast<std::int64_t>(value);
            }
        }
        ok_ = false;
        return 0;
    }
    [[nodiscard]] constexpr std::string_view take(std::uint64_t size) noexcept
    {
        if (!ok_ || size > bytes_.size() - at_) { ok_ = false; return {}; }
        auto const taken = bytes_.substr(at_, static_cast<std::size_t>(size));
        at_ += taken.size();
        return taken;
    }
    [[nodiscard]] constexpr std::string_view c_string() noexcept
    {
        auto const left = rest();
        auto const end = left.find('\0');
        if (end == std::string_view::npos) { ok_ = false; return {}; }
        at_ += end + 1;
        return left.substr(0, end);
    }

    /// A pointer in one of the encodings of `.eh_frame` (DW_EH_PE_*). \p data is what data-relative ones count from.
    /// Indirect ones fail: none of those that unwinding needs is.
    [[nodiscard]] constexpr std::uint64_t pointer(std::uint8_t encoding, std::uint64_t data = 0) noexcept
    {
        auto const start = here();
        std::uint64_t value = 0;
        switch (encoding & 0x0f) {
        case 0x00: case 0x04: case 0x0c: value = u64(); break;
        case 0x01: value = uleb(); break;
        case 0x02: value = u16(); break;
        case 0x03: value = u32(); break;
        case 0x09: value = static_cast<std::uint64_t>(sleb()); break;
        case 0x0a: value = static_cast<std::uint64_t>(std::int64_t{static_cast<std::int16_t>(u16())}); break;
        case 0x0b: value = static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(u32())}); break;
        default: ok_ = false;
        }
        switch (encoding & 0xf0) {
        case 0x00: break;
        case 0x10: value += start; break;
        case 0x30: value += data; break;
        default: ok_ = false;
        }
        return ok_ ? value : 0;
    }

private:
    std::string_view bytes_;
    std::uint64_t where_ = 0;
    std::size_t at_ = 0;
    bool ok_ = true;
};

/// How to find one register of the caller.
struct register_rule {
    enum class kind : std::uint8_t {
        unchanged,      ///< no rule: the ABI says whether the register survives a call
        undefined,      ///< lost; of the return address: there is no caller
        same_value,
        at_cfa,         ///< saved at CFA + `value`
        is_cfa,         ///< its value is CFA + `value`
        in_register,    ///< in register number `value`
        at_expression,  ///< saved at what the expression gives
        is_expression   ///< its value is what the expression gives
    };

    kind how = kind::unchanged;
    std::uint16_t size = 0;  ///< bytes of the expression
    std::int32_t value = 0;  ///< offset, register, or the expression's distance from `cfi_row::expressions`

    friend constexpr bool operator==(register_rule, register_rule) noexcept = default;
};

/// The rules that hold at one pc.
struct cfi_row {
    register_rule rules[register_count]{};
    register_rule cfa{};               ///< is_cfa: register `cfa_register` + value; is_expression
    register_number cfa_register = 0;
    register_number return_address = 0;
    bool signal_frame = false;         ///< the caller was interrupted, it made no call: its pc is exact
    bool return_address_signed = false; ///< aarch64: the saved return address carries a pointer authentication code
    std::uint64_t begin = 0;           ///< first address (at link time) of the function
    std::uint64_t end = 0;
    std::uint64_t expressions = 0;     ///< address (at link time) that expressions are found relative to
};

/// A Common Information Entry: what the functions that refer to it share.
struct cie {
    std::uint64_t code_align = 1;
    std::int64_t data_align = 1;
    std::uint64_t return_address = 0;
    std::uint8_t pointer_encoding = 0;
    bool has_augmentation_data = false;
    bool signal_frame = false;
    std::string_view instructions;
    std::uint64_t instructions_at = 0;  ///< address of their first byte

    /// What stands where an FDE refers to its CIE.
    [[nodiscard]] static constexpr std::uint32_t mark(bool in_debug_frame) noexcept { return in_debug_frame ? 0xffffffff : 0; }

    /// \p bytes are those after the entry's length, \p where the address of their first.
    [[nodiscard]] static constexpr bool parse(std::string_view bytes, std::uint64_t where, cie& out, bool in_debug_frame = false) noexcept
    {
        byte_cursor in{bytes, where};
        if (in.u32() != mark(in_debug_frame)) return false; // not a CIE
        auto const version = in.u8();
        if (version != 1 && version != 3 && version != 4) return false;
        auto augmentation = in.c_string();
        if (augmentation.starts_with("eh")) { (void)in.u64(); augmentation.remove_prefix(2); } // GCC 2
        if (version == 4 && (in.u8() != 8 || in.u8() != 0)) return false;
        out = {};
        out.code_align = in.uleb();
        out.data_align = in.sleb();
        out.return_address = version == 1 ? in.u8() : in.uleb();
        if (augmentation.starts_with('z')) {
            out.has_augmentation_data = true;
            auto const size = in.uleb();
            auto const at = in.here();
            byte_cursor data{in.take(size), at};
            for (char const letter : augmentation.substr(1)) {
                if (letter == 'R') out.pointer_encoding = data.u8();
                else if (letter == 'L') (void)data.u8();
                else if (letter == 'P') {
                    auto const encoding = data.u8();
                    (void)data.pointer(static_cast<std::uint8_t>(encoding & 0x7f));
                } else if (letter == 'S') out.signal_frame = true;
                else if (letter != 'B' && letter != 'G') break; // these two have no data; of others the size tells the end
            }
            if (!data.ok()) return false;
        } else if (!augmentation.empty()) {
            return false; // nobody knows its size
        }
        out.instructions_at = in.here();
        out.instructions = in.rest();
        return in.ok() && out.return_address < register_count;
    }
};

/// A Frame Description Entry: one function, or a part of one.
struct fde {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::string_view instructions;
    std::uint64_t instructions_at = 0;

    [[nodiscard]] constexpr bool contains(std::uint64_t pc) const noexcept { return begin <= pc && pc < end; }

    /// \p bytes are those after the entry's length, \p where the address of their first.
    [[nodiscard]] static constexpr bool parse(std::string_view bytes, std::uint64_t where, cie const& shared, fde& out,
                                              bool in_debug_frame = false) noexcept
    {
        byte_cursor in{bytes, where};
        if (in.u32() == cie::mark(in_debug_frame)) return false; // a CIE
        out.begin = in.pointer(shared.pointer_encoding);
        out.end = out.begin + in.pointer(shared.pointer_encoding & 0x0f);
        if (shared.has_augmentation_data) (void)in.take(in.uleb());
        out.instructions_at = in.here();
        out.instructions = in.rest();
        return in.ok() && out.end >= out.begin;
    }
};

namespace detail {

/// Runs call frame instructions up to a pc.
class cfi_machine {
public:
    constexpr cfi_machine(cie const& shared, std::uint64_t pc, cfi_row& row) noexcept : cie_{shared}, pc_{pc}, row_{row} {}

    /// \p initial is what DW_CFA_restore goes back to; null while the CIE's own instructions run.
    [[nodiscard]] constexpr bool run(std::string_view instructions, std::uint64_t where, std::uint64_t location,
                                     cfi_row const* initial) noexcept
    {
        byte_cursor in{instructions, where};
        std::size_t depth = 0;
        while (!in.at_end()) {
            auto const op = in.u8();
            auto const operand = static_cast<std::uint8_t>(op & 0x3f);
            auto advance = std::uint64_t{0};
            switch (op & 0xc0) {
            case 0x40: advance = operand * cie_.code_align; break;
            case 0x80: set(operand, register_rule::kind::at_cfa, factored(in.uleb())); break;
            case 0xc0: restore(operand, initial); break;
            default:
                switch (op) {
                case 0x00: break;                                             // nop
                case 0x01: {                                                  // set_loc
                    auto const to = in.pointer(cie_.pointer_encoding);
                    if (to < location) return false;
                    advance = to - location;
                    break;
                }
                case 0x02: advance = in.u8() * cie_.code_align; break;        // advance_loc1
                case 0x03: advance = in.u16() * cie_.code_align; break;       // advance_loc2
                case 0x04: advance = in.u32() * cie_.code_align; break;       // advance_loc4
                case 0x1d: advance = in.u64() * cie_.code_align; break;       // MIPS_advance_loc8
                case 0x05: { auto const r = in.uleb(); set(r, register_rule::kind::at_cfa, factored(in.uleb())); break; }
                case 0x06: restore(in.uleb(), initial); break;
                case 0x07: set(in.uleb(), register_rule::kind::undefined, 0); break;
                case 0x08: set(in.uleb(), register_rule::kind::same_value, 0); break;
                case 0x09: { auto const r = in.uleb(); set(r, register_rule::kind::in_register, as_signed(in.uleb())); break; }
                case 0x0a:                                                    // remember_state
                    if (depth == remembered_limit) return false;
                    remember(saved_[depth++]);
                    break;
                case 0x0b:                                                    // restore_state
                    if (depth == 0) return false;
                    recall(saved_[--depth]);
                    break;
                case 0x0c: { auto const r = in.uleb(); define_cfa(r, as_signed(in.uleb()), in); break; }
                case 0x0d: define_cfa(in.uleb(), std::int64_t{row_.cfa.value}, in); break;
                case 0x0e: define_cfa(row_.cfa_register, static_cast<std::int64_t>(in.uleb()), in); break;
                case 0x0f: row_.cfa = expression(in, register_rule::kind::is_expression); break;
                case 0x10: { auto const r = in.uleb(); put(r, expression(in, register_rule::kind::at_expression)); break; }
                case 0x11: { auto const r = in.uleb(); set(r, register_rule::kind::at_cfa, signed_factored(in.sleb())); break; }
                case 0x12: { auto const r = in.uleb(); define_cfa(r, signed_factored(in.sleb()), in); break; }
                case 0x13: define_cfa(row_.cfa_register, signed_factored(in.sleb()), in); break;
                case 0x14: { auto const r = in.uleb(); set(r, register_rule::kind::is_cfa, factored(in.uleb())); break; }
                case 0x15: { auto const r = in.uleb(); set(r, register_rule::kind::is_cfa, signed_factored(in.sleb())); break; }
                case 0x16: { auto const r = in.uleb(); put(r, expression(in, register_rule::kind::is_expression)); break; }
                case 0x2c: case 0x2d:                                         // AARCH64_negate_ra_state_with_pc, …_ra_state
                    row_.return_address_signed = !row_.return_address_signed;
                    break;
                case 0x2e: (void)in.uleb(); break;                            // GNU_args_size
                case 0x2f: { auto const r = in.uleb(); set(r, register_rule::kind::at_cfa, factored(0 - in.uleb())); break; }
                default: return false; // its operands, and so what follows, are unknown
                }
            }
            if (!ok_ || !in.ok()) return false;
            if (advance != 0) {
                if (pc_ - location < advance) return true; // the next row is for a later pc
                location += advance;
            }
        }
        return in.ok();
    }

private:
    static constexpr std::size_t remembered_limit = 6;

    /// What remember_state keeps: everything that instructions can change.
    struct state {
        register_rule rules[register_count];
        register_rule cfa;
        register_number cfa_register = 0;
        bool return_address_signed = false;
    };
    constexpr void remember(state& s) const noexcept
    {
        for (std::size_t i = 0; i < register_count; ++i) s.rules[i] = row_.rules[i];
        s.cfa = row_.cfa;
        s.cfa_register = row_.cfa_register;
        s.return_address_signed = row_.return_address_signed;
    }
    constexpr void recall(state const& s) noexcept
    {
        for (std::size_t i = 0; i < register_count; ++i) row_.rules[i] = s.rules[i];
        row_.cfa = s.cfa;
        row_.cfa_register = s.cfa_register;
        row_.return_address_signed = s.return_address_signed;
    }

    [[nodiscard]] constexpr std::int64_t factored(std::uint64_t n) const noexcept
    {
        return static_cast<std::int64_t>(n * static_cast<std::uint64_t>(cie_.data_align));
    }
    [[nodiscard]] constexpr std::int64_t signed_factored(std::int64_t n) const noexcept { return factored(static_cast<std::uint64_t>(n)); }
    [[nodiscard]] static constexpr std::int64_t as_signed(std::uint64_t n) noexcept { return static_cast<std::int64_t>(n); }
    constexpr void put(std::uint64_t r, register_rule rule) noexcept
    {
        if (r < register_count) row_.rules[r] = rule; // others are vector registers and the like: they restore no frame
    }
    constexpr void set(std::uint64_t r, register_rule::kind how, std::int64_t value) noexcept
    {
        if (value != static_cast<std::int32_t>(value)) { ok_ = r >= register_count && ok_; return; }
        put(r, {how, 0, static_cast<std::int32_t>(value)});
    }
    constexpr void restore(std::uint64_t r, cfi_row const* initial) noexcept
    {
        if (initial == nullptr) ok_ = false;
        else if (r < register_count) put(r, initial->rules[r]);
    }
    constexpr void define_cfa(std::uint64_t r, std::int64_t offset, byte_cursor& in) noexcept
    {
        if (r >= register_count || offset != static_cast<std::int32_t>(offset)) { in.fail(); return; }
        row_.cfa = {register_rule::kind::is_cfa, 0, static_cast<std::int32_t>(offset)};
        row_.cfa_register = static_cast<register_number>(r);
    }
    [[nodiscard]] constexpr register_rule expression(byte_cursor& in, register_rule::kind how) const noexcept
    {
        auto const size = in.uleb();
        auto const distance = static_cast<std::int64_t>(in.here() - row_.expressions);
        (void)in.take(size);
        if (size > UINT16_MAX || distance != static_cast<std::int32_t>(distance)) in.fail();
        return {how, static_cast<std::uint16_t>(size), static_cast<std::int32_t>(distance)};
    }

    cie const& cie_;
    std::uint64_t pc_;
    cfi_row& row_;
    bool ok_ = true;
    state saved_[remembered_limit]{};
};

} // namespace detail

/// The row of \p function that holds at \p pc (an address at link time). False if the instructions are malformed.
/// Uses about 2 KiB of stack.
[[nodiscard]] constexpr bool find_row(cie const& shared, fde const& function, std::uint64_t pc, cfi_row& out) noexcept
{
    if (!function.contains(pc)) return false;
    out = cfi_row{};
    out.return_address = static_cast<register_number>(shared.return_address);
    out.signal_frame = shared.signal_frame;
    out.begin = function.begin;
    out.end = function.end;
    out.expressions = function.instructions_at;
    detail::cfi_machine run{shared, pc, out};
    if (!run.run(shared.instructions, shared.instructions_at, pc, nullptr)) return false;
    auto const initial = out;
    return run.run(function.instructions, function.instructions_at, function.begin, &initial);
}

/// Steps after which an expression is given up: real ones have fewer than 30, but may hold loops.
inline constexpr unsigned expression_step_limit = 4096;

/// What an expression gave.
struct expression_value {
    cfi_status status = cfi_status::ok;
    register_number missing = 0;  ///< the register that `missing_register` means
    std::uint64_t value = 0;      ///< for `unreadable` the address
};

/// Evaluates a DWARF expression as call frame instructions use them. \p start is on the stack at first, unless \p has_start is false.
/// \p read is `bool(std::uint64_t address, std::size_t size, std::uint64_t& value)`.
template <class Read>
[[nodiscard]] constexpr expression_value evaluate(std::string_view expression, registers const& regs, bool has_start, std::uint64_t start,
                                                  Read&& read, std::uint64_t bias = 0) noexcept
{
    constexpr std::size_t limit = 64;
    std::uint64_t stack[limit]{};
    std::size_t size = 0;
    if (has_start) stack[size++] = start;
    expression_value const malformed{cfi_status::malformed, 0, 0};

    byte_cursor in{expression};
    for (unsigned steps = 0; !in.at_end(); ++steps) {
        if (steps == expression_step_limit) return malformed;
        auto const op = in.u8();
        auto const needs = [op]() -> std::size_t {
            for (auto const one : {0x06, 0x12, 0x13, 0x19, 0x1f, 0x20, 0x23, 0x28, 0x94})
                if (op == one) return 1;
            if (op == 0x14 || op == 0x16 || (op >= 0x1a && op <= 0x27) || (op >= 0x29 && op <= 0x2e)) return 2;
            return op == 0x17 ? 3 : 0;
        }();
        if (size < needs) return malformed;
        auto push = [&](std::uint64_t v) {
            if (size == limit) in.fail();
            else stack[size++] = v;
        };
        auto* const top = &stack[size == 0 ? 0 : size - 1];
        auto* const below = &stack[size < 2 ? 0 : size - 2];
        auto const as_signed = [](std::uint64_t v) { return static_cast<std::int64_t>(v); };
        auto binary = [&](std::uint64_t v) { *below = v; --size; };
        auto jump = [&](std::int16_t by) {
            auto const to = static_cast<std::int64_t>(in.position()) + by;
            if (to < 0 || to > static_cast<std::int64_t>(expression.size())) { in.fail(); return; }
            in = byte_cursor{expression};
            (void)in.take(static_cast<std::uint64_t>(to));
        };

        if (op >= 0x30 && op <= 0x4f) { push(op - 0x30u); }
        else if ((op >= 0x70 && op <= 0x8f) || op == 0x92) {
            auto const number = op == 0x92 ? in.uleb() : op - 0x70u;
            auto const offset = in.sleb();
            if (number >= register_count) return malformed;
            auto const r = static_cast<register_number>(number);
            if (!regs.has(r)) return {cfi_status::missing_register, r, 0};
            push(regs[r] + static_cast<std::uint64_t>(offset));
        } else {
            switch (op) {
            case 0x03: push(in.u64() + bias); break;                                                      // addr
            case 0x06: case 0x94: {                                                                       // deref, deref_size
                std::size_t const bytes = op == 0x06 ? 8 : in.u8();
                if (bytes == 0 || bytes > 8) return malformed;
                auto const at = *top;
                if (!read(at, bytes, *top)) return {cfi_status::unreadable, 0, at};
                break;
            }
            case 0x08: push(in.u8()); break;
            case 0x09: push(static_cast<std::uint64_t>(std::int64_t{static_cast<std::int8_t>(in.u8())})); break;
            case 0x0a: push(in.u16()); break;
            case 0x0b: push(static_cast<std::uint64_t>(std::int64_t{static_cast<std::int16_t>(in.u16())})); break;
            case 0x0c: push(in.u32()); break;
            case 0x0d: push(static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(in.u32())})); break;
            case 0x0e: case 0x0f: push(in.u64()); break;
            case 0x10: push(in.uleb()); break;
            case 0x11: push(static_cast<std::uint64_t>(in.sleb())); break;
            case 0x12: push(*top); break;                                                                 // dup
            case 0x13: --size; break;                                                                     // drop
            case 0x14: push(*below); break;                                                               // over
            case 0x15: {                                                                                  // pick
                std::size_t const n = in.u8();
                if (n >= size) return malformed;
                push(stack[size - 1 - n]);
                break;
            }
            case 0x16: { auto const t = *top; *top = *below; *below = t; break; }                         // swap
            case 0x17: {                                                                                  // rot
                auto const t = stack[size - 1];
                stack[size - 1] = stack[size - 2];
                stack[size - 2] = stack[size - 3];
                stack[size - 3] = t;
                break;
            }
            case 0x19: if (as_signed(*top) < 0) *top = 0 - *top; break;                                   // abs
            case 0x1a: binary(*below & *top); break;
            case 0x1b:                                                                                    // div
                if (*top == 0 || (*below == std::uint64_t{1} << 63 && *top == UINT64_MAX)) return malformed;
                binary(static_cast<std::uint64_t>(as_signed(*below) / as_signed(*top)));
                break;
            case 0x1c: binary(*below - *top); break;
            case 0x1d: if (*top == 0) return malformed; binary(*below % *top); break;                     // mod
            case 0x1e: binary(*below * *top); break;
            case 0x1f: *top = 0 - *top; break;                                                            // neg
            case 0x20: *top = ~*top; break;
            case 0x21: binary(*below | *top); break;
            case 0x22: binary(*below + *top); break;
            case 0x23: *top += in.uleb(); break;                                                          // plus_uconst
            case 0x24: binary(*top < 64 ? *below << *top : 0); break;
            case 0x25: binary(*top < 64 ? *below >> *top : 0); break;
            case 0x26: binary(static_cast<std::uint64_t>(as_signed(*below) >> (*top < 64 ? *top : 63))); break;
            case 0x27: binary(*below ^ *top); break;
            case 0x28: {                                                                                  // bra
                auto const by = static_cast<std::int16_t>(in.u16());
                if (stack[--size] != 0) jump(by);
                break;
            }
            case 0x29: binary(*below == *top); break;
            case 0x2a: binary(as_signed(*below) >= as_signed(*top)); break;
            case 0x2b: binary(as_signed(*below) > as_signed(*top)); break;
            case 0x2c: binary(as_signed(*below) <= as_signed(*top)); break;
            case 0x2d: binary(as_signed(*below) < as_signed(*top)); break;
            case 0x2e: binary(*below != *top); break;
            case 0x2f: jump(static_cast<std::int16_t>(in.u16())); break;                                  // skip
            case 0x96: break;                                                                             // nop
            default: return malformed; // locations, calls and pieces: no address comes of them
            }
        }
        if (!in.ok()) return malformed;
    }
    if (!in.ok() || size == 0) return malformed;
    return {cfi_status::ok, 0, stack[size - 1]};
}

/// What stepping to the caller gave.
struct step_result {
    cfi_status status = cfi_status::ok;
    register_number missing = 0;   ///< which register `missing_register` means
    std::uint64_t at = 0;          ///< which address `unreadable` means
    bool is_root = false;          ///< the row says that there is no caller
    std::uint64_t cfa = 0;
};

/// A return address on aarch64 without its pointer authentication code, which fills the bits above those that addresses have.
[[nodiscard]] constexpr std::uint64_t without_pac(std::uint64_t pc, unsigned address_bits) noexcept
{
    return address_bits >= 64 ? pc : pc & ((std::uint64_t{1} << address_bits) - 1);
}

/// Applies \p row to \p regs: they become the caller's. \p read as for `evaluate`; \p expression is
/// `std::string_view(register_rule)`, the bytes of an expression, empty when they cannot be had. \p bias is what the image was moved
/// by; \p address_bits is how many bits a user address has (aarch64: 39, 48 or 52).
template <class Read, class Expression>
[[nodiscard]] constexpr step_result step(cfi_row const& row, registers& regs, Read&& read, Expression&& expression,
                                         std::uint64_t bias = 0, unsigned address_bits = 48) noexcept
{
    step_result out;
    auto fail = [&](expression_value const& v) {
        out.status = v.status;
        out.missing = v.missing;
        out.at = v.value;
        return out;
    };
    auto const traits = regs.traits();
    if (row.cfa.how == register_rule::kind::is_cfa) {
        if (!regs.has(row.cfa_register)) return fail({cfi_status::missing_register, row.cfa_register, 0});
        out.cfa = regs[row.cfa_register] + static_cast<std::uint64_t>(std::int64_t{row.cfa.value});
    } else if (row.cfa.how == register_rule::kind::is_expression) {
        auto const v = evaluate(expression(row.cfa), regs, false, 0, read, bias);
        if (v.status != cfi_status::ok) return fail(v);
        out.cfa = v.value;
    } else {
        return fail({cfi_status::malformed, 0, 0});
    }

    auto const ra = row.return_address;
    if (row.rules[ra].how == register_rule::kind::undefined) {
        out.is_root = true;
        return out;
    }
    registers caller{regs.isa()};
    for (register_number r = 0; r < register_count; ++r) {
        auto const rule = row.rules[r];
        auto const offset = static_cast<std::uint64_t>(std::int64_t{rule.value});
        auto restored = expression_value{};
        switch (rule.how) {
        case register_rule::kind::unchanged:
            // A leaf on aarch64 leaves the return address in LR without a word.
            if (!regs.has(r)) continue;
            if (row.signal_frame || (traits.callee_saved >> r & 1) != 0 || r == traits.fp || r == ra) caller.set(r, regs[r]);
            continue;
        case register_rule::kind::undefined: continue;
        case register_rule::kind::same_value:
            if (regs.has(r)) caller.set(r, regs[r]);
            continue;
        case register_rule::kind::in_register:
            if (rule.value >= 0 && rule.value < register_count && regs.has(static_cast<register_number>(rule.value)))
                caller.set(r, regs[static_cast<register_number>(rule.value)]);
            continue;
        case register_rule::kind::is_cfa: restored.value = out.cfa + offset; break;
        case register_rule::kind::at_cfa:
            if (!read(out.cfa + offset, 8, restored.value)) restored = {cfi_status::unreadable, 0, out.cfa + offset};
            break;
        case register_rule::kind::at_expression:
        case register_rule::kind::is_expression:
            restored = evaluate(expression(rule), regs, true, out.cfa, read, bias);
            if (restored.status == cfi_status::ok && rule.how == register_rule::kind::at_expression) {
                auto const at = restored.value;
                if (!read(at, 8, restored.value)) restored = {cfi_status::unreadable, 0, at};
            }
            break;
        }
        if (restored.status == cfi_status::ok) caller.set(r, restored.value);
        else if (restored.status == cfi_status::malformed || r == ra) return fail(restored); // a lost register may never be needed
    }
    if (!caller.has(ra)) return fail({cfi_status::missing_register, ra, 0});
    if (row.rules[traits.sp].how == register_rule::kind::unchanged) caller.set(traits.sp, out.cfa);
    if (!caller.has(traits.sp)) return fail({cfi_status::missing_register, traits.sp, 0});
    auto pc = caller[ra];
    if (regs.isa() == machine::aarch64) {
        // Compilers toggle the state; the column RA_SIGN_STATE (34) is for those who write it out.
        bool const is_signed = row.return_address_signed || (row.rules[34].how != register_rule::kind::unchanged && (caller[34] & 1) != 0);
        if (is_signed) pc = without_pac(pc, address_bits);
        if (!row.signal_frame) caller.forget(traits.return_address); // the call to this function overwrote it
    }
    caller.set(traits.pc, pc);
    regs = caller;
    return out;
}

} // namespace taskpeek::stack
