// Writes the golden batches into the directory given: run once for each version of the format.
#include <cstdio>
#include <fstream>

#include "tests/protocol/sample_messages.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_golden DIRECTORY\n");
    return 1;
  }
  for (const auto& golden : andyx::test::kGoldenBatches) {
    if (!golden.written) continue;
    const auto batch = andyx::test::stored_batch(golden.messages(), golden.compression);
    std::ofstream file(std::string(argv[1]) + "/" + std::string(golden.file), std::ios::binary);
    file.write(reinterpret_cast<const char*>(batch.data()),
               static_cast<std::streamsize>(batch.size()));
    if (!file.flush()) {
      std::fprintf(stderr, "write_golden: %s cannot be written\n",
                   std::string(golden.file).c_str());
      return 1;
    }
  }
  return 0;
}
