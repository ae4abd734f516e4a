// SPDX-License-Identifier: BSL-1.0
// Threads in unusual places: `odd signal`, `odd altstack`, `odd spin`, `odd running`, `odd exception`, `odd jit`, `odd step`,
// `odd counting`, `odd nowhere`, `odd unloaded LIBRARY`. Prints "ready".

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

namespace {

volatile int sink;

void say_ready()
{
    if (write(1, "ready\n", 6) != 6) _exit(1);
}

[[gnu::noinline]] void wait_here()
{
    say_ready();
    char end;
    sink = static_cast<int>(read(0, &end, 1));
    sink = sink + 1;
}

void handler(int) { wait_here(); sink = sink + 1; }

[[gnu::noinline]] void raise_it(int signal)
{
    char volatile here[64];
    here[0] = 1;
    raise(signal);
    sink = here[0];
}

[[gnu::noinline]] int spin(bool with_clock)
{
    timespec last{}, now{};
    long largest = 0;
    clock_gettime(CLOCK_MONOTONIC, &last);
    say_ready();
    for (;;) {
        if (!with_clock) { sink = sink + 1; continue; }
        clock_gettime(CLOCK_MONOTONIC, &now);
        long const gap = (now.tv_sec - last.tv_sec) * 1'000'000'000 + now.tv_nsec - last.tv_nsec;
        if (gap > largest) largest = gap;
        last = now;
        sink = static_cast<int>(largest);
    }
}

struct waits_at_the_end {
    ~waits_at_the_end() { wait_here(); }
};

[[gnu::noinline]] void throws()
{
    waits_at_the_end const guard;
    if (sink == 0) throw 1;
}

/// A function that calls `wait_here` and keeps a frame pointer, with no call frame information.
[[gnu::noinline]] void call_jitted()
{
#if defined __x86_64__
    unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd0, 0x5d, 0xc3};
    auto const callee = &wait_here;
    memcpy(code + 6, &callee, 8);
    auto* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    auto* const at = static_cast<unsigned char*>(page);
    memcpy(at, code, sizeof code);
    char name[64];
    snprintf(name, sizeof name, "/tmp/perf-%d.map", getpid());
    if (FILE* const map = fopen(name, "w")) {
        fprintf(map, "%lx %x jitted;function\n", reinterpret_cast<unsigned long>(at), 64);
        fclose(map);
    }
    reinterpret_cast<void (*)()>(at)();
    unlink(name);
    sink = 2;
#endif
}

/// What is stepped through, an instruction at a time: calls through the PLT, bound on the way; alloca, many saved registers, a leaf.
[[gnu::noinline]] long leaf(long a, long b) { return a * b + (a ^ b); }
[[gnu::noinline]] long with_alloca(long n)
{
    char volatile* const room = static_cast<char*>(__builtin_alloca(static_cast<size_t>(16 + n % 64)));
    room[0] = static_cast<char>(n);
    return leaf(n, room[0]) + getppid();
}
[[gnu::noinline]] long with_registers(long a, long b, long c, long d)
{
    for (long i = 0; i < 3; ++i) {
        a += leaf(b, c) + d;
        b ^= with_alloca(a & 63);
        c -= static_cast<long>(strlen(getenv("HOME") == nullptr ? "" : "home"));
        d += a + b + c;
    }
    return a + b + c + d;
}
[[gnu::noinline]] void step_here()
{
    wait_here();
    for (;;) sink = static_cast<int>(with_registers(sink, 2, 3, 4));
}

void (*volatile nowhere)();
[[gnu::noinline]] void calls_nowhere()
{
    nowhere();
    sink = 7;
}

int volatile received;
void count(int) { received = received + 1; }

/// Counts signals until its input ends, and says how many there were.
void count_signals()
{
    struct sigaction action{};
    action.sa_handler = count;
    sigaction(SIGRTMIN, &action, nullptr);
    wait_here();
    for (char end; read(0, &end, 1) < 0;) {}
    printf("%d\n", received);
    fflush(stdout);
    pause();
}

void* library;
long (*through)(int, int, long (*)(int, int));
long wait_inside(int, int) { wait_here(); return 1; }
void* call_into_library(void*) { return reinterpret_cast<void*>(through(0, 0, wait_inside)); }

/// A thread in a library that is unloaded under it.
void unloaded(char const* path)
{
    library = dlopen(path, RTLD_NOW);
    if (library == nullptr) _exit(1);
    through = reinterpret_cast<long (*)(int, int, long (*)(int, int))>(dlsym(library, "deep_through_library"));
    pthread_t t;
    pthread_create(&t, nullptr, call_into_library, nullptr);
    usleep(50000);
    dlclose(library);
    puts("unloaded");
    fflush(stdout);
    pthread_join(t, nullptr); // it waits for the end of our input
}

/// Waits, in a thread that is left alone: the first one has exited, and is a zombie until this one ends.
void* outlive_leader(void*)
{
    for (bool gone = false; !gone; usleep(1000)) {
        char line[64]{};
        int const stat = open("/proc/self/stat", O_RDONLY);
        gone = read(stat, line, sizeof line - 1) > 0 && strstr(line, ") Z ") != nullptr;
        close(stat);
    }
    wait_here();
    _exit(0);
}

} // namespace

int main(int argc, char** argv)
{
    auto const is = [&](char const* what) { return argc > 1 && strcmp(argv[1], what) == 0; };
    alarm(120);
    if (is("signal") || is("altstack") || is("nowhere")) {
        struct sigaction action{};
        action.sa_handler = handler;
        if (!is("signal")) {
            static char memory[65536];
            stack_t const other{memory, 0, sizeof memory};
            sigaltstack(&other, nullptr);
            action.sa_flags = SA_ONSTACK;
        }
        sigaction(SIGUSR1, &action, nullptr);
        sigaction(SIGSEGV, &action, nullptr);
        if (is("nowhere")) calls_nowhere();
        raise_it(SIGUSR1);
    } else if (is("spin") || is("running")) {
        return spin(is("spin"));
    } else if (is("exception")) {
        try { throws(); } catch (int) { sink = 3; }
    } else if (is("jit")) {
        call_jitted();
    } else if (is("step")) {
        step_here();
    } else if (is("counting")) {
        count_signals();
    } else if (is("leaderless")) {
        pthread_t other;
        if (pthread_create(&other, nullptr, outlive_leader, nullptr) != 0) return 1;
        pthread_exit(nullptr);
    } else if (is("unloaded")) {
        unloaded(argv[2]);
    } else {
        wait_here();
    }
    return 0;
}
