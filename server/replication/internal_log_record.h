// What the record of a partition means for its internal log. Any thread.
#pragma once

#include "server/replication/replication_record.h"

namespace andyx::server {

// The record of a partition's internal log: it has no min-in-sync, and only those join its in-sync
// set that `joining` (the messages' main, null: nobody) has proposed, so that both logs wait for
// the same copies.
ReplicationRecord internal_log_record(ReplicationRecord record, const SetProposal* joining);

// Does it make somebody a member who is none?
bool grows(const ReplicationRecord& record, const SetProposal& proposal);

}  // namespace andyx::server
