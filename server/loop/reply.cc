#include "server/loop/reply.h"

#include <string>

#include "frame_generated.h"
#include "server/loop/core_loop.h"

namespace andyx::server {

frame::FrameWriter& frame_writer() {
  thread_local frame::FrameWriter writer;
  return writer;
}

frame::OutFrame error_frame(std::uint64_t correlation_id, const Error& error) {
  return frame_writer().write(correlation_id, [&](flatbuffers::FlatBufferBuilder& builder) {
    return frame::Body{static_cast<std::uint8_t>(protocol::Body::ErrorReply),
                       make_error(builder, error).Union()};
  });
}

flatbuffers::Offset<protocol::ErrorReply> make_error(
    flatbuffers::FlatBufferBuilder& builder, const Error& error,
    const std::vector<protocol::DuplicateRecord>* duplicates, bool may_retry) {
  const ErrorInfo& info = error_info(error.code);
  auto name = builder.CreateString(info.name.data(), info.name.size());
  auto message = builder.CreateString(error.message);
  auto remedy = builder.CreateString(info.remedy.data(), info.remedy.size());
  flatbuffers::Offset<flatbuffers::Vector<const protocol::DuplicateRecord*>> list;
  if (duplicates != nullptr) list = builder.CreateVectorOfStructs(*duplicates);
  return protocol::CreateErrorReply(builder, static_cast<std::uint16_t>(info.code), name, message,
                                    remedy, static_cast<protocol::Storedness>(info.stored),
                                    info.retriable && may_retry, 0, list, error.node);
}

Reply& Reply::operator=(Reply&& other) noexcept {
  std::swap(home_, other.home_);
  connection_id_ = other.connection_id_;
  correlation_id_ = other.correlation_id_;
  charged_bytes_ = other.charged_bytes_;
  return *this;
}

Reply::~Reply() {
  if (home_ != nullptr)
    error({ErrorCode::kTimedOut, "the node stopped before the outcome was known"});
}

void Reply::send(frame::OutFrame frame) {
  std::exchange(home_, nullptr)->answer(connection_id_, std::move(frame), charged_bytes_);
}

void Reply::error(const Error& error) { send(error_frame(correlation_id_, error)); }

void Reply::refuse(const Error& error) {
  body(protocol::Body::ErrorReply, [&](flatbuffers::FlatBufferBuilder& builder) {
    return make_error(builder, error, nullptr, false);
  });
}

void Reply::done() {
  body(protocol::Body::Done,
       [](flatbuffers::FlatBufferBuilder& builder) { return protocol::CreateDone(builder); });
}

void Reply::none() {
  std::exchange(home_, nullptr)->answer(connection_id_, std::nullopt, charged_bytes_);
}

}  // namespace andyx::server
