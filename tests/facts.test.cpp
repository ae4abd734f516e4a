// SPDX-License-Identifier: BSL-1.0
#include "skip.hpp"
#include "support/child.hpp"
#include "support/specimen.hpp"

#include <taskpeek/taskpeek.hpp>
#include <taskpeek/vas/facts.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <elf.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tp = taskpeek;
namespace vas = taskpeek::vas;

TEST_CASE("the facts of a process are those that it was told itself")
{
    tp::tests::child const other{[] {}};
    auto const process = tp::process::open(tp::tgid{other.pid()});
    REQUIRE(process);
    std::string call = "running"; // until it is in its pause(2) it has no stack pointer to tell
    for (int tries = 0; tries < 10'000 && call == "running"; ++tries) {
        usleep(1000);
        std::ifstream{"/proc/" + std::to_string(other.pid()) + "/syscall"} >> call;
    }
    std::vector<vas::image> images(64);
    std::vector<vas::stack_pointer> pointers(16);
    auto const gathered = vas::gather(process.value(), {images, pointers});
    REQUIRE(gathered);
    auto const& f = gathered.value();
    CHECK(f.failure_count == 0);
    CHECK(f.word_size == sizeof(void*)); // a fork has its parent's
    CHECK(f.page_size == getauxval(AT_PAGESZ));
    CHECK(f.entry->value == getauxval(AT_ENTRY));
    CHECK(f.phdr->value == getauxval(AT_PHDR));
    CHECK(f.linker->value == getauxval(AT_BASE));
    CHECK(f.vdso->value == getauxval(AT_SYSINFO_EHDR));
    rlimit limit{};
    getrlimit(RLIMIT_STACK, &limit);
    REQUIRE(f.stack_limit);
    CHECK(tp::to_rlim(*f.stack_limit) == limit.rlim_cur);
    std::ifstream file{"/proc/sys/vm/mmap_min_addr"};
    std::uint64_t least = 0;
    file >> least;
    CHECK(f.mmap_min_addr.value_or(0) == least);
    CHECK(f.threads == 1);
    REQUIRE(f.stack_pointers.size() == 1);
    CHECK(f.stack_pointers[0].thread.value == other.pid());

    int programs = 0, linkers = 0;
    for (auto const& i : f.images) {
        CHECK(i.has_headers());
        CHECK(i.verified);
        if (i.role == vas::image_role::program) { ++programs; CHECK(i.spans(*f.entry)); }
        if (i.role == vas::image_role::dynamic_linker) { ++linkers; CHECK(i.spans(*f.linker)); }
    }
    CHECK(programs == 1);
    CHECK(linkers == 1);
    CHECK(std::is_sorted(f.images.begin(), f.images.end(), [](auto const& a, auto const& b) { return a.end <= b.start; }));
}

TEST_CASE("too little memory loses images and stack pointers, and says how many there are")
{
    tp::tests::specimen const s{"vas-specimen-pie"};
    if (!s.is_there()) return tp::tests::skip("the specimen could not be built here");
    auto const process = tp::process::open(tp::tgid{s.pid()});
    REQUIRE(process);
    vas::image image[1];
    vas::stack_pointer pointer[2];
    auto const gathered = vas::gather(process.value(), {image, pointer});
    REQUIRE(gathered);
    CHECK(gathered.value().images.size() == 1);
    CHECK(gathered.value().images_wanted == 3);
    CHECK(gathered.value().stack_pointers.size() == 2);
    auto const stacks = s.of("thread_stack").size() + s.of("main_stack").size() + 1; // and one in .bss
    CHECK(gathered.value().stack_pointers_wanted == stacks);
    CHECK(gathered.value().threads == stacks);
    auto const nothing = vas::gather(process.value(), {});
    REQUIRE(nothing);
    CHECK(nothing.value().images.empty());
}

TEST_CASE("who may not look is told what was kept back")
{
    if (getuid() != 0) return tp::tests::skip("only root may become nobody");
    tp::tests::specimen const s{"vas-specimen-pie"};
    if (!s.is_there()) return tp::tests::skip("the specimen could not be built here");
    int outcome[2];
    REQUIRE(pipe(outcome) == 0);
    tp::tests::child const nobody{[&] {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(1);
        auto const process = tp::process::open(tp::tgid{s.pid()});
        std::vector<vas::image> images(64);
        std::vector<vas::stack_pointer> pointers(64);
        auto const gathered = vas::gather(process.value(), {images, pointers});
        char const said = gathered ? 'y' : gathered.error().code == tp::errc::denied ? 'd' : 'x';
        (void)!write(outcome[1], &said, 1);
    }};
    char said = 0;
    REQUIRE(read(outcome[0], &said, 1) == 1);
    CHECK(said == 'd');
    close(outcome[0]);
    close(outcome[1]);
}
