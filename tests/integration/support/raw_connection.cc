#include "tests/integration/support/raw_connection.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "protocol/batch/batch_builder.h"
#include "protocol/frame/frame_verify.h"

namespace andyx::test {
namespace {

bool wait_for(int fd, short events, Millis deadline) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  return poll(&entry, 1, static_cast<int>(std::max<Millis::rep>(deadline.count(), 0))) > 0;
}

Millis left_until(Clock::time_point end) {
  return std::chrono::duration_cast<Millis>(end - Clock::now());
}

std::string text_of(const flatbuffers::String* text) {
  return text == nullptr ? std::string() : text->str();
}

}  // namespace

RawConnection::RawConnection(std::uint16_t port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd_ >= 0);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE_MESSAGE(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
                  "connect to port ", port, ": ", std::string(std::strerror(errno)));
}

RawConnection::~RawConnection() {
  if (fd_ >= 0) close(fd_);
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      closed_(other.closed_),
      next_id_(other.next_id_),
      reader_(std::move(other.reader_)),
      on_pushed_(std::move(other.on_pushed_)) {}

bool RawConnection::send(ByteSpan bytes, Millis deadline) {
  const auto end = Clock::now() + deadline;
  while (!bytes.empty()) {
    const std::size_t taken = send_some(bytes);
    bytes = bytes.subspan(taken);
    if (closed_) return false;
    if (taken == 0 && !wait_for(fd_, POLLOUT, left_until(end))) return false;
  }
  return true;
}

std::size_t RawConnection::send_some(ByteSpan bytes) {
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno != EAGAIN && errno != EINTR) closed_ = true;
  return 0;
}

void RawConnection::end_sending() { shutdown(fd_, SHUT_WR); }

bool RawConnection::receive_more(Millis deadline) {
  if (closed_ || !wait_for(fd_, POLLIN, deadline)) return false;
  const std::span<std::uint8_t> room = reader_.receive_buffer();
  const ssize_t n = recv(fd_, room.data(), room.size(), 0);
  if (n < 0 && errno == EINTR) return true;
  if (n <= 0) {
    closed_ = true;
    return false;
  }
  reader_.received(static_cast<std::size_t>(n));
  return true;
}

std::optional<Received> RawConnection::receive(Millis deadline) {
  const auto end = Clock::now() + deadline;
  do {
    Result<std::optional<SharedBytes>> next = reader_.next();
    REQUIRE_MESSAGE(next.has_value(), "the server sent no frame: ", next.error().message);
    if (*next) {
      Received received{.bytes = std::move(**next), .frame = nullptr};
      const auto frame = frame::verify_frame(received.bytes.span());
      REQUIRE_MESSAGE(frame.has_value(), "the server sent a bad frame: ", frame.error().message);
      received.frame = *frame;
      return received;
    }
  } while (receive_more(left_until(end)));
  return std::nullopt;
}

bool RawConnection::wait_closed(Millis deadline) {
  const auto end = Clock::now() + deadline;
  std::uint8_t dropped[4096];
  while (!closed_ && wait_for(fd_, POLLIN, left_until(end))) {
    const ssize_t n = recv(fd_, dropped, sizeof dropped, 0);
    if (n == 0 || (n < 0 && errno != EINTR)) closed_ = true;
  }
  return closed_;
}

Received RawConnection::exchange(const Bytes& frame, std::uint64_t correlation_id) {
  REQUIRE_MESSAGE(send(frame), "the connection takes no request");
  const auto end = Clock::now() + kGenerous;
  while (std::optional<Received> received = receive(left_until(end))) {
    if (received->frame->correlation_id() == correlation_id) return std::move(*received);
    // A failing connection is told with correlation id 0, where the request could not be read.
    if (received->frame->correlation_id() == 0 && received->as<protocol::ErrorReply>() != nullptr) {
      return std::move(*received);
    }
    if (on_pushed_) on_pushed_(*received);
  }
  FAIL("no answer to request ", correlation_id,
       std::string(closed_ ? ": the connection was closed" : ""));
  return {};
}

void RawConnection::hello() {
  const Received answer = request<protocol::Hello>(
      [](Builder& builder) { return protocol::CreateHelloDirect(builder, 1, 1, "raw-test", "0"); });
  REQUIRE(answer.as<protocol::HelloReply>() != nullptr);
  REQUIRE(answer.as<protocol::HelloReply>()->version() == 1);
}

