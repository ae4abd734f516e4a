// SPDX-License-Identifier: BSL-1.0
// What debuginfo.test.cpp looks at: two calls inlined into a third, the innermost of which waits. Its lines are found by their marks.

#include <stdio.h>
#include <unistd.h>

static volatile int sink;

[[gnu::always_inline]] static inline long innermost(char* byte)
{
    long const got = read(0, byte, 1); // innermost waits here
    sink = static_cast<int>(got);
    return got + sink;
}

namespace between {

[[gnu::always_inline]] static inline long middle(char* byte)
{
    if (sink == 0) {
        long const got = innermost(byte); // middle calls here
        return got + sink;
    }
    return 0;
}

} // namespace between

[[gnu::noinline]] long outer_function()
{
    char byte = 0;
    long const got = between::middle(&byte); // outer calls here
    sink = byte;
    return got;
}

int main()
{
    puts("ready");
    fflush(stdout);
    return outer_function() > 100; // main calls here
}
