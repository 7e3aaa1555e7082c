// What the calls of administration share: ask, wait, and make a value of the answer. For .cc files.
#pragma once

#include <utility>
#include <vector>

#include "clients/cpp/src/client_impl.h"
#include "clients/cpp/src/requests.h"

namespace andyx::client {

using Builder = flatbuffers::FlatBufferBuilder;
using Repeat = Cluster::Repeat;

// Asks and waits; `convert` makes the value of the reply's frame.
template <typename T, typename Convert>
Result<T> ask(ClientImpl& client, NodeId node, Fill fill, Repeat repeat, Convert convert,
              std::uint32_t extra_ms = 0) {
  return client.wait<T>(
      [&client, node, fill = std::move(fill), repeat, convert, extra_ms](auto done) {
        client.cluster().call(
            node, fill, repeat,
            [convert, done](Reply reply) mutable {
              if (!reply) {
                done(std::unexpected(Error(reply.error())));
              } else {
                done(convert(*reply));
              }
            },
            extra_ms);
      });
}

inline Result<bool> done_of(const ReplyFrame& reply) {
  if (reply.frame->body_as_Done() != nullptr) return true;
  return fail(ErrorCode::kInternal, "the answer has another type");
}

template <typename T>
Result<T> only(Result<std::vector<T>> all) {
  if (!all) return std::unexpected(all.error());
  if (all->size() != 1)
    return fail(ErrorCode::kInternal, "the answer does not hold exactly one entry");
  return std::move(all->front());
}

inline Status plain(const Result<bool>& result) {
  if (!result) return std::unexpected(result.error());
  return {};
}

}  // namespace andyx::client
