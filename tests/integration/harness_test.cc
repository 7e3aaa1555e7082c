// The judges and the process helpers of the integration suites: a judge that misses a fault would
// make every other suite worthless.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "tests/integration/support/delivery_ledger.h"
#include "tests/integration/support/process.h"

namespace andyx::test {
namespace {

void store(DeliveryLedger& ledger, std::uint32_t partition, Offset offset, MessageId id,
           std::optional<std::string_view> key = std::nullopt) {
  ledger.stored(partition, offset, payload_of(id, 0), key);
}

TEST_CASE("the ledger accepts what keeps the promises") {
  DeliveryLedger ledger;
  ledger.acknowledged({1, 0}, 0, 0);
  ledger.acknowledged({2, 0}, 0, 1);
  store(ledger, 0, 0, {1, 0}, "a");
  store(ledger, 0, 1, {2, 0});
  store(ledger, 0, 2, {1, 1}, "a");  // stored, its acknowledgement lost: allowed
  store(ledger, 1, 0, {1, 2}, "b");
  ledger.require_stored(ledger.mark());
  CHECK(ledger.violations().count() == 0);
  CHECK(ledger.messages_stored() == 4);
  CHECK(ledger.stored_end(0) == 3);
  CHECK(ledger.stored_end(7) == 0);
}

TEST_CASE("the ledger sees an acknowledged message that is lost") {
  DeliveryLedger ledger;
  store(ledger, 0, 0, {1, 0});
  ledger.acknowledged({1, 1}, 0, 1);
  ledger.require_stored(0);
  CHECK(ledger.violations().count() == 0);  // acknowledged after the mark: not judged yet
  ledger.require_stored(ledger.mark());
  CHECK(ledger.violations().count() == 1);
}

TEST_CASE("the ledger sees another message where one was acknowledged") {
  DeliveryLedger ledger;
  ledger.acknowledged({1, 0}, 0, 0);
  store(ledger, 0, 0, {2, 0});
  ledger.require_stored(ledger.mark());
  CHECK(ledger.violations().count() == 1);
}

TEST_CASE("the ledger sees duplicates, disorder, gaps, strangers and keys that move") {
  DeliveryLedger ledger;
  store(ledger, 0, 0, {1, 3}, "a");
  SUBCASE("the same message again in another partition") { store(ledger, 1, 0, {1, 3}); }
  SUBCASE("an earlier message of the producer behind a later one") {
    store(ledger, 0, 1, {1, 2}, "a");
  }
  SUBCASE("an offset that is missing") { store(ledger, 0, 2, {1, 4}); }
  SUBCASE("a payload that nobody sent") { ledger.stored(0, 1, "noise", std::nullopt); }
  SUBCASE("a key in two partitions") { store(ledger, 1, 0, {1, 4}, "a"); }
  CHECK_MESSAGE(ledger.violations().count() == 1, ledger.violations().text());
}

TEST_CASE(
    "the subscription's ledger allows redelivery until an answer was confirmed before a kill") {
  SubscriptionLedger ledger;
  for (Offset offset = 0; offset < 4; ++offset) ledger.delivered(1, 0, offset);
  ledger.confirmed(1, 0, 0, 1);
  ledger.delivered(1, 0, 0);  // crossed the confirmation on its way
  ledger.delivered(2, 0, 2);
  ledger.delivered(2, 0, 3);
  ledger.delivered(2, 0, 4);
  CHECK(ledger.violations().count() == 0);
  CHECK(ledger.redeliveries() == 3);
  CHECK(ledger.confirmed_count(0) == 2);
  CHECK(ledger.delivered_end(0) == 5);
}

TEST_CASE("the subscription's ledger sees a confirmed message again, and a message left out") {
  SubscriptionLedger ledger;
  ledger.delivered(1, 0, 0);
  ledger.confirmed(1, 0, 0, 0);
  SUBCASE("delivered again after a kill") { ledger.delivered(2, 0, 0); }
  SUBCASE("one is left out") { ledger.delivered(1, 0, 2); }
  CHECK(ledger.violations().count() == 1);
}

TEST_CASE("payloads carry their ids") {
  CHECK(payload_of({12, 34}, 10) == "12/34/....");
  CHECK(id_in(payload_of({12, 34}, 100)) == MessageId{12, 34});
  CHECK(id_in("12/34") == std::nullopt);
  CHECK(id_in("12/x/") == std::nullopt);
  CHECK(id_in("") == std::nullopt);
}

TEST_CASE("commands give their exit code, both outputs, and take their input") {
  const CommandResult result = run_command(
      {.argv = {"sh", "-c", "cat; echo oops >&2; exit 7"}, .input = std::string("a\0b\n", 4)});
  CHECK(result.exit_code == 7);
  CHECK(result.out == std::string("a\0b\n", 4));
  CHECK(result.err == "oops\n");
}

TEST_CASE("commands end at their deadline or by a signal") {
  CHECK(run_command({.argv = {"sleep", "600"}}, Millis(50)).exit_code == -1);
  CHECK(run_command({.argv = {"sh", "-c", "kill -TERM $$"}}).exit_code == 128 + SIGTERM);
}

TEST_CASE("settings of the machine do not reach what is tested") {
  setenv("ANDYX_SERVER", "elsewhere:1", 1);
  const CommandResult result =
      run_command({.argv = {"sh", "-c", "echo \"$ANDYX_SERVER,$ANDYX_LISTEN\""},
                   .environment = {"ANDYX_LISTEN=here:2"}});
  CHECK(result.out == ",here:2\n");
}

TEST_CASE("lines are cut at LF, empty ones included") {
  CHECK(split_lines("a\n\nb") == std::vector<std::string>{"a", "", "b"});
  CHECK(split_lines("").empty());
}

}  // namespace
}  // namespace andyx::test
