// What the calls of administration share: ask, wait, and make a value of the answer. For .cc files.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
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

// A list that comes in several answers. `fill_after(after)` makes the request for what comes behind
// the entry `after` ("": the first ones), `convert` the entries of an answer and whether there are
// more, `name_of` says what an entry is named in `after`.
template <typename T>
struct Page {
  std::vector<T> entries;
  bool more = false;
};
template <typename T, typename FillAfter, typename Convert, typename NameOf>
Result<std::vector<T>> ask_pages(ClientImpl& client, FillAfter fill_after, Convert convert,
                                 NameOf name_of) {
  std::vector<T> all;
  for (;;) {
    const std::string after = all.empty() ? std::string() : name_of(all.back());
    Result<Page<T>> page = ask<Page<T>>(client, 0, fill_after(after), Repeat::kYes, convert);
    if (!page) return std::unexpected(page.error());
    std::ranges::move(page->entries, std::back_inserter(all));
    if (!page->more) return all;
    if (page->entries.empty() || name_of(all.back()) == after)
      return fail(ErrorCode::kInternal, "the answer has no entries and says that there are more");
  }
}
template <typename T>
Result<std::vector<T>> entries_of(Result<Page<T>> page) {
  if (!page) return std::unexpected(page.error());
  return std::move(page->entries);
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
