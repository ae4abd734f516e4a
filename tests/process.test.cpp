// SPDX-License-Identifier: BSL-1.0
#include <taskpeek/taskpeek.hpp>

#include "support/child.hpp"
#include "support/fixtures.hpp"
#include "support/threads.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace pf = tp::procfs;
using tp::errc;

static_assert(!std::is_copy_constructible_v<tp::process> && std::is_nothrow_move_constructible_v<tp::process>);
static_assert(!std::is_copy_constructible_v<tp::thread> && std::is_nothrow_move_constructible_v<tp::thread>);

namespace {

tp::process self()
{
    auto handle = tp::process::self();
    REQUIRE(handle.has_value());
    return std::move(handle.value());
}

std::string unescaped(std::string_view name)
{
    char memory[64];
    return std::string{tp::text::unescape_name(name, memory).text};
}

} // namespace

TEST_CASE("the calling process finds itself")
{
    auto const p = self();
    CHECK(p.id() == tp::leader_of(tp::tgid{getpid()}));
    CHECK(p.check().has_value());
    tp::buffer<> memory;
    CHECK(p.read<pf::stat>(memory).value().ppid.value == getppid());
}

TEST_CASE("names of threads come back byte for byte through handles, from stat, status and comm")
{
    tp::tests::waiting_threads const threads{tp::tests::awkward_names()};
    auto const p = self();
    tp::buffer<> memory;
    for (std::size_t i = 0; i < threads.size(); ++i) {
        CAPTURE(threads.name(i));
        auto const t = p.thread(tp::tid{threads.tid(i)});
        REQUIRE(t.has_value());
        CHECK(t.value().id() == tp::task_id{p.id().tgid, tp::tid{threads.tid(i)}});
        auto const stat = t.value().read<pf::stat>(memory);
        REQUIRE(stat.has_value());
        CHECK(stat.value().comm == threads.name(i));
        CHECK(stat.value().pid.value == threads.tid(i));
        auto const status = t.value().read<pf::status>(memory);
        REQUIRE(status.has_value());
        CHECK(unescaped(*status.value().name) == threads.name(i));
        CHECK(status.value().pid->value == threads.tid(i));
        CHECK(status.value().tgid->value == getpid());
        auto const comm = t.value().read<pf::comm>(memory);
        REQUIRE(comm.has_value());
        CHECK(comm.value().name == threads.name(i));

        auto const directly = tp::thread::open({p.id().tgid, tp::tid{threads.tid(i)}});
        REQUIRE(directly.has_value());
        CHECK(directly.value().read<pf::comm>(memory).value().name == threads.name(i));
    }
}

TEST_CASE("names of threads come back byte for byte in walks over one process")
{
    tp::tests::waiting_threads const threads{tp::tests::awkward_names()};
    auto const p = self();
    std::size_t found = 0;
    auto range = p.threads<pf::stat, pf::status, pf::comm>();
    for (auto const& [id, stat, status, comm] : range) {
        CHECK(id.tgid == p.id().tgid);
        auto const* const name = threads.name_of_tid(id.tid.value);
        if (name == nullptr) continue;
        ++found;
        REQUIRE(stat.has_value());
        REQUIRE(status.has_value());
        REQUIRE(comm.has_value());
        CHECK(stat.value().comm == *name);
        CHECK(unescaped(*status.value().name) == *name);
        CHECK(comm.value().name == *name);
    }
    CHECK(range.status().has_value());
    CHECK(found == threads.size());
    CHECK(range.report().tasks == tp::tests::own_thread_count());
    CHECK(range.report().vanished == 0);
}

TEST_CASE("a number that no process has is vanished, whatever the number")
{
    for (int const number : {0, -1, -2147483647, 2147483647}) {
        auto const p = tp::process::open(tp::tgid{number});
        REQUIRE_FALSE(p.has_value());
        CHECK(p.error() == tp::error{errc::vanished, tp::kernel_file::process, ENOENT, tp::leader_of(tp::tgid{number}), 0});
    }
    // a thread belongs to its own process only
    tp::tests::child const c;
    CHECK(tp::thread::open({tp::tgid{getpid()}, tp::tid{c.pid()}}).error().code == errc::vanished);
    CHECK(tp::process::open(tp::tgid{1}, "/nonexistent").error().file == tp::kernel_file::proc);
}

TEST_CASE("a handle takes over another's place")
{
    tp::tests::child const c;
    auto p = self();
    auto other = tp::process::open(c.id());
    REQUIRE(other.has_value());
    p = std::move(other.value());
    CHECK(p.id().tgid == c.id());
    tp::buffer<> memory;
    CHECK(p.read<pf::stat>(memory).value().pid.value == c.pid());
}

