// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/task_state.hpp>

#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

namespace {

[[nodiscard]] constexpr pf::task_state read(std::string_view text)
{
    tp::text::cursor in{text};
    pf::task_state state;
    read_value(in, state);
    return in.ok() ? state : pf::task_state{'!'};
}

// fs/proc/array.c, task_state_array: 3.10 and 6.18 together.
static_assert(read("R (running)\n") == pf::task_state::running);
static_assert(read("S (sleeping)\n") == pf::task_state::sleeping);
static_assert(read("D (disk sleep)\n") == pf::task_state::disk_sleep);
static_assert(read("T (stopped)\n") == pf::task_state::stopped);
static_assert(read("t (tracing stop)\n") == pf::task_state::tracing_stop);
static_assert(read("X (dead)\n") == pf::task_state::dead);
static_assert(read("Z (zombie)\n") == pf::task_state::zombie);
static_assert(read("P (parked)\n") == pf::task_state::parked);
static_assert(read("I (idle)\n") == pf::task_state::idle);
static_assert(read("S") == pf::task_state::sleeping);

static_assert(read("").letter == '!' && read("\n").letter == '!');

} // namespace

TEST_CASE("task_state: each letter has the kernel's word")
{
    struct {
        char letter;
        std::string_view word;
    } const cases[] = {{'R', "running"}, {'S', "sleeping"}, {'D', "disk sleep"}, {'T', "stopped"}, {'t', "tracing stop"}, {'X', "dead"},
                       {'x', "dead"}, {'Z', "zombie"}, {'P', "parked"}, {'I', "idle"}, {'K', "wakekill"}, {'W', "waking"}};
    for (auto const& [letter, word] : cases) CHECK(pf::task_state{letter}.name() == word);
}

TEST_CASE("task_state: a letter of a kernel to come is kept, without a word")
{
    CHECK(read("Q (quantum)\n").letter == 'Q');
    CHECK(read("Q (quantum)\n").name() == "");
    CHECK(pf::task_state{}.name() == "");
}

TEST_CASE("task_state: a missing letter is an error")
{
    tp::text::cursor at_end{""};
    pf::task_state state;
    read_value(at_end, state);
    CHECK(at_end.failure(tp::kernel_file::status).code == tp::errc::truncated);

    tp::text::cursor at_newline{"\n"};
    read_value(at_newline, state);
    CHECK(at_newline.failure(tp::kernel_file::status).code == tp::errc::malformed);
}
