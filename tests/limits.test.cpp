// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/limits.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <sys/resource.h>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;
using tp::resource;
using tp::tests::decode_error;

namespace {

constexpr auto header = "Limit                     Soft Limit           Hard Limit           Units     \n"sv;

// The kernel's columns; each value another, so that no two can be mixed up.
constexpr auto each_its_own =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              1                    101                  seconds   \n"
    "Max file size             2                    102                  bytes     \n"
    "Max data size             3                    103                  bytes     \n"
    "Max stack size            8388608              unlimited            bytes     \n"
    "Max core file size        0                    unlimited            bytes     \n"
    "Max resident set          unlimited            unlimited            bytes     \n"
    "Max processes             2846                 2847                 processes \n"
    "Max open files            1024                 4096                 files     \n"
    "Max locked memory         18446744073709551614 unlimited            bytes     \n"
    "Max address space         4294967295           18446744073709551614 bytes     \n"
    "Max file locks            11                   111                  locks     \n"
    "Max pending signals       12                   112                  signals   \n"
    "Max msgqueue size         819200               819201               bytes     \n"
    "Max nice priority         14                   40                   \n"
    "Max realtime priority     15                   99                   \n"
    "Max realtime timeout      16                   unlimited            us        \n"sv;

constexpr pf::limits l = pf::limits::parse(each_its_own).value();
static_assert(l.max_cpu_time->soft.value() == tp::seconds{1} && l.max_cpu_time->hard.value() == tp::seconds{101});
static_assert(l.max_file_size->soft.value() == tp::bytes{2} && l.max_file_size->hard.value() == tp::bytes{102});
static_assert(l.max_data_size->soft.value() == tp::bytes{3} && l.max_data_size->hard.value() == tp::bytes{103});
static_assert(l.max_stack_size->soft.value() == tp::bytes{8388608} && l.max_stack_size->hard.is_unlimited());
static_assert(l.max_core_file_size->soft.value() == tp::bytes{0} && l.max_core_file_size->hard.is_unlimited());
static_assert(l.max_resident_set->soft.is_unlimited() && l.max_resident_set->hard.is_unlimited());
static_assert(l.max_processes->soft.value() == tp::process_count{2846} && l.max_processes->hard.value() == tp::process_count{2847});
static_assert(l.max_open_files->soft.value() == tp::file_count{1024} && l.max_open_files->hard.value() == tp::file_count{4096});
static_assert(l.max_locked_memory->soft.value() == tp::bytes{UINT64_MAX - 1}, "2^64-2 is a value");
static_assert(l.max_address_space->soft.value() == tp::bytes{UINT32_MAX} && !l.max_address_space->hard.is_unlimited());
static_assert(l.max_file_locks->soft.value() == tp::lock_count{11} && l.max_file_locks->hard.value() == tp::lock_count{111});
static_assert(l.max_pending_signals->soft.value() == tp::signal_count{12});
static_assert(l.max_pending_signals->hard.value() == tp::signal_count{112});
static_assert(l.max_msgqueue_size->soft.value() == tp::bytes{819200} && l.max_msgqueue_size->hard.value() == tp::bytes{819201});
static_assert(l.max_nice_priority->soft.value() == 14u && l.max_nice_priority->hard.value() == 40u);
static_assert(l.max_realtime_priority->soft.value() == 15u && l.max_realtime_priority->hard.value() == 99u);
static_assert(l.max_realtime_timeout->soft.value() == tp::microseconds{16} && l.max_realtime_timeout->hard.is_unlimited());

static_assert(&l.get<resource::stack>() == &l.max_stack_size && &l.get<resource::nice>() == &l.max_nice_priority);
static_assert(&l.get<resource::rtprio>() == &l.max_realtime_priority && &l.get<resource::data>() == &l.max_data_size);
static_assert(!std::is_same_v<tp::rlimit<resource::stack>, tp::rlimit<resource::data>>, "limits on two resources do not mix");
static_assert(std::is_same_v<tp::rlimit_unit<resource::stack>, tp::bytes> && std::is_same_v<tp::rlimit_unit<resource::cpu>, tp::seconds>);
static_assert(tp::rlimit<resource::stack>::what == resource::stack);

using byte_limit = tp::limit_value<tp::bytes>;
static_assert(tp::to_rlim(byte_limit::unlimited()) == RLIM64_INFINITY && tp::to_rlim(byte_limit{tp::bytes{5}}) == 5);
static_assert(tp::to_rlim(tp::limit_value<std::uint64_t>{7}) == 7);
static_assert(tp::from_rlim<tp::bytes>(RLIM64_INFINITY).is_unlimited());
static_assert(tp::from_rlim<tp::bytes>(UINT64_MAX - 1).value() == tp::bytes{UINT64_MAX - 1});
static_assert(tp::from_rlim<std::uint64_t>(0).value() == 0u);
static_assert(l.max_stack_size->soft < l.max_stack_size->hard && !(l.max_resident_set->soft < l.max_resident_set->hard));

static_assert(pf::limits::parse(header).value().max_cpu_time == std::nullopt, "a row that is not there is absent");

} // namespace

