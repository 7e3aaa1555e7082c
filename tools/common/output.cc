#include "tools/common/output.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace andyx::tools {

Status Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty() && !closed_) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EPIPE) {
      closed_ = true;
    } else if (errno == EAGAIN) {  // somebody made the terminal or pipe non-blocking
      pollfd wait{fd_, POLLOUT, 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      const int error = errno;
      buffer_.clear();
      return fail(ErrorCode::kIo,
                  std::string("writing the output failed: ") + std::strerror(error));
    }
  }
  buffer_.clear();
  return {};
}

}  // namespace andyx::tools
