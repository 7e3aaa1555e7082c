// A libuv handle with one owner. libuv frees it, in the callback of its closing, so it outlives the
// owner, who calls release() instead of deleting it. The loop's thread.
#pragma once

#include <utility>

#include "protocol/net/uv_loop.h"

namespace andyx::net {

// The derived class initialises handle_, and calls hang_on() when that is done.
template <typename Handle>
class OwnedHandle : public Closable {
 public:
  OwnedHandle(const OwnedHandle&) = delete;
  OwnedHandle& operator=(const OwnedHandle&) = delete;

  // The owner is gone.
  void release() {
    owned_ = false;
    if (closed_) {
      delete this;
    } else {
      loop_stops();
    }
  }
  void loop_stops() override {
    if (std::exchange(closing_, true)) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle_), [](uv_handle_t* handle) {
      auto& self = of<OwnedHandle>(handle->data);
      self.closed_ = true;
      if (!self.owned_) delete &self;
    });
  }

 protected:
  OwnedHandle() = default;
  virtual ~OwnedHandle() = default;

  void hang_on() { handle_.data = static_cast<Closable*>(this); }
  // Of a handle's data.
  template <typename Derived>
  static Derived& of(void* data) {
    return *static_cast<Derived*>(static_cast<Closable*>(data));
  }
  bool owned() const { return owned_; }
  bool closing() const { return closing_; }

  Handle handle_{};

 private:
  bool owned_ = true, closing_ = false, closed_ = false;
};

}  // namespace andyx::net
