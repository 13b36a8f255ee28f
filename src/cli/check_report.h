// What `check` and `migrate verify` say of two sides: each difference as it is found, in a report
// too, the hash of each side, a summary, and the exit code.

#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/output.h"
#include "cli/run_context.h"
#include "transfer/tree/compare_trees.h"
#include "transfer/tree/object_tree.h"

namespace longhaul {

// --report FILE.jsonl: a line for each difference. Does nothing without a file.
class DifferenceReport {
 public:
  // Empty: none is wanted. kInvalidInput: it cannot be written.
  Result<void> Open(const std::string& path);
  void Add(const Message& message);
  // kRetryable: not all of it is in the file.
  Result<void> Close();

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  bool failed_ = false;
};

// The hash of a prefix, if it is no deeper than `depth`; not of the root.
void PrintPrefix(Output& output, std::string_view end, const ObjectTree::Node& node, int64_t depth);

// `depth`: levels of prefixes whose hashes are printed. `summary`: what is to be added to.
// kDifferences: something differs; kSomeFailed: something could not be looked at. Errors are those
// of CompareTrees and of the report, which is closed.
Async<ExitCode> CompareAndReport(RunContext& context, TreeSource source, TreeTarget target,
                                 CompareOptions options, int64_t depth, DifferenceReport& report,
                                 Message summary);

}  // namespace longhaul
