// Any bytes as one frame: when it verifies, every field of every table that it holds can be read.
// The fields come from the compiled schema, so that bodies to come are covered too.
#include <flatbuffers/reflection.h>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "frame_generated.h"
#include "protocol/frame/frame_verify.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

using namespace andyx;
using flatbuffers::Table;
using flatbuffers::VectorOfAny;

std::string read_schema() {
  std::ifstream file(ANDYX_FRAME_BFBS, std::ios::binary);
  FUZZ_CHECK(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Reads every field and sums up what it finds, so that no read is optimised away.
class Walk {
 public:
  explicit Walk(const reflection::Schema& schema) : schema_(schema) {}

  void table(const Table& table, const reflection::Object& type) {
    for (const auto* field : *type.fields()) {
      if (table.CheckField(field->offset())) this->field(table, type, *field);
    }
  }

  std::uint64_t sum() const { return sum_; }

 private:
  void field(const Table& table, const reflection::Object& type, const reflection::Field& field) {
    switch (field.type()->base_type()) {
      case reflection::String:
        bytes(flatbuffers::GetFieldS(table, field)->str());
        break;
      case reflection::Vector:
        vector(*flatbuffers::GetFieldAnyV(table, field), *field.type());
        break;
      case reflection::Obj:
        object(table, field);
        break;
      case reflection::Union:
        this->table(*flatbuffers::GetFieldT(table, field),
                    flatbuffers::GetUnionType(schema_, type, field, table));
        break;
      default:
        add(static_cast<std::uint64_t>(flatbuffers::GetAnyFieldI(table, field)));
    }
  }

  void object(const Table& table, const reflection::Field& field) {
    const auto& type = *schema_.objects()->Get(static_cast<unsigned>(field.type()->index()));
    if (type.is_struct()) {
      const auto* at = table.GetStruct<const char*>(field.offset());
      bytes({at, static_cast<std::size_t>(type.bytesize())});
    } else {
      this->table(*flatbuffers::GetFieldT(table, field), type);
    }
  }

  void vector(const VectorOfAny& vector, const reflection::Type& type) {
    const auto* const data = reinterpret_cast<const char*>(vector.Data());
    switch (type.element()) {
      case reflection::String:
        for (flatbuffers::uoffset_t i = 0; i < vector.size(); ++i) {
          bytes(flatbuffers::GetAnyVectorElemPointer<const flatbuffers::String>(&vector, i)->str());
        }
        break;
      case reflection::Obj: {
        const auto& element = *schema_.objects()->Get(static_cast<unsigned>(type.index()));
        if (element.is_struct()) {
          bytes({data, vector.size() * static_cast<std::size_t>(element.bytesize())});
          break;
        }
        for (flatbuffers::uoffset_t i = 0; i < vector.size(); ++i) {
          table(*flatbuffers::GetAnyVectorElemPointer<const Table>(&vector, i), element);
        }
        break;
      }
      default:
        bytes({data, vector.size() * flatbuffers::GetTypeSize(type.element())});
    }
  }

  void bytes(std::string_view bytes) {
    for (const char c : bytes) add(static_cast<unsigned char>(c));
  }
  void add(std::uint64_t value) { sum_ = sum_ * 31 + value; }

  const reflection::Schema& schema_;
  std::uint64_t sum_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string schema_bytes = read_schema();
  static const reflection::Schema& schema = *reflection::GetSchema(schema_bytes.data());

  // An allocation of its own: aligned, and a read over its end is seen.
  std::vector<std::uint8_t> frame(data, data + size);
  // A fuzzer hardly finds the length by itself.
  if (size >= 4) {
    const auto length = static_cast<std::uint32_t>(size - 4);
    std::memcpy(frame.data(), &length, sizeof length);
  }
  const auto verified = frame::verify_frame(frame);
  if (!verified) return 0;
  Walk walk(schema);
  walk.table(reinterpret_cast<const Table&>(**verified), *schema.root_table());
  volatile std::uint64_t result = walk.sum();
  (void)result;
  return 0;
}
