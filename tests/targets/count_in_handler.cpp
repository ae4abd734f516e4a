// SPDX-License-Identifier: BSL-1.0
// Preloaded into crash_handler: counts what is allocated while its handler of SIGSEGV runs, and says how much at the handler's end.

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

extern "C" void* __libc_malloc(size_t);          // NOLINT: glibc's own
extern "C" void* __libc_calloc(size_t, size_t);  // NOLINT
extern "C" void* __libc_realloc(void*, size_t);  // NOLINT
extern "C" void __libc_free(void*);              // NOLINT

namespace {

volatile int inside;
volatile int counted;
void (*handler)(int, siginfo_t*, void*);

void count()
{
    if (inside != 0) counted = counted + 1;
}

void around(int signal, siginfo_t* info, void* context)
{
    inside = 1;
    handler(signal, info, context);
    inside = 0;
    char text[] = "allocations in the handler: 0\n";
    text[sizeof text - 3] = static_cast<char>(counted > 9 ? '9' : '0' + counted);
    (void)!write(2, text, sizeof text - 1);
}

} // namespace

extern "C" {

void* malloc(size_t size) { count(); return __libc_malloc(size); }
void* calloc(size_t n, size_t size) { count(); return __libc_calloc(n, size); }
void* realloc(void* old, size_t size) { count(); return __libc_realloc(old, size); }
void free(void* old) { if (old != nullptr) count(); __libc_free(old); }

int sigaction(int signal, struct sigaction const* action, struct sigaction* old)
{
    static auto const next = reinterpret_cast<int (*)(int, struct sigaction const*, struct sigaction*)>(dlsym(RTLD_NEXT, "sigaction"));
    if (signal != SIGSEGV || action == nullptr || (action->sa_flags & SA_SIGINFO) == 0) return next(signal, action, old);
    handler = action->sa_sigaction;
    auto ours = *action;
    ours.sa_sigaction = around;
    return next(signal, &ours, old);
}

} // extern "C"
