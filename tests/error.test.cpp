// SPDX-License-Identifier: BSL-1.0

#include <taskpeek/error.hpp>

#include <cstdint>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <cerrno>
#include <cstring>

#include <doctest/doctest.h>

namespace tp = taskpeek;

namespace {

constexpr tp::task_id process_7 = tp::leader_of(tp::tgid{7});
constexpr tp::task_id thread_9{tp::tgid{7}, tp::tid{9}};
constexpr auto last_file = tp::kernel_file::perf_map;
constexpr auto last_code = tp::errc::os;

static_assert(sizeof(tp::error) == 16 && std::is_trivially_copyable_v<tp::error>);

// A message that is about to die gives no view.
template <class Text>
concept gives_view = requires(Text&& text) { std::forward<Text>(text).view(); };
static_assert(gives_view<tp::error_text&> && gives_view<tp::error_text const&> && !gives_view<tp::error_text>);
static_assert(std::is_convertible_v<tp::error_text&, std::string_view> && !std::is_convertible_v<tp::error_text, std::string_view>);

[[nodiscard]] constexpr bool says(tp::error const& e, std::string_view sentence)
{
    auto const text = e.message();
    return text.view() == sentence;
}

// The task, the file and the reason, in one sentence.
static_assert(says({tp::errc::vanished, tp::kernel_file::stat, ESRCH, process_7, 0},
              "process 7 has gone; its stat could not be read (ESRCH)"));
static_assert(says({tp::errc::vanished, tp::kernel_file::stat, 0, thread_9, 0},
              "thread 9 of process 7 has gone; its stat could not be read"));
static_assert(says({tp::errc::vanished, tp::kernel_file::process, ENOENT, process_7, 0},
                   "there is no process 7 (ENOENT)"));
static_assert(says({tp::errc::vanished, tp::kernel_file::proc, ENOENT, {}, 0}, "task list is not there (ENOENT)"));
static_assert(says({tp::errc::denied, tp::kernel_file::stack, EACCES, thread_9, 0},
                   "reading stack of thread 9 of process 7 was denied (EACCES)"));
static_assert(says({tp::errc::unsupported, tp::kernel_file::smaps_rollup, ENOENT, process_7, 0},
                   "there is no smaps_rollup of process 7 on this kernel (ENOENT)"));
static_assert(says({tp::errc::unsupported, tp::kernel_file::fdinfo, ENOENT, process_7, 0},
                   "fdinfo of process 7 has no such entry (ENOENT)"));
static_assert(says({tp::errc::truncated, tp::kernel_file::status, 0, process_7, 4096},
              "status of process 7 is truncated after 4096 bytes"));
static_assert(says({tp::errc::malformed, tp::kernel_file::maps, 0, {}, 17}, "maps is malformed at byte 17"));
static_assert(says({tp::errc::malformed, tp::kernel_file::none, 0, {}, UINT32_MAX}, "the text is malformed at byte 4294967295"));
static_assert(says({tp::errc::zombie, tp::kernel_file::maps, 0, process_7, 0}, "process 7 is a zombie: it has no maps"));
static_assert(says({tp::errc::kernel_thread, tp::kernel_file::cmdline, 0, process_7, 0},
              "process 7 is a kernel thread: it has no cmdline"));
static_assert(says({tp::errc::os, tp::kernel_file::fd, EMFILE, process_7, 0}, "reading fd of process 7 failed (EMFILE)"));
static_assert(says({tp::errc::os, tp::kernel_file::fd, 133, process_7, 0}, "reading fd of process 7 failed (errno 133)"));
static_assert(says({tp::errc::denied, tp::kernel_file::prlimit, EPERM, process_7, 0},
                   "access to the limit of process 7 was denied: a raised hard limit, or another user's process, needs CAP_SYS_RESOURCE (EPERM)"));
static_assert(says({tp::errc::invalid, tp::kernel_file::prlimit, EINVAL, process_7, 0},
                   "setting the limit of process 7 is not possible: the soft limit would be above the hard one (EINVAL)"));

static_assert(says({tp::errc::unsupported, tp::kernel_file::prlimit, 0, process_7, 0},
                   "access to the limit of process 7 is not possible: it is not of this /proc, or recorded"));

static_assert(tp::os_failure(ENOENT, tp::kernel_file::stat, process_7) ==
              tp::error{tp::errc::vanished, tp::kernel_file::stat, ENOENT, process_7, 0});
static_assert(tp::os_failure(ESRCH, tp::kernel_file::stat).code == tp::errc::vanished);
static_assert(tp::os_failure(EACCES, tp::kernel_file::stat).code == tp::errc::denied);
static_assert(tp::os_failure(EPERM, tp::kernel_file::stat).code == tp::errc::denied);
static_assert(tp::os_failure(EINVAL, tp::kernel_file::prlimit).code == tp::errc::invalid);
static_assert(tp::os_failure(EMFILE, tp::kernel_file::stat).code == tp::errc::os);
static_assert(tp::os_failure(EMFILE, tp::kernel_file::stat).os_error == EMFILE);

[[nodiscard]] constexpr tp::error_text number(std::int64_t n)
{
    tp::error_text text;
    text << n;
    return text;
}

} // namespace

