// A blocking socket that speaks frames, well or badly: what a client library would never send can
// be sent here. Built on protocol only, so that it checks the server and not our own client. One
// thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frame_generated.h"
#include "protocol/base/error.h"
#include "protocol/base/ids.h"
#include "protocol/base/shared_bytes.h"
#include "protocol/frame/frame_reader.h"
#include "tests/integration/support/wait_until.h"

namespace andyx::test {

using Bytes = std::vector<std::uint8_t>;
using Builder = flatbuffers::FlatBufferBuilder;

// A received frame that passed verification; the pointers lead into `bytes`.
struct Received {
  SharedBytes bytes;
  const protocol::Frame* frame = nullptr;

  template <typename Table>
  const Table* as() const {
    return frame->body_as<Table>();
  }
};

// A whole size-prefixed frame. `fill(builder)` makes the body and returns its offset.
template <typename Table>
Bytes make_frame(std::uint64_t correlation_id,
                 const std::function<flatbuffers::Offset<Table>(Builder&)>& fill) {
  Builder builder;
  const auto body = fill(builder);
  builder.FinishSizePrefixed(protocol::CreateFrame(
      builder, correlation_id, protocol::BodyTraits<Table>::enum_value, body.Union()));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

class RawConnection {
 public:
  explicit RawConnection(std::uint16_t port);  // REQUIREs that it connects
  ~RawConnection();
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&&) = delete;

  // False when the peer has closed, or takes nothing for `deadline`.
  bool send(ByteSpan bytes, Millis deadline = kGenerous);
  // What the socket takes at once; for peers that stop reading.
  std::size_t send_some(ByteSpan bytes);
  void end_sending();  // half close

  // The next frame; nothing when the connection ended or the deadline passed (see closed()).
  std::optional<Received> receive(Millis deadline = kGenerous);
  // Waits for the end of the connection, dropping what still comes.
  bool wait_closed(Millis deadline = kGenerous);
  bool closed() const { return closed_; }

  void hello();  // REQUIREs a good answer

  // Who gets the pushed frames that arrive while an answer is waited for; nobody by default.
  void on_pushed(std::function<void(const Received&)> handler) { on_pushed_ = std::move(handler); }

  // Sends a request and receives until its answer. REQUIREs an answer.
  template <typename Table>
  Received request(const std::function<flatbuffers::Offset<Table>(Builder&)>& fill) {
    const std::uint64_t id = next_id_++;
    return exchange(make_frame<Table>(id, fill), id);
  }
  Received exchange(const Bytes& frame, std::uint64_t correlation_id);
  std::uint64_t next_id() { return next_id_++; }

  // The usual requests. Each REQUIREs success.
  struct Partition {
    TopicId topic_id = 0;
    std::uint32_t index = 0;
  };
  TopicId create_topic(std::string_view topic, std::uint32_t partitions = 1);
  Received produce(Partition partition, ByteSpan batch);  // the answer may be an error
  Offset produce_text(Partition partition, std::string_view payload);
  Offset committed_offset(Partition partition);
  void ping();
  std::uint64_t rss_bytes();  // as node status says

 private:
  bool receive_more(Millis deadline);

  int fd_ = -1;
  bool closed_ = false;
  std::uint64_t next_id_ = 1;
  frame::FrameReader reader_;
  std::function<void(const Received&)> on_pushed_;
};

// The answer is an ErrorReply of this code whose other fields agree with the list of errors.
void require_error(const Received& answer, ErrorCode code);
// An error of one of these codes, then the end of the connection.
void require_refused(RawConnection& connection, std::vector<ErrorCode> codes);

Bytes text_batch(std::string_view payload);  // one record, no key, not idempotent

}  // namespace andyx::test
