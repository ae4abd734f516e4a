// SPDX-License-Identifier: BSL-1.0
// What does this kernel file say of that task? Any file that the library decodes, as JSON.

#include "common/json.hpp"
#include "common/program.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace examples;

/// Texts grow with what a task does (arguments, groups, descriptors): where the memory is too small it is doubled, up to this.
constexpr std::size_t largest_text = std::size_t{256} << 20;

constexpr auto every_field = [](auto const& file) { return json_of(file); };
constexpr auto only_field = [](auto const& file) { return json_of(file).front(); }; // of `comm`, `cgroup`, `exe`

/// `State` with the kernel's word behind the letter, `S (sleeping)`: the record keeps the letter.
constexpr auto status_fields = [](pf::status const& status) {
    auto out = json_of(status);
    auto const& state = status.state;
    if (state && !state->name().empty()) out["State"] = fmt::format("{} ({})", state->letter, state->name());
    return out;
};

/// Keyed by `AT_*`, or by the number of a key without a name.
constexpr auto auxv_entries = [](pf::auxv const& auxv) {
    auto out = json::object();
    using k = pf::auxv_key;
    constexpr k addresses[] = {k::phdr, k::base, k::entry, k::platform, k::base_platform, k::random,
                               k::execfn, k::sysinfo, k::sysinfo_ehdr};
    for (auto const [key, value] : auxv.entries) {
        bool const is_address = std::ranges::find(addresses, key) != std::end(addresses);
        std::string name{pf::name_of(key)};
        if (name.empty()) name = std::to_string(static_cast<std::uint64_t>(key));
        out[name] = is_address ? hex_json(value) : json_of(value);
    }
    return out;
};

/// Only an epoll instance has targets.
constexpr auto fdinfo_fields = [](pf::fdinfo const& info) {
    auto out = json_of(info);
    if (info.epoll_targets.empty()) out.erase("tfd");
    return out;
};

/// `running`, or where it is blocked, as far as the kernel tells.
constexpr auto syscall_or_running = [](pf::syscall const& call) {
    return call.kind == pf::syscall::form::running ? json("running") : json_of(call);
};

/// A line of `maps`; in other files the numbers that stand below it too.
json vma_fields(pf::vma const& vma, json const& numbers = json::object())
{
    auto out = json_of(vma);
    if (vma.path_truncated) out["path_truncated"] = true;
    out.update(numbers);
    return out;
}
constexpr auto maps_row = [](pf::vma const& vma) { return vma_fields(vma); };
constexpr auto smaps_row = [](pf::smap const& smap) { return vma_fields(smap.mapping, json_of(smap)); };
constexpr auto rollup = [](pf::smaps_rollup const& sums) { return vma_fields(sums.span, json_of(sums)); };

/// Reads the files of one task.
class task_files {
public:
    explicit task_files(tp::process const& process) : task_{process}, process_{&process} {}
    explicit task_files(tp::thread const& thread) : task_{thread} {}

    /// Could everything be read so far?
    [[nodiscard]] bool complete() const { return complete_; }

    /// A file of one record.
    template <class File, auto Convert>
    json record() { return grown<File, Convert>([this](tp::lent_buffer memory) { return task_.read<File>(memory); }); }

    json maps()
    {
        std::vector<char> memory(longest_line);
        auto range = task_.maps(memory);
        return elements(range, maps_row);
    }

    json smaps()
    {
        std::vector<char> memory(longest_line);
        auto range = task_.smaps(memory);
        return elements(range, smaps_row);
    }

    /// The kernel keeps a list for each thread; a process's children are those of all.
    json children()
    {
        if (process_ == nullptr) return record<pf::children, only_field>();
        auto range = process_->children();
        return elements(range, [](tp::tgid child) { return json_of(child); });
    }

    /// One entry of a directory: `fd/3`, `fdinfo/3`.
    template <class File, auto Convert>
    json entry(std::string const& name)
    {
        return grown<File, Convert>([&](tp::lent_buffer memory) { return task_.read_entry<File>(std::string_view{name}, memory); });
    }

    json descriptors()
    {
        auto out = json::object();
        tp::fd_walk range{task_.id().tgid, task_.directory()};
        for (auto const& [number, file] : range)
            out[std::to_string(number)] = file ? only_field(file.value()) : refuse(file.error());
        if (auto const status = range.status(); !status) return refuse(status.error());
        return out;
    }

    json descriptor_infos()
    {
        auto listed = descriptors();
        if (listed.contains("error")) return listed;
        std::vector<std::string> numbers;
        for (auto const& descriptor : listed.items()) numbers.push_back(descriptor.key());
        return those_there<pf::fdinfo, fdinfo_fields>(numbers);
    }

    json namespaces() { return those_there<pf::ns, every_field>(pf::namespace_links); }

    json refuse(tp::error const& why)
    {
        complete_ = false;
        return json_of(why);
    }

    /// For a name that no decoder answers to.
    json refuse_unknown(std::string const& name)
    {
        auto out = refuse({tp::errc::unsupported, tp::kernel_file::none, 0, task_.id(), 0});
        out["error"]["message"] = harmless(name) + " is no kernel file that is decoded here; see --help";
        return out;
    }

private:
    static constexpr std::size_t longest_line = std::size_t{1} << 20; // of `maps`: paths of more than 80 KiB have been seen

    [[nodiscard]] static bool is_refusal(json const& answer, tp::errc code)
    {
        return answer.is_object() && answer.contains("error") && answer["error"]["code"] == tp::name_of(code);
    }