TopicId RawConnection::create_topic(std::string_view topic, std::uint32_t partitions) {
  const std::string path = "default/default/default/" + std::string(topic);
  const Received answer = request<protocol::TopicCreate>([&](Builder& builder) {
    return protocol::CreateTopicCreateDirect(builder, path.c_str(), partitions);
  });
  const auto* reply = answer.as<protocol::TopicReply>();
  REQUIRE_MESSAGE(reply != nullptr, "topic create is not answered by a TopicReply");
  REQUIRE(reply->topics() != nullptr);
  REQUIRE(reply->topics()->size() == 1);
  return reply->topics()->Get(0)->topic_id();
}

Received RawConnection::produce(Partition partition, ByteSpan batch) {
  return request<protocol::Produce>([&](Builder& builder) {
    const auto bytes = builder.CreateVector(batch.data(), batch.size());
    return protocol::CreateProduce(builder, partition.topic_id, partition.index, 0,
                                   protocol::Acks::main, bytes);
  });
}

Offset RawConnection::produce_text(Partition partition, std::string_view payload) {
  const Received answer = produce(partition, text_batch(payload));
  const auto* reply = answer.as<protocol::ProduceReply>();
  REQUIRE_MESSAGE(reply != nullptr, "a good batch was refused");
  return reply->base_offset();
}

Offset RawConnection::committed_offset(Partition partition) {
  const Received answer = request<protocol::LookupOffset>([&](Builder& builder) {
    const protocol::Start latest(protocol::StartKind::latest, 0);
    return protocol::CreateLookupOffset(builder, partition.topic_id, partition.index, &latest);
  });
  const auto* reply = answer.as<protocol::LookupOffsetReply>();
  REQUIRE(reply != nullptr);
  return reply->committed_offset();
}

void RawConnection::ping() {
  const Received answer =
      request<protocol::Ping>([](Builder& builder) { return protocol::CreatePing(builder); });
  REQUIRE(answer.as<protocol::Pong>() != nullptr);
}

std::uint64_t RawConnection::rss_bytes() {
  const Received answer = request<protocol::NodeStatus>(
      [](Builder& builder) { return protocol::CreateNodeStatus(builder); });
  REQUIRE(answer.as<protocol::NodeStatusReply>() != nullptr);
  return answer.as<protocol::NodeStatusReply>()->rss_bytes();
}

void require_error(const Received& answer, ErrorCode code) {
  const auto* error = answer.as<protocol::ErrorReply>();
  REQUIRE_MESSAGE(error != nullptr, "expected the error ", error_info(code).name);
  const ErrorInfo& info = error_info(code);
  INFO("message: ", text_of(error->message()));
  REQUIRE(text_of(error->name()) == info.name);
  CHECK(error->code() == static_cast<std::uint16_t>(code));
  CHECK(text_of(error->remedy()) == info.remedy);
  CHECK(!text_of(error->message()).empty());
  CHECK(error->retriable() == info.retriable);
  CHECK(static_cast<std::uint8_t>(error->stored()) == static_cast<std::uint8_t>(info.stored));
}

void require_refused(RawConnection& connection, std::vector<ErrorCode> codes) {
  const std::optional<Received> answer = connection.receive();
  REQUIRE_MESSAGE(answer.has_value(), "no error frame before the connection ",
                  connection.closed() ? "closed" : "deadline");
  const auto* error = answer->as<protocol::ErrorReply>();
  REQUIRE(error != nullptr);
  const auto code = static_cast<ErrorCode>(error->code());
  INFO("answered: ", text_of(error->name()), ": ", text_of(error->message()));
  REQUIRE(std::ranges::find(codes, code) != codes.end());
  require_error(*answer, code);
  CHECK_MESSAGE(connection.wait_closed(), "the connection stays open after the error");
}

Bytes text_batch(std::string_view payload) {
  batch::BatchBuilder builder;
  REQUIRE(builder.add({.key = std::nullopt, .payload = payload, .headers = {}}).has_value());
  const SharedBytes built = builder.build({});
  return {built.data(), built.data() + built.size()};
}

}  // namespace andyx::test
