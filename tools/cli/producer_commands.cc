// producer commands: one request, one answer printed.
#include <unistd.h>

#include "tools/cli/session.h"
#include "tools/cli/show.h"
#include "tools/cli/show_text.h"
#include "tools/common/output.h"

namespace andyx::cli {
namespace {

Outcome print(std::string text) {
  tools::Output output(STDOUT_FILENO);
  output.buffer() = std::move(text);
  if (Status flushed = output.flush(); !flushed) return std::unexpected(flushed.error());
  return tools::kDone;
}

}  // namespace

Outcome run_command(Session& session, const ProducerCreate& command) {
  const auto created =
      session.client.admin().create_producer(command.topic, command.producer, command.instance);
  if (!created) return std::unexpected(created.error());
  return print(session.json() ? producer_json(*created) : producer_table(*created));
}

Outcome run_command(Session& session, const ProducerList& command) {
  const auto producers = session.client.admin().list_producers(command.topic);
  if (!producers) return std::unexpected(producers.error());
  return print(session.json() ? producers_json(*producers) : producers_table(*producers));
}

Outcome run_command(Session& session, const ProducerDelete& command) {
  const Status deleted = session.client.admin().delete_producer(command.topic, command.producer);
  if (!deleted) return std::unexpected(deleted.error());
  const std::string topic = topic_url(command.topic);
  return print(session.json() ? json_line({{"deleted", command.producer}, {"topic", topic}})
                              : "deleted producer " + command.producer + " of " + topic + '\n');
}

}  // namespace andyx::cli
