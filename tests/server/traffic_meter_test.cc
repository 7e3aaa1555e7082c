// Rates of traffic: right from the first second on, and forgetful.
#include "server/partition/traffic_meter.h"

#include <doctest/doctest.h>

namespace andyx::server::test {
namespace {

TEST_CASE("a steady rate is told as it is, from the first sample on and with uneven ones") {
  TrafficMeter meter;
  CHECK(meter.in_rate() == 0);
  for (const double seconds : {1.0, 0.5, 3.0, 1.0}) {
    meter.add_in(static_cast<std::uint64_t>(1'000 * seconds));
    const auto now = meter.sample(seconds);
    CHECK(now.in == static_cast<std::uint64_t>(1'000 * seconds));
    CHECK(now.out == 0);
    CHECK(meter.in_rate() == doctest::Approx(1'000));
    CHECK(meter.out_rate() == 0);
  }
}

TEST_CASE("a burst weighs little after a long quiet, and is forgotten after half a minute") {
  TrafficMeter meter;
  for (int second = 0; second < 100; ++second) meter.sample(1);
  meter.add_out(10'000);
  meter.sample(1);
  CHECK(meter.out_rate() > 500);
  CHECK(meter.out_rate() < 1'100);
  const double burst = meter.out_rate();
  for (int second = 0; second < 30; ++second) meter.sample(1);
  CHECK(meter.out_rate() < burst / 15);
}

}  // namespace
}  // namespace andyx::server::test
