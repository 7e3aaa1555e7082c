// The command line of andyx-cli, parsed. Values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "andyx/admin.h"
#include "andyx/consumer.h"
#include "andyx/types.h"
#include "tools/cli/cluster_arguments.h"
#include "tools/cli/message_text.h"
#include "tools/cli/metadata_arguments.h"
#include "tools/cli/scope_arguments.h"
#include "tools/common/exit_status.h"

namespace andyx::cli {

enum class OutputFormat : std::uint8_t { kTable, kJson };

struct GlobalOptions {
  std::string server;  // one, or several separated by commas
  OutputFormat output = OutputFormat::kTable;
  std::uint32_t timeout_ms = 30'000;  // without any progress
  bool front_door = false;            // the servers pass on what is for others
};

struct TopicCreate {
  std::string topic;
  client::TopicSpec spec;
};
struct TopicList {};
struct TopicDescribe {
  std::string topic;
};
struct TopicDelete {
  std::string topic;
};

struct Produce {
  std::string topic;
  std::string file = "-";
  std::optional<std::string> key;            // of every message
  std::optional<std::string> key_separator;  // between key and payload, in each line
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<TimeUs> deliver_at;
  std::string message_id_header;  // its value is the message id; empty: none
  std::string producer;           // empty: anonymous
  client::ProducerInstance instance = client::ProducerInstance::kMultiple;
  client::Acks acks = client::Acks::kMain;
  client::Compression compression = client::Compression::kNone;
};

struct Read {
  std::string topic;
  std::optional<std::uint32_t> partition;
  std::optional<Offset> offset;
  std::optional<TimeUs> since;
  std::optional<std::uint64_t> count;
  bool follow = false;
  Print print = Print::kValue;
};

struct Consume {
  std::string topic;
  std::string subscription;
  std::optional<client::SubscriptionType> type;  // not given: the subscription's own, or unique
  std::optional<client::SubscriptionMode> mode;  // not given: the subscription's own, or resilient
  std::optional<client::Start> from;             // not given: latest
  std::optional<std::uint64_t> count;
  std::optional<std::uint32_t> idle_exit_ms;
  client::AnswerKind answer = client::AnswerKind::kAcknowledge;
  std::uint32_t delay_ms = 0;  // of --answer unack
  std::string consumer;        // empty: a random name
  std::int32_t priority = 0;
  std::uint32_t ack_timeout_ms = 0;
  std::uint32_t max_deliveries = 0;
  bool key_ordered = false;  // not given: as the subscription is
  bool take_over = false;
  Print print = Print::kValue;
};

struct SubscriptionCreate {
  std::string topic;
  std::string subscription;
  client::SubscriptionType type = client::SubscriptionType::kUnique;
  client::SubscriptionMode mode = client::SubscriptionMode::kResilient;
  std::optional<client::Start> from;  // not given: latest
  bool key_ordered = false;
};
struct SubscriptionList {
  std::string topic;
};
struct SubscriptionDescribe {
  std::string topic;
  std::string subscription;
  bool watch = false;  // again and again
  std::uint32_t interval_ms = 1'000;
  std::optional<std::uint64_t> count;  // how often; not given: until a signal
};
struct SubscriptionReset {
  std::string topic;
  std::string subscription;
  std::optional<client::Start> to;  // always set by the parser
  std::optional<std::uint32_t> partition;
};
struct SubscriptionDelete {
  std::string topic;
  std::string subscription;
};

struct DeadList {
  std::string topic;
  std::optional<std::string> subscription;  // that gave up on them
  std::optional<std::uint64_t> count;
};
struct DeadRedrive {
  std::string topic;
  std::optional<std::string> subscription;
  std::optional<std::uint64_t> count;
};
struct ProducerCreate {
  std::string topic;
  std::string producer;
  client::ProducerInstance instance = client::ProducerInstance::kMultiple;
};
struct ProducerList {
  std::string topic;
};
struct ProducerDelete {
  std::string topic;
  std::string producer;
};

struct NodeStatus {};

using Command =
    std::variant<TopicCreate, TopicList, TopicDescribe, TopicDelete, Produce, Read, Consume,
                 SubscriptionCreate, SubscriptionList, SubscriptionDescribe, SubscriptionReset,
                 SubscriptionDelete, DeadList, DeadRedrive, ProducerCreate, ProducerList,
                 ProducerDelete, NodeStatus, ScopeCreate, ScopeList, ScopeDescribe, ScopeDelete,
                 TenantActivate, SettingsCommand, TopicAlter, RetentionSet, RetentionShow,
                 RetentionDelete, ClusterStatusCommand, ClusterNodes, ClusterRemove, ClusterAdd,
                 ClusterDrain, ClusterBalance, ClusterSafeToStop, ClusterMove, ClusterElect,
                 MetadataBackup, MetadataRestore, MetadataForceRecover>;

struct Arguments {
  GlobalOptions global;
  Command command;
};

// Prints help and version to stdout, what is wrong to stderr; then the status says how to exit.
std::variant<Arguments, tools::ExitStatus> parse_arguments(int argc, const char* const* argv);

// `\t`, `\n`, `\0`, `\\` and `\xHH` in a separator. kBadArgument for an empty or unfinished one.
Result<std::string> unescape_separator(std::string_view text);

}  // namespace andyx::cli
