// SPDX-License-Identifier: BSL-1.0

/// \file
/// The main function of every test program: doctest's, plus a closing line `N passed, N failed, N skipped` that `./dev test`
/// reads, skips with reasons, and the rule that a test case without an assertion has failed.

#include "skip.hpp"

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <string>

#include <unistd.h>

namespace {

struct tally {
    int passed = 0, failed = 0, skipped = 0;
    char const* running = nullptr;
    bool asked_to_skip = false;
    std::string reason;
};

tally counts;

class tally_listener final : public doctest::IReporter {
public:
    explicit tally_listener(doctest::ContextOptions const&) {}

    void test_case_start(doctest::TestCaseData const& test) override
    {
        counts.running = test.m_name;
        counts.asked_to_skip = false;
    }

    void test_case_end(doctest::CurrentTestCaseStats const& stats) override
    {
        if (!stats.testCaseSuccess) {
            ++counts.failed;
            std::printf("FAIL %s\n", counts.running);
        } else if (counts.asked_to_skip) {
            ++counts.skipped;
            std::printf("SKIP %s: %s\n", counts.running, counts.reason.c_str());
        } else if (stats.numAssertsCurrentTest == 0) {
            ++counts.failed;
            std::printf("FAIL %s: it asserts nothing\n", counts.running);
        } else {
            ++counts.passed;
        }
        std::fflush(stdout);
    }

    void report_query(doctest::QueryData const&) override {}
    void test_run_start() override {}
    void test_run_end(doctest::TestRunStats const&) override {}
    void test_case_reenter(doctest::TestCaseData const&) override {}
    void test_case_exception(doctest::TestCaseException const&) override {}
    void subcase_start(doctest::SubcaseSignature const&) override {}
    void subcase_end() override {}
    void log_assert(doctest::AssertData const&) override {}
    void log_message(doctest::MessageData const&) override {}

    void test_case_skipped(doctest::TestCaseData const& test) override
    {
        if (!test.m_skip) return; // left out by a filter of the command line
        ++counts.skipped;
        std::printf("SKIP %s: marked doctest::skip()\n", test.m_name);
    }
};

DOCTEST_REGISTER_LISTENER("tally", 1, tally_listener);

} // namespace

void taskpeek::tests::skip(std::string_view reason)
{
    counts.asked_to_skip = true;
    counts.reason = reason;
}

int main(int argc, char** argv)
{
    auto const self = getpid();
    doctest::Context context(argc, argv);
    auto const status = context.run();
    if (getpid() != self) _exit(125); // a test's child came back from its test case: no result of this run
    if (context.shouldExit()) return status;

    if (counts.passed + counts.failed + counts.skipped == 0) {
        ++counts.failed;
        std::printf("FAIL no test case ran\n");
    }
    std::printf("%d passed, %d failed, %d skipped\n", counts.passed, counts.failed, counts.skipped);
    return status != 0 ? status : counts.failed != 0 ? 1 : 0;
}
