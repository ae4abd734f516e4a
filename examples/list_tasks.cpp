// SPDX-License-Identifier: BSL-1.0
// Which tasks are there? Processes or threads as a table, a tree, JSON, or just counted.

#include "common/json.hpp"
#include "common/program.hpp"

#include <pwd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace examples;

/// What is kept of one task: the walk's own texts are gone with its next step.
struct task {
    tp::task_id id;
    std::string comm;
    std::optional<pf::task_state> state;
    pf::task_flags flags;
    tp::tgid parent;
    std::optional<tp::uid> real, effective;
    std::optional<std::uint32_t> threads;
    std::optional<tp::error> problem; ///< what could not be read; the fields it would have told are empty

    [[nodiscard]] bool is_kernel_thread() const { return flags.has(pf::task_flag::kthread); }

    /// Has it exited, be it that nobody has reaped it yet?
    [[nodiscard]] bool has_exited() const { return state == pf::task_state::zombie || state == pf::task_state::dead; }

    /// A user thread that never runs in user mode: PF_IO_WORKER and PF_USER_WORKER (since 5.12 and 6.4). Their bits meant other
    /// things before, so the kernel's names for such threads have to agree.
    [[nodiscard]] bool is_worker() const
    {
        return ((flags.bits & 0x10) != 0 && comm.starts_with("iou-"))
            || ((flags.bits & 0x4000) != 0 && comm.starts_with("vhost-"));
    }
};

struct listing {
    std::vector<task> tasks;
    bool complete = true; ///< each task that was there could be read
};

/// Collects the tasks of a walk over `stat` and `status`: the one tells flags and parent, the other users and how many threads.
template <class Walk>
listing collect(Walk walk_over)
{
    std::vector<char> ids(std::size_t{1} << 20), text(std::size_t{1} << 20); // room for 32,768 threads, and for 65,536 groups
    tp::walk_options options;
    options.listing = ids;
    options.text = text;
    auto walk = walk_over(options);

    listing all;
    for (auto const& [id, stat, status] : walk) {
        auto& one = all.tasks.emplace_back();
        one.id = id;
        if (stat) {
            one.comm = stat.value().comm;
            one.state = stat.value().state;
            one.flags = stat.value().flags;
            one.parent = stat.value().ppid;
        } else {
            one.problem = stat.error();
        }
        if (status) {
            if (auto const& uid = status.value().uid) std::tie(one.real, one.effective) = std::pair{uid->real, uid->effective};
            one.threads = status.value().threads;
        } else {
            one.problem = status.error();
        }
        if (one.problem) {
            complain(*one.problem);
            all.complete = false;
        }
    }
    if (auto const status = walk.status(); !status) {
        complain(status.error());
        all.complete = false;
    }
    auto const incomplete = walk.report().possibly_incomplete;
    if (incomplete > 0) complain(fmt::format("of {} processes, threads may be missing", incomplete));
    return all;
}

using before = std::function<bool(task const&, task const&)>;

/// By \p key, and then by id, so that the order is always the same.
template <class Key>
before by(Key key)
{
    return [key](task const& a, task const& b) { return key(a) < key(b) || (key(a) == key(b) && a.id < b.id); };
}

std::map<std::string, before> const sort_keys = {
    {"tgid", by([](task const& t) { return t.id; })},
    {"tid", by([](task const& t) { return t.id.tid; })},
    {"name", by([](task const& t) -> std::string const& { return t.comm; })},
    {"comm", by([](task const& t) -> std::string const& { return t.comm; })},
    {"state", by([](task const& t) { return t.state ? t.state->letter : '?'; })},
    {"kernel_thread", by([](task const& t) { return t.is_kernel_thread(); })},
    {"ppid", by([](task const& t) { return t.parent; })},
    {"ruid", by([](task const& t) { return t.real; })},
    {"euid", by([](task const& t) { return t.effective; })},
    {"threads", by([](task const& t) { return -std::int64_t{t.threads.value_or(0)}; })}, // the most first
};

std::optional<tp::uid> find_user(std::string const& name)
{
    if (auto const* const entry = getpwnam(name.c_str())) return tp::uid{entry->pw_uid};
    tp::text::cursor in{name};
    auto const number = in.decimal<std::uint32_t>();
    if (!in.ok() || !in.at_end()) return std::nullopt;
    return tp::uid{number};
}

