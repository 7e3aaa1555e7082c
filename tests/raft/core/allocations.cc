#include "tests/raft/core/allocations.h"

#include <cstdlib>
#include <new>

// In a file of its own: where it could be inlined g++ 12 takes new and free for a mismatch.
namespace {

std::size_t counted = 0;

}  // namespace

void* operator new(std::size_t size) {
  counted++;
  if (void* const memory = std::malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace andyx::raft::tests {

std::size_t allocations() { return counted; }

}  // namespace andyx::raft::tests
