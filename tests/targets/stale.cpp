// SPDX-License-Identifier: BSL-1.0
// Built without optimization. What is left of an earlier call lies on the stack of the one that waits: a return address to behind a
// call of the same function, in a chain that leads to main. It prints "ready" where it waits.

#include <unistd.h>

namespace {

int volatile sink;

void blocks_below(int wait)
{
    char volatile untouched[2048]; // where the frames of the earlier call were
    if (wait == 0) {
        sink = 0;
        return;
    }
    if (write(1, "ready\n", 6) != 6) _exit(1);
    char end;
    sink = static_cast<int>(read(0, &end, 1));
    sink = untouched[7];
}

/// Its last four arguments go on the stack: so its return address lies where the next call's locals will.
void earlier_caller(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j)
{
    char volatile room[256];
    room[0] = static_cast<char>(a + b + c + d + e + f + g + h + i + j);
    blocks_below(0);
    sink = room[0];
}

void stale_caller()
{
    earlier_caller(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    blocks_below(1);
    sink = 6;
}

} // namespace

int main()
{
    alarm(120);
    stale_caller();
    return 0;
}