TEST_CASE("limits: a text cut within a line is truncated; behind one it has fewer rows")
{
    for (std::size_t size = 1; size < each_its_own.size(); ++size) {
        auto const beginning = each_its_own.substr(0, size);
        auto const found = decode_error<pf::limits>(beginning);
        CAPTURE(size);
        CHECK(found.code == (beginning.ends_with('\n') ? tp::errc{} : tp::errc::truncated));
        CHECK(found.offset == (beginning.ends_with('\n') ? 0 : size));
    }
}

TEST_CASE("limits: an empty text is that of a task reaped meanwhile")
{
    auto const found = decode_error<pf::limits>("");
    CHECK(found.code == tp::errc::vanished);
    CHECK(found.file == tp::kernel_file::limits);
}

TEST_CASE("limits: damage anywhere is survived")
{
    auto const rows = each_its_own.substr(each_its_own.find("Max locked"), 3 * header.size());
    tp::tests::check_every_damage<pf::limits>(rows);
}

TEST_CASE("limits: rows of kernels to come are skipped, even ones that begin like a known one")
{
    for (auto const row : {"Max future things         1                    2                    things    \n"sv,
                           "Max cpu time of children  3                    4                    seconds   \n"sv,
                           "Max cpu timeout           3                    4                    seconds   \n"sv,
                           "Max cpu time in a long column  3                    4                    seconds   \n"sv,
                           "Max cpu time\n"sv, "no row\n"sv, "\n"sv}) {
        auto const text = std::string{header} + std::string{row} + std::string{each_its_own.substr(header.size())} + std::string{row};
        CAPTURE(row);
        auto const decoded = pf::limits::parse(text);
        REQUIRE(decoded);
        CHECK(decoded.value().max_cpu_time == l.max_cpu_time);
        CHECK(decoded.value().max_realtime_timeout == l.max_realtime_timeout);
    }
}

TEST_CASE("limits: rows in any order, some missing")
{
    auto const decoded = pf::limits::parse("Max open files            7                    8                    files     \n"
                                           "Max cpu time              unlimited            0                    seconds   \n");
    REQUIRE(decoded);
    CHECK(decoded.value().max_open_files->soft.value() == tp::file_count{7});
    CHECK(decoded.value().max_cpu_time->soft.is_unlimited());
    CHECK(decoded.value().max_cpu_time->hard.value() == tp::seconds{0});
    CHECK_FALSE(decoded.value().max_stack_size);
}

TEST_CASE("limits: a known row with a value of another form is malformed where that stands")
{
    tp::tests::check_malformed<pf::limits>({
        {"Max cpu time              x                    1                    seconds   \n", 26},
        {"Max cpu time              -1                   1                    seconds   \n", 26},
        {"Max cpu time              18446744073709551616 1                    seconds   \n", 45},
        {"Max cpu time              1                    18446744073709551616 seconds   \n", 66},
        {"Max cpu time              1x                   1                    seconds   \n", 27},
        {"Max cpu time              1                    unlimitedseconds\n", 56},
        {"Max cpu time              1                    unlimite             seconds   \n", 55},
        {"Max cpu time              1\n", 27},
        {"Max cpu time              1                    \n", 47},
    });
}

