#include "tools/bench/workload/run_workload.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <thread>

#include "protocol/net/loop.h"
#include "tools/bench/workers.h"
#include "tools/bench/workload/rate_search.h"
#include "tools/bench/workload/sampler.h"
#include "tools/common/choices.h"
#include "tools/common/progress.h"
#include "tools/common/stop_signal.h"

namespace andyx::bench {
namespace {

constexpr double kPeriodSeconds = 1;
constexpr std::chrono::milliseconds kTurn{20};
constexpr double kBacklogStallSeconds = 60;  // a backlog that shrinks no more is not drained
constexpr double kBytesPerGb = 1e9;

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

class WorkloadRun {
 public:
  WorkloadRun(const Options& options, const Workload& workload, LiveWorkload& load,
              std::vector<pid_t> pids, const tools::StopSignal& signal, WorkloadResult& result)
      : options_(options),
        workload_(workload),
        load_(load),
        sampler_(load, workload.subscriptions_per_topic, std::move(pids)),
        signal_(signal),
        result_(result) {}

  void run() {
    if (!find_rate()) return finish();
    load_.set_rate(result_.closed_loop ? LoadSender::kClosedLoop : result_.rate);
    hold("warm-up", workload_.warmup_minutes * 60, false);
    result_.warmup_s = workload_.warmup_minutes * 60;
    sampler_.begin();
    measure();
    judge();
    finish();
  }

 private:
  bool over() const { return signal_.stopped() || load_.error().has_value(); }

  std::uint64_t backlog_messages() const {
    return load_.counts().backlog(workload_.subscriptions_per_topic);
  }

  // Once in every period, while a phase goes on.
  void show(const char* phase, double elapsed_s, double of_s, const Period& period) {
    shown_ = std::string(phase) + ' ' + std::to_string(static_cast<int>(elapsed_s)) + " of " +
             std::to_string(static_cast<int>(of_s)) + " s: published " +
             tools::short_count(period.publish_rate) + "/s, consumed " +
             tools::short_count(period.consume_rate) + "/s, backlog " +
             tools::short_count(static_cast<double>(period.backlog));
    char latency[64];
    std::snprintf(latency, sizeof latency, ", p99 %.1f ms",
                  static_cast<double>(period.publish.p99_ns) / 1e6);
    shown_ += latency;
    progress_.update([this] { return shown_; });
  }

  // One period after the other until `goes_on(elapsed_s)` says no.
  template <typename GoesOn>
  void periods(const char* phase, double of_s, bool recorded, GoesOn goes_on) {
    const std::uint64_t begin_ns = net::monotonic_ns();
    double next_s = kPeriodSeconds;
    Sampler::Totals dropped;
    while (!over()) {
      std::this_thread::sleep_for(kTurn);
      const double elapsed_s = static_cast<double>(net::monotonic_ns() - begin_ns) / 1e9;
      const bool more = goes_on(elapsed_s);
      if (more && elapsed_s < next_s) continue;
      while (next_s <= elapsed_s) next_s += kPeriodSeconds;
      const Period period = sampler_.take(recorded ? totals_ : dropped);
      if (recorded) result_.periods.push_back(period);
      show(phase, elapsed_s, of_s, period);
      if (!more) return;
    }
  }

  void hold(const char* phase, double for_s, bool recorded) {
    if (for_s <= 0) return;
    periods(phase, for_s, recorded, [for_s](double elapsed_s) { return elapsed_s < for_s; });
  }

  // Nothing is sent any more; waits for what is under way, as long as it gets less.
  void wait_for_answers() {
    std::uint64_t done = 0;
    std::uint64_t progress_ns = net::monotonic_ns();
    while (!over()) {
      const LoadCounts counts = load_.counts();
      const bool idle = counts.acked + counts.failed >= counts.sent && backlog_messages() == 0;
      if (idle) return;
      const std::uint64_t now_ns = net::monotonic_ns();
      if (counts.acked + counts.received != done) {
        done = counts.acked + counts.received;
        progress_ns = now_ns;
      } else if (now_ns - progress_ns > std::uint64_t{options_.timeout_ms} * 1'000'000) {
        return;
      }
      std::this_thread::sleep_for(kTurn);
    }
  }

