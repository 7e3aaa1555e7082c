#include "tests/fault/history/history.h"

#include <fstream>
#include <ostream>
#include <utility>

#include "protocol/batch/checksum.h"

namespace andyx::test::fault {
namespace {

ByteSpan bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string id_text(MessageId id) {
  if (id == kNobody) return "nobody's";
  return std::to_string(id.producer) + "/" + std::to_string(id.sequence);
}

std::string_view outcome_text(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kNotStored:
      return "not_stored";
    case Outcome::kMaybeStored:
      return "maybe_stored";
  }
  return "?";
}

// Prints one event; the names of readers and subscriptions come from the cast.
class Line {
 public:
  Line(std::ostream& out, const Cast& cast) : out_(out), cast_(cast) {}

  void operator()(const Sent& e) { out_ << "sent " << id_text(e.id) << " content " << e.content; }
  void operator()(const Answered& e) {
    out_ << "answered " << id_text(e.id) << ' ' << outcome_text(e.outcome);
    if (e.outcome != Outcome::kCommitted) return;
    out_ << " partition " << e.partition << " offset ";
    if (e.offset == kNoOffset) {
      out_ << "unknown";
    } else {
      out_ << e.offset;
    }
  }
  void operator()(const ReadFrom& e) {
    out_ << "read by " << cast_.readers[e.reader].name << " from partition " << e.partition
         << " offset " << e.offset;
  }
  void operator()(const ReadRecord& e) {
    out_ << "record by " << cast_.readers[e.reader].name;
    record(e.record);
  }
  void operator()(const ReadEnd& e) {
    out_ << "read end by " << cast_.readers[e.reader].name << " partition " << e.partition
         << " start " << e.start << " committed " << e.committed;
  }
  void operator()(const Delivered& e) {
    out_ << "delivered to " << cast_.subscriptions[e.subscription].name << " consumer "
         << e.consumer;
    record(e.record);
  }
  void operator()(const PollEmpty& e) {
    out_ << "nothing for consumer " << e.consumer << " since event " << e.events_before;
  }
  void operator()(const Confirmed& e) {
    out_ << "confirmed " << cast_.subscriptions[e.subscription].name << " partition " << e.partition
         << " offsets " << e.first << ".." << e.last;
  }
  void operator()(const FaultBegun& e) {
    out_ << "FAULT " << e.fault << ' ' << e.kind << " begun at " << e.at_ms << " ms";
  }
  void operator()(const Recovery& e) {
    out_ << (e.in_time ? "RECOVERED " : "NOT RECOVERED ") << e.text;
  }
  void operator()(const Healed&) { out_ << "HEALED"; }
  void operator()(const RecordSeen& e) {
    out_ << "record of partition " << e.partition << " version " << e.version << " main " << e.main
         << " observers";
    for (const NodeId node : e.observers) out_ << ' ' << node;
  }
  void operator()(const ObserverSeen& e) {
    out_ << "observer " << e.node << " of partition " << e.partition << " durable to " << e.durable;
  }
  void operator()(const Forced& e) {
    out_ << "FORCED node " << e.node << " to be main of partition " << e.partition;
  }
  void operator()(const Note& e) { out_ << "note " << e.text; }

 private:
  void record(const Record& r) {
    out_ << " partition " << r.partition << " offset " << r.offset << " message " << id_text(r.id)
         << " content " << r.content;
  }

  std::ostream& out_;
  const Cast& cast_;
};

}  // namespace

std::uint64_t content_of(std::string_view payload, std::string_view key) {
  // Rotated, so that key and payload cannot change places.
  const std::uint64_t of_key = batch::checksum64(bytes_of(key));
  return batch::checksum64(bytes_of(payload)) ^ (of_key << 1 | of_key >> 63);
}

std::string message_text(MessageId id, std::size_t size_bytes) {
  std::string text = payload_of(id, 0);
  std::uint64_t state = (std::uint64_t{id.producer} << 32 | id.sequence) + 0x9e3779b97f4a7c15;
  while (text.size() < size_bytes) {
    state = state * 6'364'136'223'846'793'005 + 1'442'695'040'888'963'407;
    text += static_cast<char>('a' + (state >> 33) % 26);
  }
  return text;
}

History::History(Cast cast) : cast_(std::move(cast)) {}

void History::add(Event event) {
  const std::scoped_lock lock(mutex_);
  entries_.push_back({now_ms(), std::move(event)});
}

void History::add_all(std::vector<Event> events) {
  const std::scoped_lock lock(mutex_);
  const std::uint32_t now = now_ms();
  for (Event& event : events) entries_.push_back({now, std::move(event)});
}

void History::restore(std::vector<Entry> entries) {
  const std::scoped_lock lock(mutex_);
  entries_ = std::move(entries);
}

std::uint64_t History::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

std::uint32_t History::now_ms() const {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::steady_clock::now() - begun_)
                                        .count());
}

bool History::write(const std::string& path) const {
  const std::scoped_lock lock(mutex_);
  std::ofstream out(path, std::ios::trunc);
  Line line(out, cast_);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    out << i << ' ' << entries_[i].time_ms << " ms: ";
    std::visit(line, entries_[i].event);
    out << '\n';
  }
  out.close();
  return out.good();
}

}  // namespace andyx::test::fault
