// What every command works with: the connected client and the global options. One thread.
#pragma once

#include "andyx/client.h"
#include "tools/cli/arguments.h"

namespace andyx::cli {

struct Session {
  GlobalOptions options;
  client::Client client;

  bool json() const { return options.output == OutputFormat::kJson; }
};

// How a command ended: a status, or the error that ended it.
using Outcome = Result<tools::ExitStatus>;

// Connects and runs the command; prints the error there was. Ignores SIGPIPE in this process:
// output that nobody reads ends a command quietly.
tools::ExitStatus run(const Arguments& arguments);

Outcome run_command(Session& session, const TopicCreate& command);
Outcome run_command(Session& session, const TopicList& command);
Outcome run_command(Session& session, const TopicDescribe& command);
Outcome run_command(Session& session, const TopicDelete& command);
Outcome run_command(Session& session, const Produce& command);
Outcome run_command(Session& session, const Read& command);
Outcome run_command(Session& session, const Consume& command);
Outcome run_command(Session& session, const SubscriptionCreate& command);
Outcome run_command(Session& session, const SubscriptionList& command);
Outcome run_command(Session& session, const SubscriptionDescribe& command);
Outcome run_command(Session& session, const SubscriptionReset& command);
Outcome run_command(Session& session, const SubscriptionDelete& command);
Outcome run_command(Session& session, const DeadList& command);
Outcome run_command(Session& session, const DeadRedrive& command);
Outcome run_command(Session& session, const ProducerCreate& command);
Outcome run_command(Session& session, const ProducerList& command);
Outcome run_command(Session& session, const ProducerDelete& command);
Outcome run_command(Session& session, const NodeStatus& command);
Outcome run_command(Session& session, const ScopeCreate& command);
Outcome run_command(Session& session, const ScopeList& command);
Outcome run_command(Session& session, const ScopeDescribe& command);
Outcome run_command(Session& session, const ScopeDelete& command);
Outcome run_command(Session& session, const TenantActivate& command);
Outcome run_command(Session& session, const SettingsCommand& command);
Outcome run_command(Session& session, const TopicAlter& command);
Outcome run_command(Session& session, const RetentionSet& command);
Outcome run_command(Session& session, const RetentionShow& command);
Outcome run_command(Session& session, const RetentionDelete& command);
Outcome run_command(Session& session, const ClusterStatusCommand& command);
Outcome run_command(Session& session, const ClusterNodes& command);
Outcome run_command(Session& session, const ClusterRemove& command);
Outcome run_command(Session& session, const ClusterAdd& command);
Outcome run_command(Session& session, const ClusterDrain& command);
Outcome run_command(Session& session, const ClusterBalance& command);
Outcome run_command(Session& session, const ClusterSafeToStop& command);
Outcome run_command(Session& session, const ClusterMove& command);
Outcome run_command(Session& session, const ClusterElect& command);
Outcome run_command(Session& session, const MetadataBackup& command);

// What needs no connection, and goes on as another program.
Outcome run_offline(const MetadataRestore& command);
Outcome run_offline(const MetadataForceRecover& command);

// subscription describe --watch.
Outcome watch_subscription(Session& session, const SubscriptionDescribe& command);

}  // namespace andyx::cli
