// The first error of several loops' work. Any thread.
#pragma once

#include <mutex>
#include <optional>

#include "protocol/base/error.h"

namespace andyx::server {

class FirstError {
 public:
  void note(const Status& status) {
    std::lock_guard lock(mutex_);
    if (!status && !error_) error_ = status.error();
  }
  std::optional<Error> get() const {
    std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace andyx::server