    /// Entries of a directory by name. One that is not there (a descriptor closed after the listing, a namespace of a later
    /// kernel or that a zombie has left) is left out.
    template <class File, auto Convert, class Names>
    json those_there(Names const& names)
    {
        auto out = json::object();
        for (auto const& name : names) {
            auto const were_complete = complete_;
            auto one = entry<File, Convert>(std::string{name});
            if (is_refusal(one, tp::errc::unsupported) || is_refusal(one, tp::errc::zombie)) complete_ = were_complete;
            else out[std::string{name}] = std::move(one);
        }
        return out;
    }

    template <class File, auto Convert, class Read>
    json grown(Read read)
    {
        for (std::vector<char> memory(File::typical_size);; memory.resize(2 * memory.size())) {
            tp::result<File> const file = read(tp::lent_buffer{memory});
            if (file) return Convert(file.value());
            bool const outgrown = file.error().code == tp::errc::truncated && file.error().offset == memory.size();
            if (!outgrown || memory.size() >= largest_text) return refuse(file.error());
        }
    }

    template <class Range, class Convert>
    json elements(Range& range, Convert convert)
    {
        auto out = json::array();
        for (auto const& element : range) out.push_back(convert(element));
        if (auto const status = range.status(); !status) return refuse(status.error());
        return out;
    }

    tp::task_handle const& task_;
    tp::process const* process_ = nullptr;
    bool complete_ = true;
};

struct decoded_file {
    std::string_view name;
    json (task_files::*read)();
};

constexpr decoded_file decoded_files[] = {
    {"auxv", &task_files::record<pf::auxv, auxv_entries>},
    {"cgroup", &task_files::record<pf::cgroup, only_field>},
    {"children", &task_files::children},
    {"cmdline", &task_files::record<pf::cmdline, only_field>},
    {"comm", &task_files::record<pf::comm, only_field>},
    {"cwd", &task_files::record<pf::cwd, only_field>},
    {"environ", &task_files::record<pf::environ, only_field>},
    {"exe", &task_files::record<pf::exe, only_field>},
    {"fd", &task_files::descriptors},
    {"fdinfo", &task_files::descriptor_infos},
    {"io", &task_files::record<pf::io, every_field>},
    {"limits", &task_files::record<pf::limits, every_field>},
    {"maps", &task_files::maps},
    {"ns", &task_files::namespaces},
    {"oom_score", &task_files::record<pf::oom_score, only_field>},
    {"oom_score_adj", &task_files::record<pf::oom_score_adj, only_field>},
    {"root", &task_files::record<pf::root, only_field>},
    {"schedstat", &task_files::record<pf::schedstat, every_field>},
    {"smaps", &task_files::smaps},
    {"smaps_rollup", &task_files::record<pf::smaps_rollup, rollup>},
    {"stack", &task_files::record<pf::stack, only_field>},
    {"stat", &task_files::record<pf::stat, every_field>},
    {"statm", &task_files::record<pf::statm, every_field>},
    {"status", &task_files::record<pf::status, status_fields>},
    {"syscall", &task_files::record<pf::syscall, syscall_or_running>},
    {"wchan", &task_files::record<pf::wchan, only_field>},
};

using reader = std::function<json(task_files&)>;

/// What reads the file called \p name, or says that it is none that is decoded.
reader reader_of(std::string_view name)
{
    for (auto const& file : decoded_files)
        if (file.name == name) return file.read;
    auto const slash = name.find('/');
    auto const folder = name.substr(0, slash);
    std::string const entry{slash == name.npos ? "" : name.substr(slash + 1)};
    bool const is_number = tp::io::number_in(entry) >= 0;
    bool const is_word = !entry.empty() && entry.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == entry.npos;
    if (folder == "fd" && is_number) return [=](task_files& files) { return files.entry<pf::fd_target, only_field>(entry); };
    if (folder == "fdinfo" && is_number) return [=](task_files& files) { return files.entry<pf::fdinfo, fdinfo_fields>(entry); };
    if (folder == "ns" && is_word) return [=](task_files& files) { return files.entry<pf::ns, every_field>(entry); };
    return [name = std::string{name}](task_files& files) { return files.refuse_unknown(name); };
}

std::string decoded_names()
{
    std::string names = "FILE is one of:";
    for (auto const& file : decoded_files) {
        auto const column = names.size() - (names.rfind('\n') + 1); // npos + 1 is 0
        names += fmt::format("{}{}", column + file.name.size() > 76 ? "\n  " : " ", file.name);
    }
    return names + "\nor one entry of a directory: fd/NUMBER, fdinfo/NUMBER, ns/NAME.";
}

int proc_json(CLI::App& options, command_line const& arguments)
{
    std::string root = "/proc";
    target who;
    std::vector<std::string> names;

    options.description("Prints kernel files of a process, or of one of its threads, as JSON.");
    options.add_option("--root", root, "a recorded tree, or a container's /proc")->type_name("DIR");
    options.add_option("TASK", who, "TGID, or TGID/TID for the files below task/TID")->required()->type_name("");
    options.add_option("FILE", names, "names of kernel files")->required()->type_name("");
    options.footer(decoded_names());
    arguments.read();

    auto const id = who.id();
    json answers = {{"tgid", id.tgid.value}, {"tid", id.tid.value}, {"files", json::object()}};
    auto const read_all = [&](auto const& handle) {
        if (!handle) {
            for (auto const& name : names) answers["files"][name] = json_of(handle.error());
            return false;
        }
        task_files files{handle.value()};
        for (auto const& name : names) answers["files"][name] = reader_of(name)(files);
        return files.complete();
    };
    bool const complete = who.thread ? read_all(tp::thread::open(id, root.c_str()))
                                     : read_all(tp::process::open(id.tgid, root.c_str()));
    print_json(answers, 3);
    return complete ? all_told : something_unread;
}

} // namespace

int main(int argc, char** argv) { return run(proc_json, "proc_json", argc, argv); }
