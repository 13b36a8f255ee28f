// TempDir: a new folder below /tmp that goes away with its owner.

#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace longhaul::testing {

class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/longhaul-test-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace longhaul::testing
