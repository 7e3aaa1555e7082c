#include "protocol/batch/compression.h"

#include <lz4.h>
#include <zstd.h>
#include <limits>
#include <memory>
#include <string>

namespace andyx::batch {
namespace {

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

ZSTD_CCtx* compress_context() {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  return context.get();
}

ZSTD_DCtx* decompress_context() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  return context.get();
}

// Bytes written to `out`, 0 when they do not fit.
std::size_t compress_into(Compression kind, ByteSpan in, std::span<std::uint8_t> out) {
  switch (kind) {
    case Compression::kNone:
      return 0;
    case Compression::kLz4: {
      const int written = LZ4_compress_default(
          reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
          static_cast<int>(in.size()), static_cast<int>(out.size()));
      return written > 0 ? static_cast<std::size_t>(written) : 0;
    }
    case Compression::kZstd: {
      const std::size_t written = ZSTD_compressCCtx(compress_context(), out.data(), out.size(),
                                                    in.data(), in.size(), ZSTD_CLEVEL_DEFAULT);
      return ZSTD_isError(written) ? 0 : written;
    }
  }
  return 0;
}

}  // namespace

bool compress(Compression kind, ByteSpan in, std::vector<std::uint8_t>& out) {
  if (in.size() < 2 || in.size() > LZ4_MAX_INPUT_SIZE) return false;
  const std::size_t before = out.size();
  out.resize(before + in.size() - 1);  // room for less than the input: more is of no use
  const std::size_t written = compress_into(kind, in, std::span(out).subspan(before));
  out.resize(before + written);
  return written > 0;
}

Status decompress(Compression kind, ByteSpan in, std::span<std::uint8_t> out) {
  constexpr std::size_t kMax = std::numeric_limits<int>::max();
  const auto failed = [&](std::string_view algorithm, std::string_view why) {
    return fail(ErrorCode::kDecompressionFailed,
                std::string(algorithm) + " input of " + std::to_string(in.size()) +
                    " bytes does not decompress to " + std::to_string(out.size()) +
                    " bytes: " + std::string(why));
  };
  switch (kind) {
    case Compression::kNone:
      break;
    case Compression::kLz4: {
      if (in.size() > kMax || out.size() > kMax) return failed("LZ4", "too large");
      const int got = LZ4_decompress_safe(
          reinterpret_cast<const char*>(in.data()), reinterpret_cast<char*>(out.data()),
          static_cast<int>(in.size()), static_cast<int>(out.size()));
      if (got < 0) return failed("LZ4", "damaged, or larger than stated");
      if (static_cast<std::size_t>(got) != out.size()) {
        return failed("LZ4", "it gives " + std::to_string(got));
      }
      return {};
    }
    case Compression::kZstd: {
      // Exactly one frame: several, or a skippable one, would be another format in disguise.
      const std::size_t frame = ZSTD_findFrameCompressedSize(in.data(), in.size());
      if (ZSTD_isError(frame)) return failed("Zstd", ZSTD_getErrorName(frame));
      if (frame != in.size()) return failed("Zstd", "bytes follow the first frame");
      const std::size_t got =
          ZSTD_decompressDCtx(decompress_context(), out.data(), out.size(), in.data(), in.size());
      if (ZSTD_isError(got)) return failed("Zstd", ZSTD_getErrorName(got));
      if (got != out.size()) return failed("Zstd", "it gives " + std::to_string(got));
      return {};
    }
  }
  return fail(ErrorCode::kDecompressionFailed,
              "compression " + std::to_string(static_cast<int>(kind)) + " is not known");
}

}  // namespace andyx::batch