TEST_CASE("limits: each resource has its number, key, name, word and unit")
{
    struct {
        resource r;
        unsigned number;
        std::string_view key, name, word, unit;
    } const cases[] = {
        {resource::cpu, RLIMIT_CPU, "Max cpu time", "RLIMIT_CPU", "cpu", "seconds"},
        {resource::fsize, RLIMIT_FSIZE, "Max file size", "RLIMIT_FSIZE", "fsize", "bytes"},
        {resource::data, RLIMIT_DATA, "Max data size", "RLIMIT_DATA", "data", "bytes"},
        {resource::stack, RLIMIT_STACK, "Max stack size", "RLIMIT_STACK", "stack", "bytes"},
        {resource::core, RLIMIT_CORE, "Max core file size", "RLIMIT_CORE", "core", "bytes"},
        {resource::rss, RLIMIT_RSS, "Max resident set", "RLIMIT_RSS", "rss", "bytes"},
        {resource::nproc, RLIMIT_NPROC, "Max processes", "RLIMIT_NPROC", "nproc", "processes"},
        {resource::nofile, RLIMIT_NOFILE, "Max open files", "RLIMIT_NOFILE", "nofile", "files"},
        {resource::memlock, RLIMIT_MEMLOCK, "Max locked memory", "RLIMIT_MEMLOCK", "memlock", "bytes"},
        {resource::as, RLIMIT_AS, "Max address space", "RLIMIT_AS", "as", "bytes"},
        {resource::locks, RLIMIT_LOCKS, "Max file locks", "RLIMIT_LOCKS", "locks", "locks"},
        {resource::sigpending, RLIMIT_SIGPENDING, "Max pending signals", "RLIMIT_SIGPENDING", "sigpending", "signals"},
        {resource::msgqueue, RLIMIT_MSGQUEUE, "Max msgqueue size", "RLIMIT_MSGQUEUE", "msgqueue", "bytes"},
        {resource::nice, RLIMIT_NICE, "Max nice priority", "RLIMIT_NICE", "nice", ""},
        {resource::rtprio, RLIMIT_RTPRIO, "Max realtime priority", "RLIMIT_RTPRIO", "rtprio", ""},
        {resource::rttime, RLIMIT_RTTIME, "Max realtime timeout", "RLIMIT_RTTIME", "rttime", "us"},
    };
    CHECK(tp::resource_count == RLIM_NLIMITS);
    for (auto const& [r, number, key, name, word, unit] : cases) {
        CHECK(static_cast<unsigned>(r) == number);
        CHECK(kernel_key(r) == key);
        CHECK(rlimit_name(r) == name);
        CHECK(name_of(r) == word);
        CHECK(unit_name(r) == unit);
        CHECK(tp::find_resource(word) == r);
        CHECK(tp::find_resource(name) == r);
        CHECK(tp::find_resource(key) == r);
    }
    for (auto const name : {"", "CPU", "rlimit_cpu", "Max", "stack "}) CHECK_FALSE(tp::find_resource(name));
}

TEST_CASE("limits: each row is listed once, in the kernel's order, under the key of its resource")
{
    auto rest = each_its_own.substr(header.size());
    unsigned number = 0;
    pf::limits::each_field(l, [&]<class Limit>(std::string_view key, std::optional<Limit> const& limit) {
        CHECK(rest.starts_with(key));
        CHECK(key == kernel_key(Limit::what));
        CHECK(static_cast<unsigned>(Limit::what) == number++);
        CHECK(limit.has_value());
        rest.remove_prefix(rest.find('\n') + 1);
    });
    CHECK(rest.empty());
    CHECK(number == 16);
}