/// The stacks are counted, not seen: the kernel shows no stack as such.
/// - Kernel mode: each task has one from its creation on. An exited task's is freed when it leaves the CPU for the last time
///   (since 4.9; kernel/sched/core.c, finish_task_switch), long before somebody reaps the zombie. The stacks of the CPUs' idle
///   tasks and of interrupts belong to no task in /proc.
/// - User mode: each user thread that has not exited runs on one. Kernel threads have none, nor the workers that the kernel adds
///   to a process for io_uring and vhost. (A vfork child counts too, though it borrows its waiting parent's until execve.)
struct counts {
    std::uint64_t processes = 0, threads = 0, kernel_threads = 0, user_threads = 0, user_stacks = 0, kernel_stacks = 0;
    std::uint64_t unreadable = 0; ///< threads of which `stat` did not tell what they are

    explicit counts(std::vector<task> const& tasks)
    {
        std::set<tp::tgid> seen;
        for (auto const& t : tasks) {
            seen.insert(t.id.tgid);
            ++threads;
            if (!t.state) {
                ++unreadable;
                continue;
            }
            ++(t.is_kernel_thread() ? kernel_threads : user_threads);
            if (t.has_exited()) continue;
            ++kernel_stacks;
            if (!t.is_kernel_thread() && !t.is_worker()) ++user_stacks;
        }
        processes = seen.size();
    }

    [[nodiscard]] json as_json() const
    {
        json out = {{"processes", processes},
                    {"threads", threads},
                    {"kernel_threads", kernel_threads},
                    {"user_threads", user_threads},
                    {"user_mode_stacks", user_stacks},
                    {"kernel_mode_stacks", kernel_stacks}};
        if (unreadable > 0) out["unreadable"] = unreadable;
        return out;
    }
};

json json_of_task(task const& t)
{
    json out = {{"tgid", t.id.tgid.value}, {"tid", t.id.tid.value}};
    if (t.state) {
        out["comm"] = json_of(t.comm);
        out["state"] = json_of(*t.state);
        out["kernel_thread"] = t.is_kernel_thread();
        out["ppid"] = t.parent.value;
    }
    if (t.real) out["ruid"] = t.real->value;
    if (t.effective) out["euid"] = t.effective->value;
    if (t.threads) out["threads"] = *t.threads;
    if (t.problem) out.update(json_of(*t.problem));
    return out;
}

/// The rows of a table: ids first, the name last, since it alone may be long.
class task_table {
public:
    void add(task const& t, std::string const& indent = {})
    {
        auto const user = [](std::optional<tp::uid> id) { return id ? std::to_string(id->value) : "?"; };
        auto name = harmless(t.comm);
        if (t.is_kernel_thread()) name = '[' + name + ']';
        rows_.add({std::to_string(t.id.tgid.value),
                   std::to_string(t.id.tid.value),
                   t.state ? harmless({&t.state->letter, 1}) : "?",
                   !t.state ? "?" : t.is_kernel_thread() ? "kernel" : "user",
                   user(t.real),
                   user(t.effective),
                   !t.threads ? "?" : *t.threads > 1 ? std::to_string(*t.threads) : "-",
                   indent + (t.state ? name : "(not readable)")});
    }
    void print() const { rows_.print(); }

private:
    using align = table::align;
    table rows_{{{"TGID", align::right}, {"TID", align::right}, {"S", align::left}, {"KIND", align::left}, {"RUID", align::right},
                 {"EUID", align::right}, {"THREADS", align::right}, {"NAME", align::left}}};
};

/// A place in the tree: which task, and how far to the right.
struct tree_row {
    std::size_t task, depth;
};

/// Children below their parents, threads below their process. Whose parent is not listed stands at the left.
std::vector<tree_row> tree_of(std::vector<task> const& tasks)
{
    std::set<tp::tgid> processes;
    for (auto const& t : tasks)
        if (t.id.is_leader()) processes.insert(t.id.tgid);
    std::multimap<tp::tgid, std::size_t> below;
    std::vector<std::size_t> roots;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        auto const parent = tasks[i].id.is_leader() ? tasks[i].parent : tasks[i].id.tgid;
        if (processes.contains(parent)) below.emplace(parent, i);
        else roots.push_back(i);
    }

    std::vector<tree_row> rows;
    std::vector<bool> placed(tasks.size());
    auto const place_from = [&](std::size_t root) {
        std::vector<tree_row> next{{root, 0}}; // the next one last
        while (!next.empty()) {
            auto const [i, depth] = next.back();
            next.pop_back();
            if (placed[i]) continue;
            placed[i] = true;
            rows.push_back({i, depth});
            if (!tasks[i].id.is_leader()) continue;
            auto const first = next.size();
            auto const [begin, end] = below.equal_range(tasks[i].id.tgid);
            for (auto child = begin; child != end; ++child) next.push_back({child->second, depth + 1});
            std::reverse(next.begin() + static_cast<std::ptrdiff_t>(first), next.end());
        }
    };
    for (auto const root : roots) place_from(root);
    for (std::size_t i = 0; i < tasks.size(); ++i) place_from(i); // a walk is no snapshot: reused ids may make a ring of parents
    return rows;
}

