// SPDX-License-Identifier: BSL-1.0

/// \file
/// A process with every kind of mapping. Prints `<class> <address> [<tid>]` for an address of each, then `ready`, and waits to be killed.

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

extern "C" char __init_array_start[] __attribute__((visibility("hidden")));
extern "C" char const constants[8192];
char const constants[8192] = {1};
int volatile initialised = 42;
char volatile zeros[100'000];

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t slot = 4u << 20;

void tell(char const* what, void const volatile* address, long tid = 0)
{
    std::printf("%s %llx %ld\n", what, static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(address)), tid);
}

long own_tid() { return syscall(SYS_gettid); }

char* slots; // address space kept without permission: nothing that is mapped into it merges with a neighbour

char* next_slot()
{
    static std::size_t used = 0;
    return slots + ++used * slot + 16 * page;
}

char* map(std::size_t size, int protection, int flags, int fd = -1)
{
    auto* const at = mmap(next_slot(), size, protection, flags | MAP_FIXED, fd, 0);
    return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

pthread_barrier_t barrier;

[[noreturn]] void wait_for_ever()
{
    pthread_barrier_wait(&barrier);
    for (;;) pause();
}

void* on_given_stack(void* what)
{
    char local = 0;
    tell(static_cast<char const*>(what), &local, own_tid());
    wait_for_ever();
}

void* on_default_stack(void*)
{
    char local = 0;
    tell("thread_stack", &local, own_tid());
    auto const in_arena = reinterpret_cast<std::uintptr_t>(std::malloc(100));
    constexpr std::uintptr_t arena_size = sizeof(void*) == 8 ? 64u << 20 : 1u << 20;
    tell("malloc_arena", reinterpret_cast<void*>(in_arena));
    tell("arena_reserve", reinterpret_cast<void*>((in_arena & ~(arena_size - 1)) + arena_size - 1));
    pthread_attr_t attributes;
    void* lowest = nullptr;
    std::size_t size = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &lowest, &size);
    tell("guard", static_cast<char*>(lowest) - 1);
    wait_for_ever();
}

void on_signal(int)
{
    char local = 0;
    tell("thread_stack", &local, own_tid());
    wait_for_ever();
}

void* on_alternate_stack(void*)
{
    stack_t alternate{};
    alternate.ss_sp = map(64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    alternate.ss_size = 64 * page;
    sigaltstack(&alternate, nullptr);
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    pthread_kill(pthread_self(), SIGUSR1);
    return nullptr;
}

int tell_segments(dl_phdr_info* info, std::size_t, void* count)
{
    auto const index = ++*static_cast<int*>(count);
    if (index == 1 || info->dlpi_name[0] != '/') return 0; // the program, and the vdso
    bool const linker = std::strstr(info->dlpi_name, "/ld-") != nullptr;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        auto const& h = info->dlpi_phdr[i];
        auto const* const start = reinterpret_cast<char*>(info->dlpi_addr + h.p_vaddr);
        if (h.p_type == PT_GNU_RELRO && !linker) tell("library_relro", start);
        if (h.p_type != PT_LOAD) continue;
        if (linker) tell("dynamic_linker", start);
        else if (h.p_flags & PF_X) tell("library_text", start);
        else if (!(h.p_flags & PF_W)) tell("library_rodata", start);
        if (!linker && h.p_flags & PF_W) {
            tell("library_data", start + h.p_filesz - 1);
            if (h.p_memsz > h.p_filesz) tell("library_bss", start + h.p_filesz);
        }
    }
    return 0;
}

/// What only `maps` can say where it is.
void tell_special()
{
    auto* const maps = std::fopen("/proc/self/maps", "re");
    for (char line[512]; maps != nullptr && std::fgets(line, sizeof line, maps) != nullptr;) {
        auto const start = std::strtoull(line, nullptr, 16);
        if (std::strstr(line, "[vvar]") != nullptr) tell("vvar", reinterpret_cast<void*>(static_cast<std::uintptr_t>(start)));
        if (std::strstr(line, "[vsyscall]") != nullptr) tell("vsyscall", reinterpret_cast<void*>(static_cast<std::uintptr_t>(start)));
    }
    if (maps != nullptr) std::fclose(maps);
}

void tell_program()
{
    tell("text", reinterpret_cast<void*>(&on_signal));
    tell("rodata", constants + 4000);
    tell("relro", __init_array_start);
    tell("data", &initialised);
    tell("bss", zeros + sizeof zeros / 2);
    char local = 0;
    tell("main_stack", &local, own_tid());
    rlimit limit{};
    if (getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 4u << 20)
        tell("stack_growth", reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&local) - (1u << 20)));
    tell("null_page", nullptr);
    if (sizeof(void*) == 8) tell("non_canonical", reinterpret_cast<void*>(std::uintptr_t{1} << (sizeof(void*) * 8 - 5)));
    tell_special();
    tell("heap", std::malloc(100));
    tell("heap_end", reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(sbrk(0)) + page - 1) & ~(page - 1)));
    tell("anonymous", std::malloc(8u << 20)); // above M_MMAP_THRESHOLD
    if (auto const vdso = getauxval(AT_SYSINFO_EHDR)) tell("vdso", reinterpret_cast<void*>(vdso));
    int count = 0;
    dl_iterate_phdr(tell_segments, &count);
}

