// Entry point of every integration suite, and the listener that remembers a failure, so that the
// directories and logs of a failed test are kept.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>

#include "tests/integration/support/failure_watch.h"

namespace {

struct FailureListener : doctest::IReporter {
  explicit FailureListener(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    if (stats.numTestCasesFailed > 0) andyx::test::note_failure();
  }
  void test_case_start(const doctest::TestCaseData&) override { andyx::test::forget_failure(); }
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {
    andyx::test::note_failure();
  }
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& data) override {
    if (data.m_failed) andyx::test::note_failure();
  }
  void log_message(const doctest::MessageData& data) override {
    if (data.m_severity != doctest::assertType::is_warn) andyx::test::note_failure();
  }
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

REGISTER_LISTENER("failure_watch", 1, FailureListener);

}  // namespace

int main(int argc, char** argv) {
  // A server that dies while a test writes to it is an answer (EPIPE), not the end of the test.
  std::signal(SIGPIPE, SIG_IGN);
  return doctest::Context(argc, argv).run();
}
