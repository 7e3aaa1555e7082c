// At which of its calls to the file system a process dies (crash_shim.cc). Both sides map the file
// that CRASH_SHIM_FILE names; the tester reads it when the process has ended.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace andyx::test {

// Those calls that change what a later start finds, beside plain writes.
enum class FileCall : std::uint8_t { kNone, kOpen, kSync, kRename, kRemove, kMakeDirectory, kCut };

struct CrashPlan {
  static constexpr std::size_t kMostCalls = 16'384;

  std::atomic<std::uint32_t> dies_before{0};  // the call of this number, from 1; 0: none
  std::atomic<std::uint32_t> calls{0};
  std::array<std::atomic<FileCall>, kMostCalls> kinds{};  // of the first ones
};

}  // namespace andyx::test
