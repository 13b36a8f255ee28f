// NameLists: rclone's lists of names, as sync and check write them: --combined with a sign before
// each name, --differ, --missing-on-dst and so on, a name to a line. And the file below them.

#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/flags.h"
#include "cli/output.h"

namespace longhaul {

// A file of lines; the path "-" is standard output.
class LinesFile {
 public:
  // kInvalidInput: it cannot be written. `flag`: what named it.
  Result<void> Open(const std::string& path, std::string_view flag);
  [[nodiscard]] bool wanted() const { return file_ != nullptr || to_output_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  void Write(Output& output, std::string_view line);
  // False: not all of it is in the file. Once.
  [[nodiscard]] bool Close();

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
  std::string path_;
  bool to_output_ = false;
  bool failed_ = false;
};

// Paths; "-" is standard output. Empty: not wanted.
struct NameListFlags {
  std::string combined;
  std::string differ;
  std::string missing_on_dst;
  std::string missing_on_src;
  std::string match;
  std::string error;

  // `compares`: the command looks at both sides; else those that say so are not shown.
  void Declare(FlagSet& flags, bool compares = true);
  // kInvalidInput: one is wanted that says of names what both sides have, and `command` does not
  // look at both. `why` goes on from "COMMAND ".
  [[nodiscard]] Result<void> RefuseOfBothSides(std::string_view command,
                                               std::string_view why) const;
};

class NameLists {
 public:
  // The signs of rclone's --combined.
  enum class Sign : char {
    kMatch = '=',
    kDiffer = '*',
    kMissingOnDst = '+',
    kMissingOnSrc = '-',
    kError = '!'
  };

  explicit NameLists(Output& output) : output_(output) {}

  // kInvalidInput: one of the files cannot be written.
  Result<void> Open(const NameListFlags& flags);
  [[nodiscard]] bool wanted() const { return combined_.wanted() || !lists_.empty(); }
  void Add(Sign sign, std::string_view name);
  // Paths of those that could not be written in full, with commas; empty: none. Once.
  std::string Close();

 private:
  Output& output_;
  LinesFile combined_;
  std::vector<std::pair<Sign, LinesFile>> lists_;
};

}  // namespace longhaul
