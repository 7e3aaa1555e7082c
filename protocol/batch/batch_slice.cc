#include "protocol/batch/batch_slice.h"

#include <cassert>

#include "protocol/batch/batch_builder.h"
#include "protocol/batch/batch_reader.h"

namespace andyx::batch {

Result<SharedBytes> slice_batch(ByteSpan batch, std::uint32_t first, std::uint32_t count) {
  auto reader = BatchReader::open(batch);
  if (!reader) return std::unexpected(reader.error());
  const Header& header = reader->header();
  assert(count > 0 && first < header.count && count <= header.count - first);
  BatchBuilder builder;
  Record record;
  for (std::uint32_t index = first; index < first + count; ++index) {
    if (auto read = reader->read(index, record); !read) return std::unexpected(read.error());
    const RecordInput copy{.key = record.key,
                           .payload = record.payload,
                           .headers = record.headers,
                           .time_us = record.time_us,
                           .deliver_at_us = record.deliver_at_us,
                           .message_id_hash = record.message_id_hash};
    if (auto added = builder.add(copy); !added) return std::unexpected(added.error());
  }
  SharedBytes slice = builder.build({});
  patch_server_fields(slice.mutable_data(), header.main_epoch, header.base_offset + first,
                      header.append_time_us);
  return slice;
}

}  // namespace andyx::batch
