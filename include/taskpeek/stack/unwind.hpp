// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// From a captured thread to its chain of calls, innermost first, with a word on how each frame was found and why the chain ends.

#include <taskpeek/io/path.hpp>
#include <taskpeek/stack/capture.hpp>
#include <taskpeek/stack/cfi.hpp>
#include <taskpeek/stack/elf_image.hpp>
#include <taskpeek/stack/mapping_table.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>

namespace taskpeek::stack {

/// How a frame was found.
enum class frame_quality : std::uint8_t {
    exact,         ///< by the kernel, or by call frame information from exact values
    inferred,      ///< by searching the stack for the one return address that fits, and checking it
    frame_pointer  ///< by the chain of frame pointers, where code has no call frame information
};

[[nodiscard]] constexpr std::string_view name_of(frame_quality q) noexcept
{
    switch (q) {
    case frame_quality::exact: return "exact";
    case frame_quality::inferred: return "inferred";
    case frame_quality::frame_pointer: return "frame_pointer";
    }
    return "";
}

/// One call.
struct frame {
    address pc;                   ///< of a caller: the return address
    address sp;                   ///< the stack pointer in this frame, as it is at `pc`
    frame_quality quality = frame_quality::exact;
    bool is_return = false;       ///< `pc` is where a call returns to, so the call itself is before it
    bool signal_frame = false;    ///< the kernel's trampoline: the next frame was interrupted by a signal

    /// An address inside the instruction that is executing: what to look symbols up by.
    [[nodiscard]] constexpr address lookup_pc() const noexcept { return address{pc.value - (is_return ? 1 : 0)}; }

    friend constexpr bool operator==(frame const&, frame const&) noexcept = default;
};

/// Why a chain of calls ends.
enum class stack_end : std::uint8_t {
    complete,          ///< the outermost frame says that nobody called it
    not_captured,      ///< there was nothing to unwind: see the capture's outcome
    copy_too_short,    ///< the stack goes on behind the memory that was lent to the capture
    unreadable,        ///< a frame lies where the copy does not reach: another stack, or unmapped memory
    no_cfi,            ///< no call frame information at the last pc, and no frame pointer to go by
    malformed_cfi,
    missing_register,  ///< a register is needed that no_stop does not tell, and what the stack tells leaves a doubt
    no_code,           ///< the last return address, or where the thread is, holds nothing executable
    loop,              ///< the next frame would not be further up
    too_many_frames,   ///< the memory lent for frames is full
    unsupported        ///< another machine's code: i386, x32
};

/// The word for people and scripts.
[[nodiscard]] constexpr std::string_view name_of(stack_end end) noexcept
{
    switch (end) {
    case stack_end::complete: return "complete";
    case stack_end::not_captured: return "not_captured";
    case stack_end::copy_too_short: return "copy_too_short";
    case stack_end::unreadable: return "unreadable";
    case stack_end::no_cfi: return "no_cfi";
    case stack_end::malformed_cfi: return "malformed_cfi";
    case stack_end::missing_register: return "missing_register";
    case stack_end::no_code: return "no_code";
    case stack_end::loop: return "loop";
    case stack_end::too_many_frames: return "too_many_frames";
    case stack_end::unsupported: return "unsupported";
    }
    return "";
}

/// What unwinding gave.
/// Lifetime: `frames` is a view into the memory that was lent.
struct unwound {
    std::span<frame const> frames;
    stack_end end = stack_end::not_captured;
    address missing;  ///< of `unreadable` and `copy_too_short`: the address that could not be read

    [[nodiscard]] bool is_complete() const noexcept { return end == stack_end::complete; }
};

/// An ELF file (or the vdso) mapped into a process.
struct module {
    mapping const* key = nullptr;  ///< the executable vma
    std::uint64_t bias = 0;        ///< what addresses at link time were moved by
    bool usable = false;           ///< could be opened and is an ELF image that we know
    bool from_memory = false;      ///< no file could be had: read out of the process
    bool foreign = false;          ///< an ELF image of another machine
    image elf;
    io::descriptor file;
};

/// Opens the files that a process has mapped, as the process sees them; checks that they are the ones.
/// Lifetime: borrows the table and the directory's descriptor.
class module_opener {
public:
    module_opener() noexcept = default;
    /// \p directory is `/proc/<tgid>` opened, or -1 for a capture from elsewhere: its files are then looked for below `/` by path.
    module_opener(mapping_table const& maps, tgid process, int directory) noexcept
        : maps_{&maps}, process_{process}, directory_{directory}
    {
    }

    /// Gives the vdso's image where there is no process to read it from. Lifetime: borrows the bytes.
    void lend_vdso(std::string_view bytes) noexcept { vdso_ = bytes; }

    [[nodiscard]] tgid process() const noexcept { return process_; }
    [[nodiscard]] bool is_live() const noexcept { return directory_ >= 0; }
    [[nodiscard]] mapping_table const& maps() const noexcept { return *maps_; }

    /// A root directory to resolve the target's paths in; AT_FDCWD if there is none.
    [[nodiscard]] int root() noexcept
    {
        if (!root_.is_open() && !root_tried_) {
            root_tried_ = true;
            auto const fd = directory_ < 0 ? io::open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY)
                                           : io::open_at(directory_, "root", O_PATH | O_DIRECTORY);
            if (fd.ok()) root_ = io::descriptor{static_cast<int>(fd.value())};
        }
        return root_.is_open() ? root_.get() : AT_FDCWD;
    }

    /// Fills \p m for the vma \p key.
    void open(module& m, mapping const& key) noexcept
    {
        m.key = &key;
        m.usable = m.from_memory = m.foreign = false;
        m.file.reset();
        auto const path = maps_->path(key);
        if (key.inode != 0 && path.starts_with('/') && path.size() < sizeof path_) {
            if (open_by_path(m, key, path) || open_by_mapping(m, key)) {
                m.usable = place(m, key);
                if (m.usable) return;
            }
            m.foreign = m.elf.is_foreign();
        }
        m.file.reset();
        open_memory(m, key);
    }

private:
    [[nodiscard]] bool open_by_path(module& m, mapping const& key, std::string_view path) noexcept
    {
        __builtin_memcpy(path_, path.data(), path.size());
        path_[path.size()] = '\0';
        auto const below = root();
        if (below == AT_FDCWD) return false;
        auto opened = open_inside(below, path_);
        if (!opened || !is_mapped_file(opened.value().get(), key)) return false;
        m.file = static_cast<io::descriptor&&>(opened.value());
        return m.elf.open(byte_source::file(m.file.get()));
    }