  RateTrial trial(double rate, double seconds) const {
    const std::uint32_t subscriptions = std::max(1u, workload_.subscriptions_per_topic);
    return {.rate = rate,
            .seconds = seconds,
            .acked = static_cast<double>(load_.counts().acked - sampler_.counts_at_begin().acked),
            .backlog = static_cast<double>(backlog_messages()) / subscriptions};
  }

  // False: the run is over.
  bool find_rate() {
    result_.closed_loop = options_.workload.closed_loop;
    result_.rate = options_.workload.rate.value_or(workload_.producer_rate);
    if (result_.closed_loop) result_.rate = 0;
    if (result_.closed_loop || result_.rate > 0) return true;
    RateSearch search;
    while (const auto rate = search.next()) {
      char phase[64];
      std::snprintf(phase, sizeof phase, "trying %.0f/s", *rate);
      sampler_.begin();
      load_.set_rate(*rate);
      hold(phase, options_.workload.search_seconds, false);
      const RateTrial held = trial(*rate, sampler_.elapsed_s());
      load_.set_rate(0);
      wait_for_answers();
      if (over()) return false;
      search.tried(is_sustained(held));
    }
    if (!search.found()) {
      result_.error = Error{ErrorCode::kTimedOut, "no rate at all was sustained"};
      return false;
    }
    result_.highest_sustained_rate = search.found();
    result_.rate = *search.found();
    return true;
  }

  void measure() {
    const double for_s = workload_.test_minutes * 60;
    if (workload_.backlog_gb <= 0) {
      hold("measured", for_s, true);
    } else {
      measure_backlog(for_s);
    }
    result_.elapsed_s = sampler_.elapsed_s();
  }

  // Consumers wait until the backlog is there, then drain it; the run lasts at least `for_s`, and
  // until it is drained.
  void measure_backlog(double for_s) {
    const auto wanted =
        static_cast<std::uint64_t>(workload_.backlog_gb * kBytesPerGb / workload_.message_bytes);
    const double begin_s = sampler_.elapsed_s();
    BacklogUse use;
    load_.pause_consumers(true);
    periods("building the backlog,", for_s, true,
            [&](double) { return backlog_messages() < wanted; });
    use.built_messages = backlog_messages();
    use.built_s = sampler_.elapsed_s() - begin_s;
    load_.pause_consumers(false);
    const auto left = static_cast<std::uint64_t>((1 - workload_.backlog_drain_ratio) *
                                                 static_cast<double>(use.built_messages));
    // What one delivery or one turn holds is never quite zero while messages come in.
    const std::uint64_t drained_at = std::max(left, static_cast<std::uint64_t>(result_.rate * 0.1));
    std::uint64_t least = use.built_messages;
    double least_at_s = 0;
    periods("draining the backlog,", for_s, true, [&](double elapsed_s) {
      const std::uint64_t backlog = backlog_messages();
      if (backlog < least) {
        least = backlog;
        least_at_s = elapsed_s;
      }
      use.drain_s = elapsed_s;
      use.drained = backlog <= drained_at;
      return !use.drained && elapsed_s - least_at_s < kBacklogStallSeconds;
    });
    result_.backlog = use;
    hold("measured", for_s - (sampler_.elapsed_s() - begin_s), true);
  }

  void judge() {
    if (result_.closed_loop || result_.backlog) return;
    result_.sustained = is_sustained(trial(result_.rate, result_.elapsed_s));
  }

