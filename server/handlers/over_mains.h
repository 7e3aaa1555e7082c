// Work that is spread over the mains of a topic's partitions, on this node and on others: asking
// until all have answered, gathering what each knows, and passing a request on to one of them.
//
// Thread: a core loop's (`here`, `home`), which is also where every callback runs.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/cluster/node_links.h"
#include "server/handlers/mains.h"
#include "server/handlers/routing.h"

namespace andyx::server {

// A call to another node: as NodeLinks::call; kUnreachable on a node without links.
void call_node(CoreLoop& here, NodeId to, const NodeLinks::Fill& fill, std::uint32_t timeout_ms,
               NodeLinks::Done done);

// The frame of another node's answer, under the number that the asker has given its request.
frame::OutFrame renumbered(const NodeFrame& answer, std::uint64_t correlation_id);

// A table as the body of a frame.
template <typename Table>
frame::Body node_body(protocol::Body type, flatbuffers::Offset<Table> table) {
  return {static_cast<std::uint8_t>(type), table.Union()};
}

using StatusDone = std::move_only_function<void(Status)>;

// `done` when every loop of this node has applied the metadata up to `version`; kTimedOut after
// limits::kNodeAwaitMs.
void after_image(CoreLoop& here, Position version, StatusDone done);

// A question to every main of some partitions of a topic.
struct MainsQuestion {
  TopicId topic = 0;
  std::uint32_t from = 0, to = kAllPartitions;  // indexes of partitions
  // Of this node's own share; `version` is what the other nodes are to know, too.
  std::function<void(CoreLoop& here, const MainShare& share, Position version, StatusDone done)>
      local;
  // For another node. Any reply is a yes.
  std::function<frame::Body(flatbuffers::FlatBufferBuilder&, const MainShare&, Position version)>
      remote;
  bool once = false;  // what has said yes is not asked again
  std::uint32_t within_ms = limits::kMainsAnswerMs;
};
// Asks all of them, as this loop's image names them, and again where it has to (ask_again), until
// all have said yes: to one image, unless `once`. An error otherwise: the first that is final,
// kUnknownTopic when the topic is gone, or kTimedOut with what was last missing.
void ask_mains(CoreLoop& here, MainsQuestion question, StatusDone done);

// Every main of the topic has applied what this loop's image holds: a partition that is written to
// from here on is written to under it, also by those who have its main wrong (see ARCHITECTURE.md).
void await_mains(CoreLoop& here, TopicId topic, std::uint32_t within_ms, StatusDone done);

// For a topic that was created or has grown: `done` on `here` when its mains know it, so that what
// comes next at one of them finds it; or when they take too long for that. Control loop or `here`.
void when_mains_know(CoreLoop& here, TopicId topic, net::Task done);

// Asks each main of the topic once. `visit` runs for each partition of this node on its loop,
// `answered` on `here` for each share of another one (or of none), within limits::kNodeGatherMs.
// `done` at the end of all, and of all that holds on to its argument: visits may go on.
struct MainsGathering {
  using Keep = std::shared_ptr<void>;
  std::function<void(Partition&, std::uint32_t index, const Keep&)> visit;
  std::function<frame::Body(flatbuffers::FlatBufferBuilder&, const MainShare&, Position version)>
      remote;
  std::function<void(const MainShare&, Result<NodeFrame>)> answered;
};
void gather(CoreLoop& here, const std::shared_ptr<const Topic>& topic, MainsGathering gathering,
            net::Task done);

// Passes a request on to another node, once that one knows the metadata that this loop has; its
// answer is the answer. `failed` instead when it does not come (ask_again).
void pass_on(CoreLoop& here, NodeId to, NodeLinks::Fill fill, Reply reply,
             std::move_only_function<void(const Error&, Reply)> failed = nullptr);

}  // namespace andyx::server