    /// `map_files/<start>-<end>`: the very file, deleted or not; for the privileged.
    [[nodiscard]] bool open_by_mapping(module& m, mapping const& key) const noexcept
    {
        if (directory_ < 0) return false;
        char name[64] = "map_files/";
        std::size_t size = 10;
        auto hex = [&](std::uint64_t v) {
            unsigned digits = 1;
            while (digits < 16 && v >> 4 * digits != 0) ++digits;
            while (digits-- > 0) name[size++] = "0123456789abcdef"[v >> 4 * digits & 15];
        };
        hex(key.start.value);
        name[size++] = '-';
        hex(key.end.value);
        name[size] = '\0';
        struct stat status;
        auto const fd = io::open_at(directory_, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (!fd.ok()) return false;
        m.file = io::descriptor{static_cast<int>(fd.value())};
        if (::fstat(m.file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
        return m.elf.open(byte_source::file(m.file.get()));
    }

    void open_memory(module& m, mapping const& key) noexcept
    {
        auto const* const head = maps_->head(key);
        auto const start = head != nullptr ? head->start : key.start;
        if (directory_ >= 0) m.from_memory = m.elf.open(byte_source::memory(process_), start.value);
        else if (vdso_.empty() || maps_->path(key) != "[vdso]" || !m.elf.open(byte_source::copy(vdso_))) return;
        m.foreign = m.foreign || m.elf.is_foreign();
        m.usable = (directory_ < 0 || m.from_memory) && place(m, key);
    }

    [[nodiscard]] static bool place(module& m, mapping const& key) noexcept
    {
        std::uint64_t vaddr = 0;
        if (!m.elf.address_of(key.offset.count, vaddr)) return false;
        m.bias = key.start.value - vaddr;
        m.foreign = m.elf.is_foreign();
        return true;
    }

    /// The file's device and inode are those of the vma; on file systems that show another device to stat(2) its build-id must be
    /// the one that is mapped.
    [[nodiscard]] bool is_mapped_file(int fd, mapping const& key) const noexcept
    {
        struct stat status;
        if (::fstat(fd, &status) != 0) return false;
        if (directory_ < 0) { // a capture from elsewhere
            if (key.fingerprint == 0) return true; // nothing to compare with
            image found;
            return found.open(byte_source::file(fd)) && found.fingerprint() == key.fingerprint;
        }
        if (status.st_ino != key.inode) return false;
        if (major_of(status.st_dev) == key.dev.major && minor_of(status.st_dev) == key.dev.minor) return true;
        auto const* const head = maps_->head(key);
        if (head == nullptr) return false;
        image mapped;
        image found;
        return mapped.open(byte_source::memory(process_), head->start.value) && found.open(byte_source::file(fd)) &&
               mapped.id().size != 0 && mapped.id() == found.id();
    }
    // As glibc's gnu_dev_major and gnu_dev_minor: <sys/sysmacros.h> would define macros of these names.
    [[nodiscard]] static std::uint32_t major_of(std::uint64_t dev) noexcept
    {
        return static_cast<std::uint32_t>((dev >> 8 & 0xfff) | (dev >> 32 & 0xfffff000u));
    }
    [[nodiscard]] static std::uint32_t minor_of(std::uint64_t dev) noexcept
    {
        return static_cast<std::uint32_t>((dev & 0xff) | (dev >> 12 & 0xffffff00u));
    }

    mapping_table const* maps_ = nullptr;
    tgid process_;
    int directory_ = -1;
    io::descriptor root_;
    bool root_tried_ = false;
    std::string_view vdso_;
    char path_[4096];
};

/// Unwinds captures of one process. What it learns of the process's code is kept for the next thread: files stay open, and the row
/// of call frame information for each pc is remembered.
/// Does not allocate: files and rows live in the memory lent, `typical_memory` bytes of which serve most processes; with less, files
/// are opened and rows looked up again. Uses up to 40 KiB of stack.
/// Lifetime: borrows the table, the directory's descriptor and the memory.
class unwinder {
public:
    static constexpr std::size_t typical_memory = std::size_t{512} * 1024;
    static constexpr std::size_t least_memory = std::size_t{8} * 1024;

    /// \p directory is the open `/proc/<tgid>` (process::directory()), or -1 for a capture from elsewhere.
    unwinder(mapping_table const& maps, tgid process, int directory, lent_buffer memory) noexcept : opener_{maps, process, directory}
    {
        // The stack is mapped near the top of what user addresses reach.
        if (!maps.all().empty()) address_bits_ = static_cast<unsigned>(std::bit_width(maps.all().back().end.value - 1));
        auto const misaligned = reinterpret_cast<std::uintptr_t>(memory.data()) % 16;
        auto const skip = misaligned == 0 ? 0 : 16 - misaligned;
        if (memory.size() < least_memory) return;
        auto* const at = memory.data() + skip;
        auto const size = memory.size() - skip;
        module_limit_ = size / 6 / sizeof(module);
        if (module_limit_ < 2) module_limit_ = 2;
        if (module_limit_ > 128) module_limit_ = 128;
        modules_ = reinterpret_cast<module*>(at);
        row_limit_ = (size - module_limit_ * sizeof(module)) / sizeof(known_row);
        rows_ = reinterpret_cast<known_row*>(at + module_limit_ * sizeof(module));
        for (std::size_t i = 0; i < row_limit_; ++i) rows_[i].key = nullptr;
    }
    unwinder(unwinder const&) = delete;
    unwinder& operator=(unwinder const&) = delete;
    ~unwinder()
    {
        for (std::size_t i = 0; i < module_count_; ++i) modules_[i].~module();
    }

    /// The chain of calls of \p of, written to \p into. Bounded by the size of \p into.
    [[nodiscard]] unwound unwind(thread_capture const& of, std::span<frame> into) noexcept
    {
        unwound out;
        if (of.outcome != capture_outcome::captured) return out;
        walk w{of, of.regs, false, frame_quality::exact, UINT64_MAX};
        std::size_t count = 0;
        auto const ended = run(w, into, count, true);
        out.frames = into.first(count);
        out.end = ended;
        out.missing = address{w.missing};
        return out;
    }

    /// The module at \p pc, or null. Lifetime: until another module is asked for or unwound through.
    [[nodiscard]] module const* module_at(address pc) noexcept
    {
        auto const* const m = opener_.maps().find(pc);
        return m == nullptr || !m->perms.execute ? nullptr : open_module(*m);
    }

    /// Gives the vdso's image where there is no process to read it from: `saved_captures::vdso`. Lifetime: borrows the bytes.
    void lend_vdso(std::string_view bytes) noexcept { opener_.lend_vdso(bytes); }

    [[nodiscard]] mapping_table const& maps() const noexcept { return opener_.maps(); }
    [[nodiscard]] module_opener& opener() noexcept { return opener_; }

private:
    /// What most rows say: the CFA from a register, the return address and some others from slots below it.
    struct plain_row {
        struct slot { register_number of; std::int32_t at; };
        static constexpr std::size_t most_slots = 8;
        bool is_plain = false;
        register_number cfa_register = 0;
        std::uint8_t count = 0;
        std::int32_t cfa_offset = 0;
        std::int32_t return_at = 0;
        slot slots[most_slots];

        void take(cfi_row const& row, register_number sp) noexcept
        {
            is_plain = row.cfa.how == register_rule::kind::is_cfa && !row.signal_frame && !row.return_address_signed &&
                       row.rules[row.return_address].how == register_rule::kind::at_cfa;
            cfa_register = row.cfa_register;
            cfa_offset = row.cfa.value;
            return_at = row.rules[row.return_address].value;
            count = 0;
            for (register_number r = 0; r < register_count && is_plain; ++r) {
                auto const rule = row.rules[r];
                if (r == row.return_address || rule.how == register_rule::kind::unchanged) continue;
                is_plain = rule.how == register_rule::kind::at_cfa && count < most_slots && r != sp;
                if (is_plain) slots[count++] = {r, rule.value};
            }
        }
    };

    /// A row and the pc that it is for.
    struct known_row {
        std::uint64_t pc;
        std::uint64_t bias;
        mapping const* key;
        cfi_status status;      ///< unreadable: there is no CFI at this pc
        plain_row plain;
        cfi_row row;
    };

    /// The state of one unwinding.
    struct walk {
        thread_capture const& of;
        registers regs;
        bool is_return;
        frame_quality quality;
        std::uint64_t missing;
        std::uint64_t function = 0;  ///< where the function of the last frame begins; 0 where that is not known
    };

    [[nodiscard]] module* open_module(mapping const& key) noexcept
    {
        for (std::size_t i = 0; i < module_count_; ++i)
            if (modules_[i].key == &key) return &modules_[i];
        if (modules_ == nullptr) return nullptr;
        module* m = nullptr;
        if (module_count_ < module_limit_) {
            m = ::new (static_cast<void*>(&modules_[module_count_++])) module;
        } else {
            m = &modules_[next_victim_];
            next_victim_ = (next_victim_ + 1) % module_limit_;
        }
        opener_.open(*m, key);
        return m;
    }

    [[nodiscard]] known_row const& row_at(std::uint64_t pc, bool& executable) noexcept
    {
        auto& slot = row_limit_ == 0 ? spare_ : rows_[(pc * 0x9e3779b97f4a7c15u >> 32) * row_limit_ >> 32];
        executable = true;
        if (slot.pc == pc && slot.key != nullptr) return slot;
        auto const* const key = opener_.maps().find(address{pc});
        if (key == nullptr || !key->perms.execute) { executable = false; return slot; }
        slot.pc = pc;
        slot.key = key;
        slot.bias = 0;
        slot.status = cfi_status::unreadable;
        slot.plain.is_plain = false;
        auto const* const m = open_module(*key);
        if (m == nullptr || !m->usable || m->foreign) return slot;
        slot.bias = m->bias;
        cie shared;
        fde function;
        alignas(8) char scratch[image::scratch_size];
        slot.status = m->elf.find_function(pc - m->bias, scratch, shared, function);
        if (slot.status == cfi_status::ok && !find_row(shared, function, pc - m->bias, slot.row)) slot.status = cfi_status::malformed;
        if (slot.status == cfi_status::ok) slot.plain.take(slot.row, traits_of(native_machine).sp);
        return slot;
    }

    /// One step outward by a plain row, as `step` makes it. False where that one must say why it cannot be made, or where it ends.
    [[nodiscard]] bool step_plainly(walk& w, known_row const& by) const noexcept
    {
        constexpr auto traits = traits_of(native_machine);
        constexpr auto survive = traits.callee_saved | std::uint64_t{1} << traits.fp;
        auto const& plain = by.plain;
        if (!w.regs.has(plain.cfa_register)) return false;
        auto const sp = w.regs[traits.sp];
        auto const cfa = w.regs[plain.cfa_register] + static_cast<std::uint64_t>(std::int64_t{plain.cfa_offset});
        std::uint64_t pc = 0;
        if (cfa <= sp || !w.of.read(cfa + static_cast<std::uint64_t>(std::int64_t{plain.return_at}), 8, pc) || pc == 0) return false;
        w.regs.keep(survive);
        for (std::size_t i = 0; i < plain.count; ++i) {
            std::uint64_t value = 0;
            auto const [r, at] = plain.slots[i];
            if (w.of.read(cfa + static_cast<std::uint64_t>(std::int64_t{at}), 8, value)) w.regs.set(r, value);
            else w.regs.forget(r);
        }
        w.regs.set(traits.sp, cfa);
        w.regs.set(traits.pc, pc);
        w.quality = frame_quality::exact;
        w.function = by.row.begin + by.bias;
        w.is_return = true;
        return true;
    }

    /// One step outward. \return complete while there is no reason to end.
    [[nodiscard]] stack_end advance(walk& w, bool may_infer, bool& is_root, bool& signal_frame) noexcept
    {
        is_root = signal_frame = false;
        auto const traits = w.regs.traits();
        auto const sp = w.regs.sp().value;
        auto const pc = w.regs.pc().value;
        bool executable = true;
        auto const& known = row_at(pc - (w.is_return ? 1 : 0), executable);
        if (!executable) return w.is_return ? stack_end::no_code : leave_no_code(w);
        // The kernel makes handlers "return" to where signals are returned from. Before that may stand anything.
        bool const is_behind = known.status == cfi_status::ok && known.row.end + known.bias == pc && !known.row.signal_frame;
        if (w.is_return && is_behind && is_sigreturn(pc)) {
            signal_frame = true;
            return leave_signal_frame(w);
        }
        auto const read = [&](std::uint64_t at, std::size_t size, std::uint64_t& value) { return w.of.read(at, size, value); };

        if (known.status != cfi_status::ok) {
            if (is_sigreturn(pc)) {
                signal_frame = true;
                return leave_signal_frame(w);
            }
            if (auto const* m = open_module(*known.key); m != nullptr && m->foreign) return stack_end::unsupported;
            if (known.status == cfi_status::malformed) return stack_end::malformed_cfi;
            w.function = 0;
            return leave_without_cfi(w, may_infer);
        }

        if (known.plain.is_plain && step_plainly(w, known)) return stack_end::complete;

        auto const row = known.row; // inferring looks up others, in the place of this one
        auto const bias = known.bias;
        auto const& key = *known.key;
        char text[512];
        auto const expression = [&](register_rule rule) -> std::string_view {
            auto const* const m = open_module(key);
            auto const at = row.expressions + static_cast<std::uint64_t>(std::int64_t{rule.value});
            if (m == nullptr || rule.size > sizeof text || m->elf.read(at, text, rule.size) != rule.size) return {};
            return {text, rule.size};
        };
        auto regs = w.regs;
        auto stepped = step(row, regs, read, expression, bias, address_bits_);
        w.quality = frame_quality::exact;
        if (stepped.status == cfi_status::missing_register && may_infer) {
            if (!infer(w, row, bias, stepped.missing)) return stack_end::missing_register;
            regs = w.regs;
            stepped = step(row, regs, read, expression, bias, address_bits_);
            w.quality = frame_quality::inferred;
        }
        switch (stepped.status) {
        case cfi_status::ok: break;
        case cfi_status::malformed: return stack_end::malformed_cfi;
        case cfi_status::missing_register: return stack_end::missing_register;
        case cfi_status::unreadable:
            w.missing = stepped.at;
            if (!w.of.copy_is_whole && stepped.at >= end_of_copy(w)) return stack_end::copy_too_short;
            return stack_end::unreadable;
        }
        if (stepped.is_root) { is_root = true; return stack_end::complete; }
        signal_frame = row.signal_frame;
        auto const next_pc = regs[traits.pc];
        auto const next_sp = regs[traits.sp];
        // On one stack callers are further up; a signal handler may have had a stack of its own.
        if (!row.signal_frame && (next_sp < sp || (next_sp == sp && next_pc == pc))) return stack_end::loop;
        if (next_pc == 0 && !row.signal_frame) { is_root = true; return stack_end::complete; } // else a jump to nowhere was interrupted
        w.function = row.begin + bias;
        w.regs = regs;
        w.is_return = !row.signal_frame;
        return stack_end::complete;
    }

    [[nodiscard]] stack_end run(walk& w, std::span<frame> into, std::size_t& count, bool may_infer) noexcept
    {
        auto quality = frame_quality::exact;
        for (unsigned signal_frames = 0;;) {
            if (count == into.size()) return stack_end::too_many_frames;
            auto const pc = w.regs.pc();
            // A return address that points at no code is no frame. (But a signal may have interrupted a jump to nowhere.)
            if (bool executable = true; w.is_return && ((void)row_at(pc.value - 1, executable), !executable)) return stack_end::no_code;
            auto& here = into[count++];
            here = {pc, w.regs.sp(), quality, w.is_return, false};
            bool is_root = false;
            bool signal_frame = false;
            auto const end = advance(w, may_infer, is_root, signal_frame);
            here.signal_frame = signal_frame;
            if (end != stack_end::complete || is_root) return end;
            if (signal_frame && ++signal_frames > 64) return stack_end::loop;
            quality = w.quality;
        }
    }

    /// `mov $15, %rax; syscall`, or `mov x8, #139; svc #0`: where signal handlers return to. C libraries do not always describe it.
    [[nodiscard]] bool is_sigreturn(std::uint64_t pc) noexcept
    {
        char code[9];
        if (!read_code(pc, code, sizeof code)) return false;
        std::string_view const c{code, sizeof code};
        if constexpr (native_machine == machine::x86_64)
            return c == std::string_view{"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", 9} ||
                   c.starts_with(std::string_view{"\xb8\x0f\x00\x00\x00\x0f\x05", 7});
        else
            return c.starts_with(std::string_view{"\x68\x11\x80\xd2\x01\x00\x00\xd4", 8});
    }

    /// Takes the interrupted registers from the frame that the kernel made (arch/{x86,arm64}/…/signal.c, struct rt_sigframe).
    [[nodiscard]] stack_end leave_signal_frame(walk& w) noexcept
    {
        registers interrupted{native_machine};
        auto const sp = w.regs.sp().value;
        auto take = [&](register_number r, std::uint64_t at) {
            std::uint64_t v = 0;
            if (!w.of.read(at, 8, v)) return false;
            interrupted.set(r, v);
            return true;
        };
        bool all = true;
        if constexpr (native_machine == machine::x86_64) {
            constexpr register_number order[] = {8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16};
            for (std::size_t i = 0; i < 17; ++i) all = take(order[i], sp + 40 + 8 * i) && all;
        } else {
            // siginfo (128 bytes), ucontext up to uc_mcontext (176), fault_address; then x0 … x30, sp, pc.
            for (register_number r = 0; r < 33; ++r) all = take(r, sp + 312 + std::uint64_t{8} * r) && all;
        }
        if (!all) { w.missing = sp; return stack_end::unreadable; }
        w.regs = interrupted;
        w.is_return = false;
        w.function = 0;
        w.quality = frame_quality::exact;
        return stack_end::complete;
    }

    /// The end of the copy of the stack that this frame is on; 0 if that was not copied.
    [[nodiscard]] static std::uint64_t end_of_copy(walk const& w) noexcept { return w.of.end_of_copy(w.regs.sp().value); }

    /// Out of where no code is, by way of the call that led there: through a null pointer, or one into freed memory.
    [[nodiscard]] stack_end leave_no_code(walk& w) noexcept
    {
        auto const traits = w.regs.traits();
        auto const sp = w.regs.sp().value;
        bool const by_register = native_machine == machine::aarch64;
        std::uint64_t ra = by_register ? without_pac(w.regs[traits.return_address], address_bits_) : 0;
        if (by_register ? !w.regs.has(traits.return_address) : !w.of.read(sp, 8, ra)) return stack_end::no_code;
        if (!opener_.maps().is_executable(address{ra - 1}) || call_before(ra, 0) != call_match::indirect) return stack_end::no_code;
        w.regs.set(traits.sp, sp + (by_register ? 0 : 8));
        w.regs.set(traits.pc, ra);
        w.regs.forget(traits.return_address == traits.pc ? register_count : traits.return_address);
        w.is_return = true;
        w.function = 0;
        w.quality = frame_quality::inferred;
        return stack_end::complete;
    }

    /// Out of code that has no call frame information.
    [[nodiscard]] stack_end leave_without_cfi(walk& w, bool may_infer) noexcept
    {
        auto const traits = w.regs.traits();
        auto const pc = w.regs.pc().value;
        auto const sp = w.regs.sp().value;
        bool const knows_fp = w.regs.has(traits.fp);
        w.quality = knows_fp ? frame_quality::frame_pointer : frame_quality::inferred;
        auto const enter = [&](std::uint64_t caller_pc, std::uint64_t caller_sp, bool has_fp, std::uint64_t fp) {
            registers caller{native_machine};
            if (has_fp) caller.set(traits.fp, fp);
            caller.set(traits.sp, caller_sp);
            caller.set(traits.pc, caller_pc);
            w.regs = caller;
            w.is_return = true;
            return stack_end::complete;
        };
        // The innermost function may have no frame yet, or no more, or none at all. Its code, or LR, tells.
        if (!w.is_return) {
            if constexpr (native_machine == machine::x86_64) {
                std::uint64_t saved_fp = 0;
                std::uint64_t ra = 0;
                auto const where = return_slot_by_code(pc);
                if (where >= 0 && w.of.read(sp + static_cast<std::uint64_t>(where), 8, ra) && call_into(ra, pc)) {
                    bool const has_fp = where == 0 ? knows_fp : w.of.read(sp, 8, saved_fp);
                    return enter(ra, sp + static_cast<std::uint64_t>(where) + 8, has_fp, where == 0 ? w.regs[traits.fp] : saved_fp);
                }
            } else if (w.regs.has(traits.return_address)) {
                auto const lr = without_pac(w.regs[traits.return_address], address_bits_);
                std::uint64_t saved = 0;
                bool const has_record = knows_fp && w.of.read(w.regs[traits.fp] + 8, 8, saved) && without_pac(saved, address_bits_) == lr;
                if (!has_record && call_into(lr, pc) && call_target(lr) != 0) return enter(lr, sp, knows_fp, w.regs[traits.fp]);
            }
        }
        // A frame record, as both ABIs lay it: the caller's frame pointer and the return address above it.
        std::uint64_t next_fp = 0;
        std::uint64_t next_pc = 0;
        auto const fits = [&](std::uint64_t at) {
            if (at < sp || at % 8 != 0 || !w.of.read(at, 8, next_fp) || !w.of.read(at + 8, 8, next_pc)) return false;
            if (native_machine == machine::aarch64) next_pc = without_pac(next_pc, address_bits_);
            return call_into(next_pc, pc);
        };
        if (knows_fp) {
            auto const fp = w.regs[traits.fp];
            return fits(fp) ? enter(next_pc, fp + 16, true, next_fp) : stack_end::no_cfi;
        }
        if (!may_infer) return stack_end::no_cfi;
        auto const end = end_of_copy(w);
        unsigned tried = 0;
        for (auto fp = (sp + 7) & ~std::uint64_t{7}; fp + 16 <= end && fp - sp < search_limit && tried < 32; fp += 8) {
            // With nothing to go by, only a call that names this code will do.
            if (!fits(fp) || next_fp <= fp || next_fp >= end || call_target(next_pc) == 0) continue;
            ++tried;
            walk probe{w.of, registers{native_machine}, true, frame_quality::exact, UINT64_MAX};
            probe.regs.set(traits.fp, next_fp);
            probe.regs.set(traits.sp, fp + 16);
            probe.regs.set(traits.pc, next_pc);
            if (leads_to_root(probe, strictness::doubts)) return enter(next_pc, fp + 16, true, next_fp);
        }
        return stack_end::no_cfi;
    }

    /// x86-64: where above sp the return address is, if the instruction at \p pc tells: `ret`, or the first ones of a function that
    /// makes a frame; -1 where it does not.
    [[nodiscard]] int return_slot_by_code(std::uint64_t pc) noexcept
    {
        char code[8];
        if (!read_code(pc, code, sizeof code)) return -1;
        std::string_view at{code, sizeof code};
        if (at.starts_with('\xc3') || at.starts_with('\xc2') || at.starts_with("\xf3\xc3")) return 0; // ret
        if (at.starts_with("\xf3\x0f\x1e\xfa")) at.remove_prefix(4);                               // endbr64
        if (at.starts_with("\x55\x48\x89\xe5") || at.starts_with("\x55\x48\x8b\xec")) return 0;   // push %rbp; mov %rsp,%rbp
        char before = 0;
        bool const is_mov = at.size() == sizeof code && (at.starts_with("\x48\x89\xe5") || at.starts_with("\x48\x8b\xec"));
        return is_mov && read_code(pc - 1, &before, 1) && before == '\x55' ? 8 : -1;
    }

    /// Where the direct call before a return address goes, through a stub of the PLT too; 0 if it is none.
    [[nodiscard]] std::uint64_t call_target(std::uint64_t ra) noexcept
    {
        char code[5];
        std::uint64_t target = 0;
        if constexpr (native_machine == machine::aarch64) {
            if (!read_code(ra - 4, code, 4)) return 0;
            auto const word = byte_cursor{{code, 4}}.u32();
            if (word >> 26 != 0x25) return 0;
            target = branch_target(ra - 4, word);
        } else {
            if (!read_code(ra - 5, code, 5) || code[0] != '\xe8') return 0;
            byte_cursor in{{code + 1, 4}};
            target = ra + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(in.u32())});
        }
        if (!opener_.maps().is_executable(address{target})) return 0;
        auto const through = through_plt(target);
        return through != 0 ? through : target;
    }

    /// Is \p ra behind a call that may have led to \p pc, which is in code without call frame information? One of a function that is
    /// described did not, unless that is one which jumped on.
    [[nodiscard]] bool call_into(std::uint64_t ra, std::uint64_t pc) noexcept
    {
        if (!opener_.maps().is_executable(address{ra - 1}) || call_before(ra, 0) == call_match::none) return false;
        auto const target = call_target(ra);
        if (target == 0) return true; // indirect
        auto const* const here = opener_.maps().find(address{pc});
        auto const* const there = opener_.maps().find(address{target});
        if (here == there) return target <= pc;
        bool executable = true;
        return row_at(target, executable).status != cfi_status::ok && executable;
    }

    static constexpr std::uint64_t search_limit = std::uint64_t{256} * 1024; ///< bytes of stack that inferring goes through

    [[nodiscard]] bool read_code(std::uint64_t at, char* into, std::size_t size) noexcept
    {
        auto const* const key = opener_.maps().find(address{at});
        if (key == nullptr || !key->perms.execute) return false;
        auto const* const m = open_module(*key);
        if (m != nullptr && m->usable) return m->elf.read(at - m->bias, into, size) == size;
        return opener_.is_live() && byte_source::memory(opener_.process()).read_whole(at, into, size);
    }

    /// How well the instruction before a return address fits a function.
    enum class call_match : std::uint8_t { none, other, indirect, function };

    /// What a stub of the PLT at \p at jumps to, 0 if it is none or is not bound yet.
    [[nodiscard]] std::uint64_t through_plt(std::uint64_t at) noexcept
    {
        char code[16];
        if (!read_code(at, code, sizeof code)) return 0;
        byte_cursor in{{code, sizeof code}};
        if constexpr (native_machine == machine::aarch64) {
            auto first = in.u32();
            auto from = at;
            if (first == 0xd503245f) { first = in.u32(); from += 4; } // bti c
            auto const second = in.u32();
            // adrp x16, …; ldr x17, [x16, …]
            if ((first & 0x9f00'001fu) != 0x9000'0010u || (second & 0xffc0'03ffu) != 0xf940'0211u) return 0;
            auto const pages = static_cast<std::int64_t>(std::uint64_t{(first >> 5 & 0x7ffff) << 2 | (first >> 29 & 3)} << 43) >> 43;
            auto const page = (from & ~std::uint64_t{0xfff}) + (static_cast<std::uint64_t>(pages) << 12);
            return slot_at(page + std::uint64_t{second >> 10 & 0xfff} * 8);
        }
        std::size_t skip = std::string_view{code, 4} == std::string_view{"\xf3\x0f\x1e\xfa", 4} ? 4 : 0; // endbr64
        if (code[skip] == '\xf2') ++skip;                                                                // bnd
        if (code[skip] != '\xff' || code[skip + 1] != '\x25') return 0;                                  // jmp *…(%rip)
        (void)in.take(skip + 2);
        return slot_at(at + skip + 6 + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(in.u32())}));
    }

    /// aarch64: where the `b` or `bl` \p word at \p at goes.
    [[nodiscard]] static std::uint64_t branch_target(std::uint64_t at, std::uint32_t word) noexcept
    {
        return at + static_cast<std::uint64_t>(static_cast<std::int64_t>(std::uint64_t{word & 0x3ff'ffffu} << 38) >> 36);
    }

    [[nodiscard]] std::uint64_t slot_at(std::uint64_t at) const noexcept
    {
        char bytes[8];
        if (!opener_.is_live() || !byte_source::memory(opener_.process()).read_whole(at, bytes, 8)) return 0;
        return byte_cursor{{bytes, 8}}.u64();
    }

    [[nodiscard]] call_match call_before(std::uint64_t pc, std::uint64_t function) noexcept
    {
        char code[7];
        if constexpr (native_machine == machine::aarch64) {
            if (!read_code(pc - 4, code, 4)) return call_match::none;
            auto const word = byte_cursor{{code, 4}}.u32();
            if (word >> 26 == 0x25) { // bl
                auto const target = branch_target(pc - 4, word);
                if (function != 0 && (target == function || through_plt(target) == function)) return call_match::function;
                return call_match::other;
            }
            return (word & 0xffff'fc1fu) == 0xd63f'0000u ? call_match::indirect : call_match::none; // blr
        }
        if (!read_code(pc - 7, code, sizeof code)) return call_match::none;
        auto const byte = [&](std::size_t before) { return static_cast<unsigned char>(code[7 - before]); };
        auto const displacement = [&] {
            byte_cursor in{{code + 3, 4}};
            return pc + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(in.u32())});
        };
        if (byte(5) == 0xe8) {
            auto const target = displacement();
            if (function != 0 && target == function) return call_match::function;
            if (opener_.maps().is_executable(address{target})) {
                if (function != 0 && through_plt(target) == function) return call_match::function;
                return call_match::other;
            }
        }
        if (byte(6) == 0xff && byte(5) == 0x15) // call *…(%rip)
            return function != 0 && slot_at(displacement()) == function ? call_match::function : call_match::indirect;
        auto const is_call = [&](std::size_t before) { return byte(before) == 0xff && (byte(before - 1) >> 3 & 7) == 2; };
        if (is_call(2) && byte(1) >> 6 == 3) return call_match::indirect;                                  // call *%reg
        if (is_call(2) && byte(1) >> 6 == 0 && (byte(1) & 7) != 4 && (byte(1) & 7) != 5) return call_match::indirect;
        if (is_call(3) && byte(2) >> 6 == 1 && (byte(2) & 7) != 4) return call_match::indirect;
        if (is_call(3) && byte(2) >> 6 == 0 && (byte(2) & 7) == 4) return call_match::indirect;
        if (is_call(4) && byte(3) >> 6 == 1 && (byte(3) & 7) == 4) return call_match::indirect;
        if (is_call(6) && byte(5) >> 6 == 2 && (byte(5) & 7) != 4) return call_match::indirect;
        if (is_call(7) && byte(6) >> 6 == 2 && (byte(6) & 7) == 4) return call_match::indirect;
        return call_match::none;
    }

    /// What a chain of calls must be like to be believed.
    enum class strictness : std::uint8_t {
        no_doubt,    ///< every direct call calls the function that it returns from
        doubts,      ///< or another one
        other_calls  ///< even the first, which may have jumped here
    };

    /// Finds the register that is missing, if what is on the stack leaves no doubt, and sets it in \p w.
    [[nodiscard]] bool infer(walk& w, cfi_row const& row, std::uint64_t bias, register_number wanted) noexcept
    {
        auto const traits = w.regs.traits();
        if (wanted == traits.fp) return infer_fp(w, row, bias);
        if (native_machine == machine::aarch64 && wanted == traits.return_address) return infer_lr(w, row, bias);
        return false;
    }

    /// The frame pointer, which the CFA depends on: by the slot on the stack that holds a return address to behind a call of this
    /// function, from where the rest of the stack unwinds to its root.
    ///
    /// What a function's earlier calls left on the stack can look just so. Therefore the slot is first looked for where the
    /// prologue's `sub $N, %rsp` puts it. Where that does not tell, the nearest that fits is taken, and only if all others that would
    /// do as well are return addresses of the same chain, as those of a recursion are.
    [[nodiscard]] bool infer_fp(walk& w, cfi_row const& row, std::uint64_t bias) noexcept
    {
        auto const traits = w.regs.traits();
        auto const by_expression = row.cfa.how == register_rule::kind::is_expression;
        bool const by_fp = row.cfa.how == register_rule::kind::is_cfa && row.cfa_register == traits.fp && row.cfa.value != 0;
        if (!by_expression && !by_fp) return false;
        auto const ra_rule = row.rules[row.return_address];
        if (ra_rule.how != register_rule::kind::at_cfa) return false;
        suspect s{row, row.begin + bias, by_expression ? 0 : row.cfa.value, ra_rule.value};
        auto const sp = w.regs.sp().value;
        if (std::uint64_t fp = 0; native_machine == machine::x86_64 && !by_expression && by_prologue(w, s, bias, fp)) {
            w.regs.set(traits.fp, fp);
            return true;
        }

        constexpr std::size_t most = 48;
        struct { std::uint64_t cfa; call_match match; } found[most];
        std::size_t count = 0;
        std::size_t others = 0;
        auto const end = end_of_copy(w);
        for (auto slot = (sp + 7) & ~std::uint64_t{7}; slot + 8 <= end && slot - sp < search_limit && count < most; slot += 8) {
            auto const match = call_at(w, s, slot);
            if (match == call_match::none || (match == call_match::other && ++others > most / 3)) continue;
            found[count++] = {slot - static_cast<std::uint64_t>(std::int64_t{ra_rule.value}), match};
        }
        for (auto const check : {strictness::no_doubt, strictness::doubts, strictness::other_calls}) {
            for (std::size_t i = 0; i < count; ++i) {
                if ((found[i].match == call_match::other) != (check == strictness::other_calls)) continue;
                std::uint64_t fp = 0;
                if (!try_cfa(w, s, found[i].cfa, check, fp)) continue;
                for (auto j = i + 1; j < count; ++j) {
                    std::uint64_t rival = 0;
                    if (found[j].match < found[i].match || passes(w, fp, found[j].cfa)) continue;
                    if (try_cfa(w, s, found[j].cfa, check, rival)) return false;
                }
                w.regs.set(traits.fp, fp);
                return true;
            }
        }
        return false;
    }

    /// The frame whose frame pointer is looked for.
    struct suspect {
        cfi_row const& row;
        std::uint64_t function;
        std::int64_t offset;    ///< of the CFA from the frame pointer; 0 where an expression gives the CFA
        std::int32_t return_at; ///< of the return address from the CFA
    };

    [[nodiscard]] call_match call_at(walk const& w, suspect const& s, std::uint64_t slot) noexcept
    {
        std::uint64_t ra = 0;
        if (!w.of.read(slot, 8, ra)) return call_match::none;
        if (native_machine == machine::aarch64 && s.row.return_address_signed) ra = without_pac(ra, address_bits_);
        return opener_.maps().is_executable(address{ra - 1}) ? call_before(ra, s.function) : call_match::none;
    }

    /// x86-64: the CFA that follows from sp and the room which the prologue makes below the registers that it saves. Not where the
    /// function makes room of another size later, by alloca.
    [[nodiscard]] bool by_prologue(walk& w, suspect const& s, std::uint64_t bias, std::uint64_t& fp) noexcept
    {
        std::int64_t saved = 0;
        for (auto const& rule : s.row.rules)
            if (rule.how == register_rule::kind::at_cfa && rule.value < saved) saved = rule.value;
        char code[1024];
        auto const size = s.row.end - s.row.begin < sizeof code ? static_cast<std::size_t>(s.row.end - s.row.begin) : sizeof code;
        if (size < 8 || !read_code(s.row.begin + bias, code, size)) return false;
        auto const byte = [&](std::size_t i) { return static_cast<unsigned char>(code[i]); };
        for (std::size_t i = 0; i + 3 <= size; ++i) // sub %reg, %rsp
            if ((byte(i) & 0xfb) == 0x48 && byte(i + 1) == 0x29 && (byte(i + 2) & 0xc7) == 0xc4) return false;
        constexpr std::size_t prologue = 160;
        std::int64_t rooms[8];
        std::size_t count = 0;
        for (std::size_t i = 1; i + 7 <= size && i < prologue && count < 8; ++i) {
            if (byte(i) != 0x48) continue;
            byte_cursor number{{code + i + 3, 4}};
            std::int64_t room = -1;
            if (byte(i + 1) == 0x83 && byte(i + 2) == 0xec) room = byte(i + 3) < 0x80 ? byte(i + 3) : -1;        // sub $N, %rsp
            else if (byte(i + 1) == 0x81 && byte(i + 2) == 0xec) room = static_cast<std::int32_t>(number.u32()); // sub $N, %rsp
            else if (byte(i + 1) == 0x83 && byte(i + 2) == 0xc4 && byte(i + 3) == 0x80) room = 128;              // add $-128, %rsp
            if (room > 0) rooms[count++] = room;
        }
        if (count == 0) rooms[count++] = 0; // some functions make none
        // What fits without a doubt goes before what an earlier call may have left where another room would put it.
        for (auto const check : {strictness::no_doubt, strictness::doubts, strictness::other_calls}) {
            for (std::size_t i = 0; i < count; ++i) {
                auto const cfa = w.regs.sp().value + static_cast<std::uint64_t>(rooms[i] - saved);
                auto const match = call_at(w, s, cfa + static_cast<std::uint64_t>(std::int64_t{s.return_at}));
                if (match == call_match::none || (match == call_match::other) != (check == strictness::other_calls)) continue;
                if (try_cfa(w, s, cfa, check, fp)) return true;
            }
        }
        return false;
    }

    /// Does the stack unwind to its root from this CFA? Then \p fp is what the frame pointer must be.
    [[nodiscard]] bool try_cfa(walk const& w, suspect const& s, std::uint64_t cfa, strictness check, std::uint64_t& fp) noexcept
    {
        auto const sp = w.regs.sp().value;
        auto const attempt = [&](std::uint64_t value) {
            if (value < sp) return false;
            walk probe{w.of, w.regs, w.is_return, frame_quality::exact, UINT64_MAX};
            probe.regs.set(w.regs.traits().fp, value);
            if (!leads_to_root(probe, check)) return false;
            fp = value;
            return true;
        };
        if (s.offset != 0) return attempt(cfa - static_cast<std::uint64_t>(s.offset));
        // The CFA is saved below the frame pointer, in a frame whose stack was realigned: find the slot that holds it. The frame
        // pointer is within a few words above.
        for (auto slot = (sp + 7) & ~std::uint64_t{7}; slot < cfa; slot += 8) {
            std::uint64_t saved = 0;
            if (!w.of.read(slot, 8, saved) || saved != cfa) continue;
            for (std::uint64_t up = 8; up <= 64; up += 8)
                if (slot + up < cfa && attempt(slot + up)) return true;
        }
        return false;
    }

    /// Does the chain that begins with this frame pointer go through \p cfa?
    [[nodiscard]] bool passes(walk const& from, std::uint64_t fp, std::uint64_t cfa) noexcept
    {
        walk probe{from.of, from.regs, from.is_return, frame_quality::exact, UINT64_MAX};
        probe.regs.set(from.regs.traits().fp, fp);
        for (unsigned n = 0; n < 1024; ++n) {
            bool is_root = false;
            bool signal_frame = false;
            if (advance(probe, false, is_root, signal_frame) != stack_end::complete || is_root) return false;
            if (probe.regs.sp().value == cfa) return true;
            if (probe.regs.sp().value > cfa && !signal_frame) return false;
        }
        return false;
    }

    /// aarch64: LR, where a leaf keeps its return address in no other place. It has no frame, so sp is its caller's: that one's
    /// return address is on the stack, behind a call which names it, and in its code are the calls of the leaf. One of them must
    /// put that return address where it was found, and only one.
    [[nodiscard]] bool infer_lr(walk& w, cfi_row const& row, std::uint64_t bias) noexcept
    {
        auto const traits = w.regs.traits();
        if (row.cfa.how != register_rule::kind::is_cfa || row.cfa_register != traits.sp) return false;
        auto const cfa = w.regs.sp().value + static_cast<std::uint64_t>(std::int64_t{row.cfa.value});
        auto const leaf = row.begin + bias;
        auto const end = end_of_copy(w);
        std::uint64_t lr = 0;
        std::uint64_t fp = 0;
        std::uint64_t at = 0;
        bool has_fp = false;
        unsigned tried = 0;
        for (auto slot = cfa; slot + 8 <= end && slot - cfa < search_limit && tried < 24; slot += 8) {
            std::uint64_t ra = 0;
            if (!w.of.read(slot, 8, ra)) break;
            ra = without_pac(ra, address_bits_);
            if (!opener_.maps().is_executable(address{ra - 4})) continue;
            auto const caller = call_target(ra);
            if (caller == 0) continue;
            bool executable = true;
            auto const& known = row_at(caller, executable);
            if (!executable || known.status != cfi_status::ok || known.row.begin + known.bias != caller) continue;
            ++tried;
            auto const size = known.row.end - known.row.begin;
            constexpr std::uint64_t most_code = 65536;
            char code[256];
            for (std::uint64_t done = 0; done < size && done < most_code; done += sizeof code) {
                auto const part = size - done < sizeof code ? static_cast<std::size_t>(size - done) : sizeof code;
                if (!read_code(caller + done, code, part)) break;
                for (std::size_t i = 0; i + 4 <= part; i += 4) {
                    auto const word = byte_cursor{{code + i, 4}}.u32();
                    if (word >> 26 != 0x25) continue; // bl
                    auto const here = caller + done + i;
                    auto const target = branch_target(here, word);
                    if (target != leaf && through_plt(target) != leaf) continue;
                    walk probe{w.of, registers{native_machine}, true, frame_quality::exact, UINT64_MAX};
                    probe.regs.set(traits.sp, cfa);
                    probe.regs.set(traits.pc, here + 4);
                    if (!returns_to(probe, slot)) continue;
                    auto const with = probe.regs;
                    if (!leads_to_root(probe, strictness::no_doubt)) continue;
                    if (lr != 0 && (lr != here + 4 || at != slot)) {
                        // Further up, the calls of a recursion fit as well, where frames are found by their frame pointer.
                        if (lr == here + 4 && has_fp && passes_record(w, lr, cfa, fp, slot)) continue;
                        return false;
                    }
                    lr = here + 4;
                    at = slot;
                    has_fp = with.has(traits.fp);
                    fp = with[traits.fp];
                }
            }
        }
        if (lr == 0) return false;
        w.regs.set(traits.return_address, lr);
        if (has_fp && !w.regs.has(traits.fp)) w.regs.set(traits.fp, fp);
        return true;
    }

    /// Does the row at a call keep the return address of its function at \p slot? The frame pointer that it counts from is set so.
    [[nodiscard]] bool returns_to(walk& probe, std::uint64_t slot) noexcept
    {
        auto const traits = probe.regs.traits();
        bool executable = true;
        auto const& known = row_at(probe.regs.pc().value - 1, executable);
        if (!executable || known.status != cfi_status::ok || known.row.cfa.how != register_rule::kind::is_cfa) return false;
        auto const ra = known.row.rules[known.row.return_address];
        if (ra.how != register_rule::kind::at_cfa) return false;
        auto const cfa = slot - static_cast<std::uint64_t>(std::int64_t{ra.value});
        auto const from = cfa - static_cast<std::uint64_t>(std::int64_t{known.row.cfa.value});
        if (known.row.cfa_register == traits.sp) return from == probe.regs.sp().value;
        if (known.row.cfa_register != traits.fp || from < probe.regs.sp().value) return false;
        probe.regs.set(traits.fp, from);
        return true;
    }

    [[nodiscard]] bool passes_record(walk const& from, std::uint64_t pc, std::uint64_t sp, std::uint64_t fp, std::uint64_t slot) noexcept
    {
        auto const traits = from.regs.traits();
        walk probe{from.of, registers{native_machine}, true, frame_quality::exact, UINT64_MAX};
        probe.regs.set(traits.sp, sp);
        probe.regs.set(traits.pc, pc);
        probe.regs.set(traits.fp, fp);
        for (unsigned n = 0; n < 1024; ++n) {
            bool is_root = false;
            bool signal_frame = false;
            if (probe.regs[traits.fp] + 8 == slot) return true;
            if (advance(probe, false, is_root, signal_frame) != stack_end::complete || is_root) return false;
        }
        return false;
    }

    /// Does the stack unwind from here to its root, every return address behind a call?
    [[nodiscard]] bool leads_to_root(walk& probe, strictness check) noexcept
    {
        for (unsigned n = 0; n < 1024; ++n) {
            bool is_root = false;
            bool signal_frame = false;
            if (advance(probe, false, is_root, signal_frame) != stack_end::complete) return false;
            if (is_root) return true;
            if (!probe.is_return) continue;
            auto const match = call_before(probe.regs.pc().value, check == strictness::no_doubt ? probe.function : 0);
            if (match == call_match::none) return false;
            if (match == call_match::other && check == strictness::no_doubt && probe.function != 0) return false;
        }
        return false;
    }

    module_opener opener_;
    module* modules_ = nullptr;
    std::size_t module_limit_ = 0;
    std::size_t module_count_ = 0;
    std::size_t next_victim_ = 0;
    known_row* rows_ = nullptr;
    std::size_t row_limit_ = 0;
    known_row spare_{};
    unsigned address_bits_ = 48;
};

} // namespace taskpeek::stack
