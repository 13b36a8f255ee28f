// Objects such as people keep in buckets, made up: log lines, JSON events, CSV, random bytes.

#pragma once

#include <string>

#include "base/random.h"

namespace longhaul {

struct DemoObject {
  std::string key;
  std::string kind;  // "log", "events", "csv", "random"
  std::string content_type;
  std::string body;
};

class DemoData {
 public:
  explicit DemoData(Random& random) : random_(random) {}
  // Every twentieth object has the key of one that came before.
  DemoObject Next();

 private:
  std::string Log();
  std::string Events();
  std::string Csv();
  std::string Noise();

  Random& random_;
  int count_ = 0;
};

}  // namespace longhaul