TEST_CASE("error: each code and each kernel file has a name of its own")
{
    std::set<std::string_view> names;
    for (auto i = 1; i <= static_cast<int>(last_code); ++i) names.insert(tp::name_of(static_cast<tp::errc>(i)));
    CHECK(names.size() == static_cast<std::size_t>(last_code));
    CHECK_FALSE(names.contains(""));
    CHECK(tp::name_of(static_cast<tp::errc>(static_cast<int>(last_code) + 1)).empty());

    names.clear();
    for (auto i = 1; i <= static_cast<int>(last_file); ++i) names.insert(tp::name_of(static_cast<tp::kernel_file>(i)));
    CHECK(names.size() == static_cast<std::size_t>(last_file));
    CHECK_FALSE(names.contains(""));
    CHECK(tp::name_of(static_cast<tp::kernel_file>(static_cast<int>(last_file) + 1)).empty());
}

TEST_CASE("error: errno names are the C library's")
{
    auto named = 0;
    for (auto number = 0; number < 134; ++number) {
        auto const name = tp::errno_name(number);
        if (name.empty()) continue;
        CAPTURE(number);
        CHECK(name == strerrorname_np(number));
        ++named;
    }
    CHECK(named >= 20);
}

TEST_CASE("error: no message is cut, whatever happened to whomever")
{
    constexpr auto most = std::numeric_limits<std::int32_t>::max();
    tp::task_id const tasks[] = {{}, tp::leader_of(tp::tgid{most}), {tp::tgid{most}, tp::tid{most - 1}}, {tp::tgid{most}, tp::tid{}}};
    for (auto code = 1; code <= static_cast<int>(last_code); ++code)
        for (auto file = 0; file <= static_cast<int>(last_file); ++file)
            for (auto const& task : tasks)
                for (std::int16_t const number : {std::int16_t{0}, std::int16_t{EACCES}, std::int16_t{4095}}) {
                    tp::error const e{static_cast<tp::errc>(code), static_cast<tp::kernel_file>(file), number, task, UINT32_MAX};
                    auto const text = e.message();
                    CAPTURE(text.view());
                    CHECK(text.view().size() < 160); // its capacity
                    CHECK(text.view().find("its its") == std::string_view::npos);
                    CHECK(text.view().find("  ") == std::string_view::npos);
                    if (task.tgid.value != 0 && e.code != tp::errc::os) CHECK(text.view().find("2147483647") != std::string_view::npos);
                    if (number == EACCES) CHECK(text.view().ends_with("(EACCES)"));
                }
}

TEST_CASE("error: a message takes numbers at the ends of their type, and stops when it is full")
{
    CHECK(std::string{number(0).operator<<("!") .view()} == "0!");
    auto const least = number(std::numeric_limits<std::int64_t>::min());
    CHECK(least.view() == "-9223372036854775808");
    auto const most = number(std::numeric_limits<std::int64_t>::max());
    CHECK(most.view() == "9223372036854775807");

    tp::error_text text;
    for (auto i = 0; i < 100; ++i) text << "abc";
    CHECK(text.view().size() == 160);
    CHECK(text.view().ends_with("abca"));
}

TEST_CASE("error: prints itself to a stream")
{
    std::ostringstream out;
    out << tp::error{tp::errc::malformed, tp::kernel_file::maps, 0, process_7, 3};
    CHECK(out.str() == "maps of process 7 is malformed at byte 3");
}
