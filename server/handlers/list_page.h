// How much of a list one answer takes: the client's verifier bounds the tables of a frame and its
// bytes.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include "protocol/base/limits.h"

namespace andyx::server {

class ListPage {
 public:
  explicit ListPage(const flatbuffers::FlatBufferBuilder& builder) : builder_(builder) {}

  // Whether an entry of so many tables goes in, too; the first one always does. After false the
  // page is full: more() is true, and nothing is added.
  bool takes(std::size_t tables) {
    more_ = tables_ > 0 && (tables_ + tables > limits::kMaxTablesOfList ||
                            builder_.GetSize() > limits::kMaxBytesOfList);
    tables_ += tables;
    return !more_;
  }
  bool more() const { return more_; }

 private:
  const flatbuffers::FlatBufferBuilder& builder_;
  std::size_t tables_ = 0;
  bool more_ = false;
};

// The first entry of `index` behind `after`, which may be gone.
template <typename Index, typename Key>
auto first_behind(const Index& index, const Key& after) {
  auto it = index.lower_bound(after);
  if (it != index.end() && index.find(after) == it.item()) ++it;
  return it;
}

}  // namespace andyx::server