void print_tree(std::vector<task> const& tasks)
{
    task_table rows;
    for (auto const [i, depth] : tree_of(tasks)) rows.add(tasks[i], depth == 0 ? "" : fmt::format("{:{}}\\_ ", "", 2 * (depth - 1)));
    rows.print();
}

void print_table(std::vector<task> const& tasks)
{
    task_table rows;
    for (auto const& t : tasks) rows.add(t);
    rows.print();
}

void print_tasks_json(std::vector<task> const& tasks, bool tree)
{
    auto list = json::array();
    if (tree) for (auto const& row : tree_of(tasks)) list.push_back(json_of_task(tasks[row.task]));
    else for (auto const& t : tasks) list.push_back(json_of_task(t));
    print_json(list, 1);
}

void print_counts(counts const& n)
{
    auto const line = [](std::uint64_t number, std::string_view what) { fmt::print("{:>8} {}\n", number, what); };
    line(n.processes, "processes");
    line(n.threads, "threads");
    line(n.kernel_threads, "  of the kernel");
    line(n.user_threads, "  of users");
    if (n.unreadable > 0) line(n.unreadable, "  not readable");
    line(n.user_stacks, "user-mode stacks");
    line(n.kernel_stacks, "kernel-mode stacks");
}

int list_tasks(CLI::App& options, command_line const& arguments)
{
    bool threads = false, tree = false, count = false, as_json = false;
    std::string root = "/proc", sort_key = "tgid", name, user;
    std::optional<tp::uid> uid;

    options.description("Lists the processes of this machine, or all their threads.");
    options.add_flag("-L,--threads", threads, "list each thread, not each process");
    options.add_flag("--tree", tree, "children below their parents; of JSON, behind them");
    options.add_flag("--count", count, "only count tasks, and the stacks that are alive");
    options.add_flag("--json", as_json, "print JSON");
    options.add_option("--root", root, "a recorded tree, or a container's /proc")->type_name("DIR");
    options.add_option("--sort", sort_key, "the order: tgid unless told, comm, threads, …")
        ->type_name("KEY")
        ->check([](std::string const& key) { return sort_keys.contains(key) ? std::string{} : harmless(key) + " is no key"; });
    options.add_option("--name", name, "only tasks with TEXT in their names")->type_name("TEXT");
    options.add_option("--user", user, "only tasks whose real or effective user is USER")
        ->type_name("USER")
        ->check([&](std::string const& text) {
            uid = find_user(text);
            return uid ? std::string{} : "there is no user " + harmless(text);
        });
    options.footer("KEY is one of the JSON's: tgid, tid, comm (or name), state, kernel_thread, ppid,\n"
                   "ruid, euid, or threads, of which the most come first.");
    options.callback([&] {
        if (tree && count) throw CLI::ValidationError("--tree", "is not counted");
    });
    arguments.read();

    // Counting needs the threads; and of a process the kernel would have to add up all its threads for `stat`.
    auto [tasks, complete] = threads || count
        ? collect([&](tp::walk_options walk) { walk.root = root.c_str(); return tp::threads<pf::stat, pf::status>(walk); })
        : collect([&](tp::walk_options walk) { walk.root = root.c_str(); return tp::processes<pf::stat, pf::status>(walk); });
    auto const is_wanted = [&](task const& t) {
        return t.comm.find(name) != t.comm.npos && (!uid || t.real == uid || t.effective == uid);
    };
    std::erase_if(tasks, std::not_fn(is_wanted));
    std::ranges::sort(tasks, sort_keys.at(sort_key));

    if (count && as_json) print_json(counts{tasks}.as_json(), 1);
    else if (count) print_counts(counts{tasks});
    else if (as_json) print_tasks_json(tasks, tree);
    else if (tree) print_tree(tasks);
    else print_table(tasks);
    return complete ? all_told : something_unread;
}

} // namespace

int main(int argc, char** argv) { return run(list_tasks, "list_tasks", argc, argv); }
