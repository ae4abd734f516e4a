// SPDX-License-Identifier: BSL-1.0
// The half of the deep target's calls that is in a shared library.

extern "C" long deep_through_library(int left, int kind, long (*next)(int, int))
{
    long volatile here[3] = {left, kind, 0};
    here[2] = next(left - 1, kind);
    return here[2] + here[0];
}