TEST_CASE("the children of a process are those of all its threads")
{
    std::vector<tp::tests::child> children;
    children.emplace_back();
    // A process's child belongs to the thread that forked it; it ends with that thread, so the threads wait.
    std::mutex mutex;
    std::condition_variable changed;
    bool end = false;
    std::size_t ready = 0;
    std::vector<std::thread> parents;
    for (int i = 0; i < 3; ++i) {
        parents.emplace_back([&] {
            tp::tests::child one;
            tp::tests::child two;
            std::unique_lock lock{mutex};
            children.push_back(std::move(one));
            children.push_back(std::move(two));
            ++ready;
            changed.notify_all();
            changed.wait(lock, [&] { return end; });
        });
    }
    {
        std::unique_lock lock{mutex};
        changed.wait(lock, [&] { return ready == 3; });
    }
    auto const p = self();
    for (int round = 0; round < 2; ++round) {
        std::set<int> found;
        auto range = p.children();
        for (auto const& id : range) CHECK(found.insert(id.value).second);
        REQUIRE(range.status().has_value());
        std::set<int> wanted;
        for (auto const& c : children) wanted.insert(c.pid());
        CHECK(found == wanted);
    }
    // one thread's file tells its own
    tp::buffer<> memory;
    auto const leader = p.thread(tp::tid{getpid()});
    REQUIRE(leader.has_value());
    auto const own = leader.value().read<pf::children>(memory);
    REQUIRE(own.has_value());
    CHECK(own.value().ids.text() == std::to_string(children.front().pid()) + " ");
    {
        std::lock_guard const lock{mutex};
        end = true;
    }
    changed.notify_all();
    children.clear();
    for (auto& t : parents) t.join();
}

TEST_CASE("a list of children longer than any buffer comes whole")
{
    constexpr int count = 700; // more than a page of them
    std::vector<tp::tests::child> children;
    for (int i = 0; i < count; ++i) children.emplace_back();
    auto const p = self();
    std::set<int> found;
    auto range = p.children();
    for (auto const& id : range) found.insert(id.value);
    REQUIRE(range.status().has_value());
    CHECK(found.size() == count);

    auto const leader = p.thread(tp::tid{getpid()});
    tp::buffer<16384> memory;
    auto const own = leader.value().read<pf::children>(memory);
    REQUIRE(own.has_value());
    int own_count = 0;
    for (auto const id : own.value().ids) own_count += static_cast<int>(found.count(id.value));
    CHECK(own_count == count);
}

TEST_CASE("a child id that may have been cut is not handed out")
{
    tp::tests::temporary_directory const tree;
    auto const task = tree.path() + "/7/task/7";
    std::filesystem::create_directories(task);
    auto const ids = [&](char const* text) {
        std::ofstream{task + "/children"} << text;
        auto const p = tp::process::open(tp::tgid{7}, tree.path().c_str());
        REQUIRE(p.has_value());
        auto range = p.value().children();
        std::vector<int> found;
        for (auto const& id : range) found.push_back(id.value);
        REQUIRE_FALSE(range.status().has_value());
        CHECK(range.status().error().code == errc::truncated);
        return found;
    };
    CHECK(ids("12 13 1") == std::vector{12, 13}); // 1, or the beginning of 14
    CHECK(ids("12").empty());
}

TEST_CASE("descriptors come with what they stand for")
{
    int pipe_fds[2];
    REQUIRE(pipe(pipe_fds) == 0);
    auto const socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    auto const null_fd = open("/dev/null", O_RDONLY);
    auto const p = self();
    std::map<int, std::string> found;
    auto range = p.fds();
    for (auto const& [number, target] : range) {
        REQUIRE(target.has_value());
        CHECK(found.emplace(number, target.value().target).second);
        if (number == pipe_fds[0]) CHECK(target.value().kind() == pf::fd_kind::pipe);
        if (number == socket_fd) CHECK(target.value().kind() == pf::fd_kind::socket);
    }
    CHECK(range.status().has_value());
    CHECK(found[null_fd] == "/dev/null");
    CHECK(found[pipe_fds[0]] == found[pipe_fds[1]]);
    CHECK(found[pipe_fds[0]].starts_with("pipe:["));
    CHECK(found[socket_fd].starts_with("socket:["));
    for (auto const& [number, target] : found) {
        if (fcntl(number, F_GETFD) < 0) continue; // the walk's own
        char memory[4096];
        auto const size = readlink(("/proc/self/fd/" + std::to_string(number)).c_str(), memory, sizeof memory);
        CHECK(target == std::string(memory, static_cast<std::size_t>(size)));
    }
    for (auto const fd : {pipe_fds[0], pipe_fds[1], socket_fd, null_fd}) close(fd);
}

