// The shim under a process that writes and syncs: what it promised to keep stays, the rest may go.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/fault/cluster/disk_control.h"
#include "tests/integration/support/process.h"

namespace andyx::test::fault {
namespace {

std::string shim() {
  const char* path = std::getenv("ANDYX_DISK_SHIM");
  REQUIRE_MESSAGE(path != nullptr, "ANDYX_DISK_SHIM is not set: run the suite through meson test");
  return path;
}

struct Fixture {
  TempDir directory;
  Disk disk{directory.file("disk"), shim()};
  std::string data = directory.file("data");

  Fixture() { std::filesystem::create_directories(data); }
  Launch dd(const std::string& file, const std::string& flag) const {
    return {.argv = {"dd", "if=/dev/zero", "of=" + data + "/" + file, "bs=1000", "count=5", flag},
            .environment = disk.environment()};
  }
  std::uint64_t size(const std::string& file) const {
    return std::filesystem::file_size(data + "/" + file);
  }
};

TEST_CASE("power loss takes from the end of what was not synced, and nothing else") {
  Fixture fixture;
  REQUIRE(run_command(fixture.dd("synced", "conv=fsync")).exit_code == 0);
  REQUIRE(run_command(fixture.dd("data-synced", "conv=fdatasync")).exit_code == 0);
  REQUIRE(run_command(fixture.dd("unsynced", "conv=notrunc")).exit_code == 0);
  REQUIRE(run_command(fixture.dd("LOG", "conv=notrunc")).exit_code == 0);
  std::mt19937_64 random(1);
  const std::uint64_t lost = fixture.disk.lose_power(fixture.data, random);
  CHECK(fixture.size("synced") == 5'000);
  CHECK(fixture.size("data-synced") == 5'000);
  CHECK(fixture.size("LOG") == 5'000);
  CHECK(lost > 0);
  CHECK(fixture.size("unsynced") == 5'000 - lost);
}

TEST_CASE("what was appended after the last sync may go, what came before stays") {
  Fixture fixture;
  REQUIRE(run_command(fixture.dd("file", "conv=fsync")).exit_code == 0);
  Launch more = fixture.dd("file", "conv=notrunc");
  more.argv.push_back("oflag=append");
  REQUIRE(run_command(std::move(more)).exit_code == 0);
  REQUIRE(fixture.size("file") == 10'000);
  std::mt19937_64 random(1);
  const std::uint64_t lost = fixture.disk.lose_power(fixture.data, random);
  CHECK(lost > 0);
  CHECK(fixture.size("file") == 10'000 - lost);
  CHECK(fixture.size("file") >= 5'000);
}

TEST_CASE("what was written over zeros after the last sync may turn to zeros again") {
  Fixture fixture;
  const std::string zeros = fixture.data + "/file";
  // Data, zeros behind it, a sync; data over the zeros.
  const std::string script =
      "import os, sys\n"
      "f = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)\n"
      "os.pwrite(f, b'a' * 1000, 0); os.pwrite(f, bytes(9000), 1000); os.fdatasync(f)\n"
      "os.pwrite(f, b'b' * 2000, 1000)\n";
  Launch python{.argv = {"python3", "-c", script, zeros},
                .environment = fixture.disk.environment()};
  REQUIRE(run_command(std::move(python)).exit_code == 0);
  std::mt19937_64 random(1);
  const std::uint64_t lost = fixture.disk.lose_power(fixture.data, random);
  CHECK(lost > 0);
  const std::string bytes = read_file(zeros);
  CHECK(bytes ==
        std::string(1'000, 'a') + std::string(2'000 - lost, 'b') + std::string(7'000 + lost, '\0'));
}

TEST_CASE("a sync fails while it is told to") {
  Fixture fixture;
  fixture.disk.set(DiskMode::kFail);
  const CommandResult failed = run_command(fixture.dd("file", "conv=fsync"));
  CHECK(failed.exit_code == 1);
  CHECK(failed.err.find("Input/output error") != std::string::npos);
  fixture.disk.set(DiskMode::kGood);
  CHECK(run_command(fixture.dd("file", "conv=fsync")).exit_code == 0);
}

TEST_CASE("a sync hangs until it is released") {
  Fixture fixture;
  fixture.disk.set(DiskMode::kHang);
  Process process(fixture.dd("file", "conv=fsync"));
  // All is written, so that only the sync is left.
  REQUIRE(wait_until([&] {
    return std::filesystem::exists(fixture.data + "/file") && fixture.size("file") == 5'000;
  }));
  CHECK_FALSE(process.wait(Millis(200)).has_value());
  fixture.disk.set(DiskMode::kGood);
  CHECK(process.wait() == 0);
}

TEST_CASE("a slow sync takes as long as it is told") {
  Fixture fixture;
  fixture.disk.set(DiskMode::kSlow, 300'000);
  const auto begun = Clock::now();
  CHECK(run_command(fixture.dd("file", "conv=fsync")).exit_code == 0);
  CHECK(Clock::now() - begun >= Millis(300));
}

}  // namespace
}  // namespace andyx::test::fault
