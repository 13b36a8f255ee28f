// What `check` and `migrate verify` say of two sides: each difference as it is found, in a report
// too, the hash of each side, a summary, and the exit code.

#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/address.h"
#include "cli/name_lists.h"
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

// What of a list of names the comparison cannot find by itself.
struct ListGaps {
  uint64_t nowhere = 0;  // Names that neither side has: a difference each.
  uint64_t failed = 0;   // That could not be looked at.
};

// How `check` tells what it finds.
struct CheckTelling {
  int64_t depth = 0;                     // Levels of prefixes whose hashes are printed.
  int verbose = 0;                       // 1: what is equal is named; 2: what is excluded, too.
  const ObjectFilter* filter = nullptr;  // Borrowed, as all of it. For `verbose`.
  NameLists* lists = nullptr;            // Null: none is wanted.
  const ListGaps* gaps = nullptr;        // Read at the end.
  // As typed. Where nothing is found to compare they are told, and it is kNotFound where one is a
  // prefix: a mistyped one looks like that. Null: nothing to compare is fine.
  const CommandAddress* source = nullptr;
  const CommandAddress* target = nullptr;
};

// Where nothing has been looked at: a mistyped prefix or a filter too wide looks like this, and a
// script would take it for proven. kNotFound: there is nothing behind a prefix that was typed. OK:
// it is told, since there is a bucket or folder that is empty, or filters leave out all. `target`:
// null with one side.
Result<void> TellNothingChecked(Output& output, const CommandAddress& source,
                                const CommandAddress* target, bool excluded);

// The hash of a prefix, if it is no deeper than `depth`; not of the root.
void PrintPrefix(Output& output, std::string_view end, const ObjectTree::Node& node, int64_t depth);

// `summary`: what is to be added to. kDifferences: something differs; kSomeFailed: something could
// not be looked at. Errors are those of CompareTrees, of TellNothingChecked and of the report,
// which is closed.
Async<ExitCode> CompareAndReport(RunContext& context, TreeSource source, TreeTarget target,
                                 CompareOptions options, CheckTelling telling,
                                 DifferenceReport& report, Message summary);

}  // namespace longhaul