  void finish() {
    load_.set_rate(0);
    const Status stopped = load_.stop_sending();
    wait_for_answers();
    load_.stop_consuming();
    progress_.clear();
    result_.interrupted = signal_.stopped();
    const LoadCounts counts = load_.counts();
    const LoadCounts& before = sampler_.counts_at_begin();
    result_.messages_acked = counts.acked - before.acked;
    result_.messages_received = counts.received - before.received;
    result_.messages_failed = counts.failed - before.failed;
    result_.checks = load_.checks();
    result_.publish = totals_.publish;
    result_.delay = totals_.delay;
    result_.end_to_end = totals_.end_to_end;
    result_.server = sampler_.settle();
    if (!result_.error) result_.error = load_.error();
    if (!result_.error && !stopped) result_.error = stopped.error();
  }

  const Options& options_;
  const Workload& workload_;
  LiveWorkload& load_;
  Sampler sampler_;
  const tools::StopSignal& signal_;
  WorkloadResult& result_;
  Sampler::Totals totals_;
  tools::Progress progress_;
  std::string shown_;
};

// The processes of the nodes, as far as they are on this machine.
std::vector<pid_t> find_server(const Options& options, client::Client& control,
                               WorkloadResult& result) {
  std::vector<pid_t> pids;
  const auto cluster = control.admin().cluster_status();
  if (!cluster) return options.workload.server_pids;
  result.nodes = static_cast<std::uint32_t>(cluster->nodes.size());
  for (const client::ClusterNode& node : cluster->nodes) {
    if (!is_local_host(node.host)) continue;
    result.same_host = true;
    if (const auto pid = find_listener(node.port)) pids.push_back(*pid);
  }
  if (!options.workload.server_pids.empty()) return options.workload.server_pids;
  if (pids.size() != cluster->nodes.size()) pids.clear();  // a part would pass for the whole
  return pids;
}

void describe(WorkloadResult& result, const Options& options, const LiveWorkload& load,
              client::Client& control) {
  result.acks = tools::acks_choices().word_of(options.acks);
  result.compression = tools::compression_choices().word_of(options.compression);
  const auto fitting = result.workload.consumers_per_subscription == 1
                           ? client::SubscriptionType::kUnique
                           : client::SubscriptionType::kFailover;
  result.subscription_type = tools::type_choices().word_of(options.workload.type.value_or(fitting));
  result.subscription_mode = tools::mode_choices().word_of(options.mode);
  result.batch_bytes = options.batch_bytes;
  result.linger_ms = options.linger_ms;
  result.replication_factor = load.replication_factor();
  result.fsync = server_fsync(control);
  if (const auto status = control.admin().node_status()) {
    result.server_version = status->server_version;
  }
  result.payload_origin = load.payload_origin();
  result.connections = load.connections();
  result.sending_threads = load.sending_threads();
}

}  // namespace

Result<WorkloadResult> run_workload(const Options& options, Workload workload,
                                    client::Client& control) {
  if (options.workload.warmup_s) workload.warmup_minutes = *options.workload.warmup_s / 60;
  if (options.seconds) workload.test_minutes = *options.seconds / 60;
  WorkloadResult result;
  result.workload = workload;
  result.started_at = utc_now();
  result.machine = this_machine();
  const std::string directory = std::filesystem::path(options.workload.file).parent_path().string();
  const std::vector<pid_t> pids = find_server(options, control, result);
  const tools::StopSignal signal;  // from here on there are topics to delete
  auto load = LiveWorkload::create(options, workload, directory, control);
  if (!load) return std::unexpected(load.error());
  if (!workload.payload_file.empty() && (*load)->payload_origin() == "generated") {
    std::fprintf(stderr, "andyx-bench: payloadFile '%s' is not there; generated bytes are sent\n",
                 workload.payload_file.c_str());
  }
  describe(result, options, **load, control);
  WorkloadRun(options, workload, **load, pids, signal, result).run();
  return result;
}

}  // namespace andyx::bench