TEST_CASE("a process without descriptors has none, and that is no error")
{
    tp::tests::child const c{[] {}, [] {
        for (int fd = 0; fd < 1024; ++fd) close(fd);
        prctl(PR_SET_NAME, "all closed");
        tp::tests::wait_for_ever();
    }};
    auto const p = tp::process::open(c.id());
    REQUIRE(p.has_value());
    tp::buffer<> memory;
    for (int i = 0; i < 1000 && p.value().read<pf::comm>(memory).value().name != "all closed"; ++i) usleep(10'000);
    auto range = p.value().fds();
    int count = 0;
    for (auto const& one : range) count += one.number >= 0;
    CHECK(count == 0);
    CHECK(range.status().has_value());
}

TEST_CASE("links of a process name its files")
{
    auto const p = self();
    tp::buffer<> memory;
    char path[4096];
    auto const exe = p.read<pf::exe>(memory);
    REQUIRE(exe.has_value());
    auto const size = readlink("/proc/self/exe", path, sizeof path);
    CHECK(exe.value().target == std::string_view(path, static_cast<std::size_t>(size)));
    auto const cwd = p.read<pf::cwd>(memory);
    REQUIRE(cwd.has_value());
    CHECK(cwd.value().target == getcwd(path, sizeof path));
    CHECK(p.read<pf::root>(memory).value().target == "/");
    // memory that the target just fills may have cut it
    auto const cut = p.read<pf::exe>({memory.data(), static_cast<std::size_t>(size)});
    REQUIRE_FALSE(cut.has_value());
    CHECK(cut.error().code == errc::truncated);
}

TEST_CASE("arguments, environment and auxiliary vector are the process's own")
{
    auto const p = self();
    tp::buffer<131072> memory;
    auto const arguments = p.read<pf::cmdline>(memory);
    REQUIRE(arguments.has_value());
    CHECK((*arguments.value().arguments.begin()).ends_with("process"));
    auto const variables = p.read<pf::environ>(memory);
    REQUIRE(variables.has_value());
    auto const short_of_memory = p.read<pf::stat>({memory.data(), 10});
    REQUIRE_FALSE(short_of_memory.has_value());
    CHECK(short_of_memory.error() == tp::error{errc::truncated, tp::kernel_file::stat, 0, p.id(), 10});
}

TEST_CASE("one entry of a directory is read by its number or name")
{
    auto const p = self();
    tp::buffer<4096> memory;
    int const counter = eventfd(42, EFD_CLOEXEC);
    REQUIRE(counter >= 0);
    auto const info = p.read_entry<pf::fdinfo>(counter, memory);
    REQUIRE(info.has_value());
    REQUIRE(info.value().eventfd_count.has_value());
    CHECK(info.value().eventfd_count->value == 42);
    CHECK(p.read_entry<pf::fd_target>(counter, memory).value().name() == "eventfd");
    CHECK(p.thread(tp::tid{getpid()}).value().read_entry<pf::fd_target>(counter, memory).value().name() == "eventfd");
    close(counter);

    struct stat namespace_file {};
    REQUIRE(stat("/proc/self/ns/mnt", &namespace_file) == 0);
    auto const mnt = p.read_entry<pf::ns>("mnt", memory);
    REQUIRE(mnt.has_value());
    CHECK(mnt.value().type == "mnt");
    CHECK(mnt.value().inode == namespace_file.st_ino);
}

TEST_CASE("an entry that is not there, and a task that is not there, are told apart")
{
    auto const p = self();
    tp::buffer<4096> memory;
    auto const code = [](auto const& read) { return read ? errc{} : read.error().code; };
    int const closed = dup(0 <= fcntl(0, F_GETFD) ? 0 : 2);
    REQUIRE(closed >= 0);
    close(closed);
    CHECK(code(p.read_entry<pf::fdinfo>(closed, memory)) == errc::unsupported);
    CHECK(code(p.read_entry<pf::fd_target>(closed, memory)) == errc::unsupported);
    CHECK(code(p.read_entry<pf::ns>("future", memory)) == errc::unsupported);
    CHECK(code(p.read_entry<pf::fdinfo>(-1, memory)) == errc::invalid);
    for (auto const name : {"", ".", "..", "../stat", "a/b", "a name that is longer than any namespace there is"})
        CHECK(code(p.read_entry<pf::ns>(name, memory)) == errc::invalid);

    tp::tests::child zombie;
    auto const dead = tp::process::open(zombie.id());
    zombie.kill();
    zombie.await_end();
    REQUIRE(dead.has_value());
    CHECK(code(dead.value().read_entry<pf::ns>("mnt", memory)) == errc::zombie);
    zombie.reap();
    CHECK(code(dead.value().read_entry<pf::ns>("mnt", memory)) == errc::vanished);
    CHECK(code(dead.value().read_entry<pf::fdinfo>(0, memory)) == errc::vanished);
}
