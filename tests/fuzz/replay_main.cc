// replay_main CORPUS: feeds each fuzz target the files below CORPUS/<its name>, once each. Exit 1:
// one of them has no seeds.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#define TARGET(name) extern "C" int name(const uint8_t* data, size_t size);
#include "targets.inc"
#undef TARGET

namespace {

struct FuzzTarget {
  const char* name;
  int (*run)(const uint8_t* data, size_t size);
};

constexpr FuzzTarget kTargets[] = {
#define TARGET(name) {#name, name},
#include "targets.inc"
#undef TARGET
};

int Replay(const FuzzTarget& target, const std::filesystem::path& seeds) {
  int count = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(seeds, error)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    target.run(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++count;
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  int status = 0;
  for (const FuzzTarget& target : kTargets) {
    std::printf("%s: ", target.name);  // Whoever does not come back is known by it.
    std::fflush(stdout);
    const int count = Replay(target, std::filesystem::path(argv[1]) / target.name);
    std::printf("%d seeds\n", count);
    if (count == 0) status = 1;
  }
  return status;
}
