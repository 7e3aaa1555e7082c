// The answer that a request is owed: exactly one. Made on the connection's loop, may travel to any
// other loop and be answered there; the frame then goes back by the mailbox of its home.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "protocol/base/error.h"
#include "protocol/frame/frame_writer.h"

namespace andyx::protocol {
struct ErrorReply;
struct DuplicateRecord;
}  // namespace andyx::protocol

namespace andyx::server {

class CoreLoop;

// The frame writer of this thread: its builder is reused from frame to frame.
frame::FrameWriter& frame_writer();

flatbuffers::Offset<protocol::ErrorReply> make_error(
    flatbuffers::FlatBufferBuilder& builder, const Error& error,
    const std::vector<protocol::DuplicateRecord>* duplicates = nullptr, bool may_retry = true);
frame::OutFrame error_frame(std::uint64_t correlation_id, const Error& error);

class Reply {
 public:
  // `charged_bytes`: what the request keeps of its connection's in-flight budget until answered.
  Reply(CoreLoop& home, std::uint64_t connection_id, std::uint64_t correlation_id,
        std::size_t charged_bytes)
      : home_(&home),
        connection_id_(connection_id),
        correlation_id_(correlation_id),
        charged_bytes_(charged_bytes) {}
  Reply(Reply&& other) noexcept
      : home_(std::exchange(other.home_, nullptr)),
        connection_id_(other.connection_id_),
        correlation_id_(other.correlation_id_),
        charged_bytes_(other.charged_bytes_) {}
  Reply& operator=(Reply&& other) noexcept;
  // A request that was dropped on the way (its loop stopped) is answered kTimedOut: a batch of it
  // may have reached storage.
  ~Reply();

  CoreLoop& home() const { return *home_; }
  std::uint64_t connection_id() const { return connection_id_; }
  std::uint64_t correlation_id() const { return correlation_id_; }

  void send(frame::OutFrame frame);  // built with correlation_id()
  void error(const Error& error);
  // The same for one whose code invites to try again, which is of no use here: clients do not, by
  // themselves.
  void refuse(const Error& error);
  void done();
  // No answer is owed (Credit): only the budget is given back.
  void none();

  // A body without payload: `fill(builder)` returns the table's offset.
  template <typename BodyType, typename Fill>
  void body(BodyType type, Fill&& fill) {
    send(frame_writer().write(correlation_id_, [&](flatbuffers::FlatBufferBuilder& builder) {
      return frame::Body{static_cast<std::uint8_t>(type), fill(builder).Union()};
    }));
  }

 private:
  CoreLoop* home_;  // null: answered or moved from
  std::uint64_t connection_id_;
  std::uint64_t correlation_id_;
  std::size_t charged_bytes_;
};

}  // namespace andyx::server
