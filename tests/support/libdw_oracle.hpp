// SPDX-License-Identifier: BSL-1.0
#pragma once

/// \file
/// Unwinds a capture by elfutils' libdw: the same registers, the same bytes of stack, another unwinder.

#include <taskpeek/stack/capture.hpp>

#include <cstdint>
#include <vector>

#include <elfutils/libdwfl.h>

namespace taskpeek::tests {

class libdw_oracle {
public:
    explicit libdw_oracle(pid_t pid)
    {
        static Dwfl_Callbacks const files{dwfl_linux_proc_find_elf, no_debuginfo, nullptr, nullptr};
        dwfl_ = dwfl_begin(&files);
        if (dwfl_ == nullptr || dwfl_linux_proc_report(dwfl_, pid) != 0 || dwfl_report_end(dwfl_, nullptr, nullptr) != 0) return;
        static Dwfl_Thread_Callbacks const thread{next_thread, nullptr, read_memory, set_registers, nullptr, nullptr};
        ready_ = dwfl_attach_state(dwfl_, nullptr, pid, &thread, this);
    }
    libdw_oracle(libdw_oracle const&) = delete;
    libdw_oracle& operator=(libdw_oracle const&) = delete;
    ~libdw_oracle() { dwfl_end(dwfl_); }

    [[nodiscard]] bool is_ready() const { return ready_; }

    /// The program counters, innermost first. Lifetime: until asked again.
    [[nodiscard]] std::vector<std::uint64_t> const& unwind(stack::thread_capture const& of)
    {
        now_ = &of;
        pcs_.clear();
        (void)dwfl_getthread_frames(dwfl_, of.id.tid.value, on_frame, this);
        return pcs_;
    }

private:
    static int no_debuginfo(Dwfl_Module*, void**, char const*, Dwarf_Addr, char const*, char const*, GElf_Word, char**) { return -1; }
    static pid_t next_thread(Dwfl*, void* self, void** thread)
    {
        if (*thread != nullptr) return 0;
        *thread = self;
        return static_cast<libdw_oracle*>(self)->now_->id.tid.value;
    }
    static bool read_memory(Dwfl*, Dwarf_Addr at, Dwarf_Word* value, void* self)
    {
        std::uint64_t v = 0;
        if (!static_cast<libdw_oracle*>(self)->now_->read(at, 8, v)) return false;
        *value = v;
        return true;
    }
    static bool set_registers(Dwfl_Thread* thread, void* self)
    {
        auto const& regs = static_cast<libdw_oracle*>(self)->now_->regs;
        Dwarf_Word words[17];
        for (stack::register_number i = 0; i < 17; ++i) words[i] = regs[i];
        dwfl_thread_state_register_pc(thread, regs.pc().value);
        return dwfl_thread_state_registers(thread, 0, 17, words);
    }
    static int on_frame(Dwfl_Frame* frame, void* self)
    {
        auto& pcs = static_cast<libdw_oracle*>(self)->pcs_;
        Dwarf_Addr pc = 0;
        if (!dwfl_frame_pc(frame, &pc, nullptr) || pcs.size() == 1000) return DWARF_CB_ABORT;
        pcs.push_back(pc);
        return DWARF_CB_OK;
    }

    Dwfl* dwfl_ = nullptr;
    bool ready_ = false;
    stack::thread_capture const* now_ = nullptr;
    std::vector<std::uint64_t> pcs_;
};

} // namespace taskpeek::tests
