// How much each node carries of mains, or of copies: its number and what was measured (traffic of
// mains, bytes of copies) in one score, so that evening out by one cannot work against the other.
// A score of 1 is the average. Pure; a value of one round.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "server/cluster/cluster_view.h"
#include "server/metadata/image.h"

namespace andyx::server {

// On average, for each node; what is less does not count.
inline constexpr double kSignificantRate = 1 << 20;    // bytes/s
inline constexpr double kSignificantBytes = 1u << 30;  // stored

// By so much a score may lie off the average.
inline constexpr double kEvenBand = 0.2;

class Scores {
 public:
  enum class Kind : std::uint8_t { kMains, kCopies };
  // Of the nodes that may carry something: brokers that are well, and stay.
  Scores(const Image& image, const ClusterView& view, Kind kind);

  // What was measured counts: every node has told of it, and there is enough of it. Otherwise the
  // numbers alone do.
  bool measured() const { return measured_average_ > 0; }
  bool carries(NodeId node) const { return carried_.contains(node); }
  double of(NodeId node) const { return carried_.at(node).score; }
  // Some node is clearly off.
  bool uneven() const;
  std::vector<NodeId> lightest_first() const;

  // What a partition adds to the score of a node that carries it, as `from` does.
  double share(NodeId from, PartitionId partition) const;
  // One of the largest that `from` has told of.
  bool is_listed(NodeId from, PartitionId partition) const;

  // A share is worth moving: one of the two is clearly off, and the larger score becomes clearly
  // smaller. The sum of all squared scores shrinks with each such move, so they come to an end.
  bool worth(NodeId from, NodeId to, double share) const;
  // Moving a share leaves both within the band.
  bool stays_even(NodeId from, NodeId to, double share) const;
  // Moving a share makes neither clearly off that was not, nor the larger one larger.
  bool no_worse(NodeId from, NodeId to, double share) const;
  // So much less uneven the two become.
  double gain(NodeId from, NodeId to, double share) const;
  void move(NodeId from, NodeId to, double share);

  // A node that is clearly off, in parts of the average.
  struct Off {
    NodeId node = 0;
    Kind kind = Kind::kMains;
    double score = 1, number = 1, measured = 1;
  };
  std::vector<Off> off() const;

 private:
  struct Carried {
    double number = 0, measured = 0;
    double score = 1;
    double rest = 0;  // measured, of each partition that is not listed
    std::unordered_map<PartitionId, double> listed;
  };
  void measure(const ClusterView& view);
  double score_of(double number, double measured) const;

  const Kind kind_;
  std::map<NodeId, Carried> carried_;
  double number_average_ = 0, measured_average_ = 0;
};

}  // namespace andyx::server
