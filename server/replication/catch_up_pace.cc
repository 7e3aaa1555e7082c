#include "server/replication/catch_up_pace.h"

#include <algorithm>
#include <utility>

namespace andyx::server {
namespace {

constexpr double kSecondUs = 1e6;
constexpr double kLearnUs = 10e6;  // time constants of what is averaged
constexpr double kGrowthUs = 5e6;
constexpr double kRoundS = 10;                        // in which each log that waits has its turn
constexpr double kBurstS = 0.05;                      // may be taken at once after a pause
constexpr double kMost = 16.0 * 1024 * limits::kMiB;  // no disk is faster
constexpr std::size_t kMinShareBytes = 16 * limits::kKiB;

double weight(std::uint64_t elapsed_us, double constant_us) {
  return std::min(1.0, static_cast<double>(elapsed_us) / constant_us);
}

}  // namespace

void CatchUpPace::wrote(std::uint64_t age_us, std::uint64_t now_us) {
  move_on(now_us);
  ++seen_.writes;
  seen_.age_sum_us += age_us;
  wrote_us_ = now_us;
}

void CatchUpPace::waits(std::uint64_t age_us, std::uint64_t now_us) {
  move_on(now_us);
  seen_.waiting_us = std::max(seen_.waiting_us, age_us);
  wrote_us_ = now_us;
}

bool CatchUpPace::take(std::uint64_t bytes, std::uint64_t now_us) {
  move_on(now_us);
  took_us_ = now_us;
  if (limited_ && tokens_ <= 0) {
    seen_.refused = true;
    return false;
  }
  if (limited_) tokens_ -= static_cast<double>(bytes);
  seen_.taken += bytes;
  return true;
}

void CatchUpPace::give_back(std::uint64_t bytes) {
  if (limited_) tokens_ = std::min(burst(), tokens_ + static_cast<double>(bytes));
  seen_.taken -= std::min(seen_.taken, bytes);
}

std::optional<std::uint64_t> CatchUpPace::limit(std::uint64_t now_us) {
  move_on(now_us);
  return limited_ ? std::optional(static_cast<std::uint64_t>(rate_)) : std::nullopt;
}

std::size_t CatchUpPace::share(std::size_t waiting, std::size_t most, std::uint64_t now_us) {
  const auto rate = limit(now_us);
  if (!rate || waiting == 0) return most;
  const auto each = static_cast<std::size_t>(static_cast<double>(*rate) * kRoundS) / waiting;
  return std::clamp(each, std::min(kMinShareBytes, most), most);
}

// A limit begins with the first write, at the floor; what may be taken grows with time.
void CatchUpPace::move_on(std::uint64_t now_us) {
  if (looked_us_ == 0) looked_us_ = now_us_ = now_us;
  const double passed_s = static_cast<double>(now_us - now_us_) / kSecondUs;
  now_us_ = now_us;
  if (limited_) tokens_ = std::min(burst(), tokens_ + rate_ * passed_s);
  if (now_us - looked_us_ >= kIntervalUs) {
    const std::uint64_t elapsed_us = now_us - std::exchange(looked_us_, now_us);
    look(elapsed_us, now_us);
    seen_ = {};
  }
  const bool somebody_writes = wrote_us_ && now_us - *wrote_us_ < kNobodyWritesUs;
  if (somebody_writes && !std::exchange(limited_, true)) {
    rate_ = floor();
    tokens_ = 0;
  }
  limited_ = somebody_writes;
}

void CatchUpPace::look(std::uint64_t elapsed_us, std::uint64_t now_us) {
  const double grown =
      static_cast<double>(std::exchange(grown_, 0)) * kSecondUs / static_cast<double>(elapsed_us);
  growth_ += (grown - growth_) * weight(elapsed_us, kGrowthUs);
  std::optional<double> age_us;
  if (seen_.writes > 0)
    age_us = static_cast<double>(seen_.age_sum_us) / static_cast<double>(seen_.writes);
  else if (seen_.waiting_us > 0)  // perhaps for longer than the interval: nothing has ended
    age_us = static_cast<double>(seen_.waiting_us);
  if (took_us_ && now_us - *took_us_ < kEndedUs) return adapt(age_us, elapsed_us);
  rate_ = floor();
  if (seen_.writes > 0) learn(*age_us, elapsed_us);
}

void CatchUpPace::adapt(std::optional<double> age_us, std::uint64_t elapsed_us) {
  const bool slow = age_us && usual_us_ > 0 && *age_us > slow_us();
  // In small steps: when the floor is reached, what has piled up before is still on its way.
  if (age_us && rate_ <= floor()) learn(std::min(*age_us, slow ? slow_us() : *age_us), elapsed_us);
  if (slow) {
    // What was not used is no measure.
    const double used =
        static_cast<double>(seen_.taken) * kSecondUs / static_cast<double>(elapsed_us);
    rate_ = (seen_.refused ? rate_ : std::min(rate_, used)) * kShrink;
  } else if (seen_.refused) {
    rate_ *= kGrow;
  }
  rate_ = std::clamp(rate_, floor(), std::max(floor(), kMost));
}

void CatchUpPace::learn(double age_us, std::uint64_t elapsed_us) {
  if (usual_us_ == 0) usual_us_ = age_us;
  usual_us_ += (age_us - usual_us_) * weight(elapsed_us, kLearnUs);
}

double CatchUpPace::slow_us() const {
  return std::max(static_cast<double>(kFastUs), usual_us_ * kSlow);
}

double CatchUpPace::floor() const {
  return static_cast<double>(limits::kMinCatchUpBytesPerSecond) + growth_ * kAboveGrowth;
}

double CatchUpPace::burst() const {
  return std::max(static_cast<double>(limits::kMiB), rate_ * kBurstS);
}

}  // namespace andyx::server