void tell_mappings()
{
    tell("reserved", slots + slot / 2);
    constexpr int writable = PROT_READ | PROT_WRITE;
    tell("anonymous", map(page, writable, MAP_PRIVATE | MAP_ANONYMOUS));
    tell("jit_code", map(page, writable | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS));
    tell("shared_anonymous", map(page, writable, MAP_SHARED | MAP_ANONYMOUS));
    auto* const named = map(page, writable, MAP_PRIVATE | MAP_ANONYMOUS);
    if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, page, "pool of  things") == 0) tell("named_anonymous", named);

    if (auto const id = shmget(IPC_PRIVATE, page, 0600); id >= 0) {
        tell("sysv_shared_memory", shmat(id, next_slot(), SHM_REMAP));
        shmctl(id, IPC_RMID, nullptr);
    }
    auto const memory = static_cast<int>(syscall(SYS_memfd_create, "</script>", 0));
    if (memory >= 0 && ftruncate(memory, page) == 0) tell("memfd", map(page, writable, MAP_SHARED, memory));
    char name[64];
    std::snprintf(name, sizeof name, "/taskpeek-specimen-%ld", static_cast<long>(getpid()));
    if (auto const shm = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600); shm >= 0) {
        shm_unlink(name);
        if (ftruncate(shm, page) == 0) tell("posix_shared_memory", map(page, writable, MAP_SHARED, shm));
    }
    char file[] = "/tmp/taskpeek-\x1b]0;x\a-XXXXXX";
    if (auto const fd = mkstemp(file); fd >= 0) {
        unlink(file);
        if (ftruncate(fd, page) == 0) tell("file_mapping", map(page, writable, MAP_PRIVATE, fd));
    }
    unsigned parameters[30] = {}; // struct io_uring_params; sq_off.array and features aside, all may be 0
    constexpr long io_uring_setup = 425;
    if (auto const uring = static_cast<int>(syscall(io_uring_setup, 4, parameters)); uring >= 0) {
        auto* const rings = mmap(nullptr, page, writable, MAP_SHARED | MAP_POPULATE, uring, 0); // it chooses the address
        if (rings != MAP_FAILED) tell("kernel_object", rings);
    }
    unsigned long ring = 0; // aio_context_t
    if (syscall(SYS_io_setup, 8, &ring) == 0) tell("aio_ring", reinterpret_cast<void*>(ring));
    auto* const huge = mmap(nullptr, 2u << 20, writable, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (huge != MAP_FAILED) tell("huge_pages", huge);
}

/// Two stacks side by side in one vma, each with a lightweight guard below: what pthread_create(3) makes since glibc 2.42. \return the
/// lower one; null if this kernel has no such guards, or does not tell them.
char* map_guarded_stacks(std::size_t size)
{
    constexpr int guard_install = 102; // MADV_GUARD_INSTALL, since 6.13
    auto* const stacks = map(2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    for (auto* const one : {stacks, stacks + size})
        if (madvise(one, page, guard_install) != 0) return nullptr;
    std::uint64_t entry = 0;
    auto const pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    auto const number = reinterpret_cast<std::uintptr_t>(stacks) / page;
    auto const got = pread(pagemap, &entry, sizeof entry, static_cast<off_t>(number * sizeof entry));
    close(pagemap);
    return got == sizeof entry && (entry >> 58 & 1) != 0 ? stacks : nullptr; // since 6.15
}

int thread_count = 4;
char* guarded_stacks;
constexpr std::size_t guarded_size = 64 * page;

void start_threads()
{
    pthread_t thread;
    pthread_create(&thread, nullptr, on_default_stack, nullptr);
    pthread_create(&thread, nullptr, on_alternate_stack, nullptr);
    static char thread_stack[] = "thread_stack";
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, map(64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS), 64 * page);
    pthread_create(&thread, &attributes, on_given_stack, thread_stack);
    static char bss[] = "bss";
    alignas(64) static char in_bss[256 * 1024];
    pthread_attr_setstack(&attributes, in_bss, sizeof in_bss);
    pthread_create(&thread, &attributes, on_given_stack, bss);
    if (guarded_stacks == nullptr) return;
    for (auto* const one : {guarded_stacks, guarded_stacks + guarded_size}) {
        tell("guard", one + page - 1);
        pthread_attr_setstack(&attributes, one + page, guarded_size - page);
        pthread_create(&thread, &attributes, on_given_stack, thread_stack);
    }
}

} // namespace

int main()
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    slots = static_cast<char*>(mmap(nullptr, 24 * slot, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    tell_program();
    tell_mappings();
    guarded_stacks = map_guarded_stacks(guarded_size);
    if (guarded_stacks != nullptr) thread_count += 2;
    pthread_barrier_init(&barrier, nullptr, static_cast<unsigned>(thread_count) + 1);
    start_threads();
    pthread_barrier_wait(&barrier);
    std::puts("ready");
    std::fflush(stdout);
    for (;;) pause();
}
