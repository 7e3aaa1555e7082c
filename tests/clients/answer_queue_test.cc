#include "clients/cpp/src/answer_queue.h"

#include <doctest/doctest.h>

namespace andyx::client {

TEST_CASE("neighbouring answers of a kind travel as one range, whatever their order") {
  AnswerQueue queue;
  for (Offset offset : {5, 6, 7, 1, 3, 2, 20})
    queue.add(AnswerKind::kAcknowledge, {offset, offset});
  const auto group = queue.take(100);
  REQUIRE(group.ranges.size() == 3);
  CHECK(group.ranges[0].first == 1);
  CHECK(group.ranges[0].last == 3);
  CHECK(group.ranges[1].first == 5);
  CHECK(group.ranges[1].last == 7);
  CHECK(group.ranges[2].first == 20);
  CHECK(group.given == 7);
  CHECK(queue.empty());
}

TEST_CASE("kinds do not overtake each other") {
  AnswerQueue queue;
  queue.add(AnswerKind::kUnacknowledge, {4, 4});
  queue.add(AnswerKind::kAcknowledge, {4, 5});
  CHECK(queue.take(10).kind == AnswerKind::kUnacknowledge);
  CHECK(queue.take(10).kind == AnswerKind::kAcknowledge);
}

TEST_CASE("a request holds no more ranges than asked for, the rest follows") {
  AnswerQueue queue;
  for (Offset offset = 0; offset < 10; ++offset)
    queue.add(AnswerKind::kSkip, {offset * 2, offset * 2});
  const auto first = queue.take(4);
  CHECK(first.ranges.size() == 4);
  CHECK(first.given == 4);
  const auto rest = queue.take(100);
  CHECK(rest.ranges.size() == 6);
  CHECK(rest.ranges.front().first == 8);
  CHECK(rest.given == 6);
  CHECK(queue.empty());
}

TEST_CASE("different delays travel apart") {
  AnswerQueue queue;
  queue.add(AnswerKind::kUnacknowledge, {1, 1}, 100);
  queue.add(AnswerKind::kUnacknowledge, {2, 2}, 100);
  queue.add(AnswerKind::kUnacknowledge, {3, 3}, 200);
  const auto first = queue.take(10);
  CHECK(first.delay_ms == 100);
  CHECK(first.given == 2);
  CHECK(queue.take(10).delay_ms == 200);
}

TEST_CASE("what is dropped is counted") {
  AnswerQueue queue;
  queue.add(AnswerKind::kAcknowledge, {1, 4});
  queue.add(AnswerKind::kSkip, {9, 9});
  CHECK(queue.clear() == 5);
  CHECK(queue.empty());
}

TEST_CASE("what is put back goes first") {
  AnswerQueue queue;
  queue.add(AnswerKind::kAcknowledge, {1, 1});
  auto first = queue.take(10);
  queue.add(AnswerKind::kAcknowledge, {9, 9});
  queue.put_back(std::move(first));
  CHECK(queue.take(10).ranges.front().first == 1);
  CHECK(queue.take(10).ranges.front().first == 9);
}

TEST_CASE("a refused request is tried again in halves, down to the message that is not ours") {
  AnswerQueue queue;
  queue.add(AnswerKind::kAcknowledge, {1, 3});
  queue.add(AnswerKind::kAcknowledge, {7, 8});
  auto group = queue.take(10);
  REQUIRE(queue.put_back_halves(group));
  auto first = queue.take(10);
  CHECK(first.given == 2);
  REQUIRE(first.ranges.size() == 1);
  CHECK(first.ranges[0].last == 2);
  auto second = queue.take(10);
  CHECK(second.given == 3);
  REQUIRE(second.ranges.size() == 2);
  CHECK(second.ranges[0].first == 3);
  CHECK(second.ranges[1].last == 8);
  CHECK(queue.empty());
  AnswerQueue::Group one{.kind = AnswerKind::kSkip, .ranges = {{5, 5}}, .given = 1};
  CHECK_FALSE(queue.put_back_halves(one));
  CHECK(queue.empty());
}

TEST_CASE("an answer given twice counts twice and travels once") {
  AnswerQueue queue;
  queue.add(AnswerKind::kAcknowledge, {3, 5});
  queue.add(AnswerKind::kAcknowledge, {4, 6});
  const auto group = queue.take(10);
  REQUIRE(group.ranges.size() == 1);
  CHECK(group.ranges[0].count() == 4);
  CHECK(group.given == 6);
}

}  // namespace andyx::client
