// SPDX-License-Identifier: BSL-1.0

#include "decoding.hpp"

#include <taskpeek/procfs/link.hpp>

#include <string>
#include <string_view>

namespace tp = taskpeek;
namespace pf = taskpeek::procfs;

using namespace std::string_view_literals;

namespace {

constexpr auto busybox = pf::exe::parse("/bin/busybox").value();
static_assert(busybox.target == "/bin/busybox" && !busybox.may_be_deleted() && busybox.path_if_deleted() == "/bin/busybox");
static_assert(pf::exe::parse("/tmp/a (deleted)").value().may_be_deleted());
static_assert(pf::exe::parse("/tmp/a (deleted)").value().path_if_deleted() == "/tmp/a");
static_assert(pf::exe::parse("/a (deleted) (deleted)").value().path_if_deleted() == "/a (deleted)", "one is the kernel's, or none");
static_assert(!pf::cwd::parse("/tmp/a (deleted) ").value().may_be_deleted());
static_assert(pf::root::parse("/").value().target == "/");
static_assert(pf::exe::file == tp::kernel_file::exe && pf::cwd::file == tp::kernel_file::cwd && pf::root::file == tp::kernel_file::root);
static_assert(pf::exe::is_link && pf::fd_target::is_link);

[[nodiscard]] constexpr pf::fd_target fd(std::string_view text) { return pf::fd_target::parse(text).value(); }

static_assert(fd("/dev/null").kind() == pf::fd_kind::path && !fd("/dev/null").inode() && fd("/dev/null").name().empty());
static_assert(fd("/").kind() == pf::fd_kind::path);
static_assert(fd("/socket:[1]").kind() == pf::fd_kind::path && !fd("/socket:[1]").inode());
static_assert(fd("/dev/zero (deleted)").kind() == pf::fd_kind::path && fd("/dev/zero (deleted)").may_be_deleted());
static_assert(fd("/SYSV00000000 (deleted)").kind() == pf::fd_kind::path);
static_assert(fd("/memfd:pool (deleted)").kind() == pf::fd_kind::memfd && fd("/memfd:pool (deleted)").name() == "pool");
static_assert(fd("/memfd: (deleted)").kind() == pf::fd_kind::memfd && fd("/memfd: (deleted)").name().empty());
static_assert(fd("/memfd:a (deleted) (deleted)").name() == "a (deleted)");
static_assert(fd("/memfd:pool").kind() == pf::fd_kind::path, "a memfd is always deleted");
static_assert(fd("/memfd:").kind() == pf::fd_kind::path);
static_assert(fd("socket:[11502]").kind() == pf::fd_kind::socket && fd("socket:[11502]").inode() == 11502u);
static_assert(fd("pipe:[10799]").kind() == pf::fd_kind::pipe && fd("pipe:[18446744073709551615]").inode() == UINT64_MAX);
static_assert(fd("anon_inode:[eventfd]").kind() == pf::fd_kind::anon_inode && fd("anon_inode:[eventfd]").name() == "eventfd");
static_assert(fd("anon_inode:inotify").kind() == pf::fd_kind::anon_inode && fd("anon_inode:inotify").name() == "inotify");
static_assert(!fd("anon_inode:[eventfd]").inode() && fd("anon_inode:").name().empty() && fd("anon_inode:[").name() == "[");
static_assert(fd("mnt:[4026531832]").kind() == pf::fd_kind::nsfs && fd("mnt:[4026531832]").inode() == 4026531832u);
static_assert(fd("pidfd:[5402]").kind() == pf::fd_kind::other && fd("pidfd:[5402]").inode() == 5402u);
static_assert(fd("socket:[]").kind() == pf::fd_kind::other && fd("socket:[1").kind() == pf::fd_kind::other);
static_assert(fd("socket:[1]x").kind() == pf::fd_kind::other && !fd("socket:[1]x").inode());
static_assert(fd("socket:[18446744073709551616]").kind() == pf::fd_kind::other);
static_assert(fd("nothing known").kind() == pf::fd_kind::other && fd(":").kind() == pf::fd_kind::other);
static_assert(!fd("socket:[1] (deleted)").may_be_deleted());

} // namespace

TEST_CASE("link: an empty text is truncated, any other is a link")
{
    auto const carried = [](std::string_view beginning) { return !beginning.empty(); };
    tp::tests::check_every_beginning<pf::exe>("/usr/bin/a b (deleted)", carried);
    tp::tests::check_every_beginning<pf::cwd>("/tmp", carried);
    tp::tests::check_every_beginning<pf::root>("/", carried);
    for (auto const whole : {"socket:[11502]", "anon_inode:[eventpoll]", "/memfd:a b (deleted)"}) tp::tests::check_every_beginning<pf::fd_target>(whole, carried);
}

TEST_CASE("link: targets are bytes")
{
    for (auto const text : {"/ a  b "sv, "/new\nline"sv, "/\xff\xfe"sv, "/a\\012b"sv, "relative"sv}) {
        CHECK(pf::cwd::parse(text).value().target == text);
        CHECK(pf::fd_target::parse(text).value().target == text);
    }
}

TEST_CASE("link: a cut descriptor link is never taken for another object")
{
    // whatever is left of a socket's number, or of the word, must not name one
    auto const whole = "socket:[11502]"sv;
    for (std::size_t size = 1; size < whole.size(); ++size) {
        CHECK(fd(whole.substr(0, size)).kind() == pf::fd_kind::other);
        CHECK_FALSE(fd(whole.substr(0, size)).inode());
    }
}

TEST_CASE("link: every namespace word is known, and each kind has its word")
{
    for (auto const word : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}) CHECK(fd(std::string{word} + ":[4026531840]").kind() == pf::fd_kind::nsfs);
    struct {
        pf::fd_kind kind;
        std::string_view word;
    } const cases[] = {{pf::fd_kind::path, "path"}, {pf::fd_kind::memfd, "memfd"}, {pf::fd_kind::socket, "socket"}, {pf::fd_kind::pipe, "pipe"},
                       {pf::fd_kind::anon_inode, "anon_inode"}, {pf::fd_kind::nsfs, "nsfs"}, {pf::fd_kind::other, "other"}};
    for (auto const& [kind, word] : cases) CHECK(name_of(kind) == word);
}

TEST_CASE("link: the one field is the target")
{
    int fields = 0;
    auto const visit = [&](std::string_view name, std::string_view target) {
        ++fields;
        CHECK(name == "target");
        CHECK(target == "/x");
    };
    auto const exe = pf::exe::parse("/x").value();
    auto const descriptor = fd("/x");
    pf::exe::each_field(exe, visit);
    pf::fd_target::each_field(descriptor, visit);
    CHECK(fields == 2);
}
