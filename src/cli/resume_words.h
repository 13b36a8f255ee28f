// The words with which a run is begun once more, so that it is the same run: with the options that
// it was begun with, by words or by the environment, and with none of an environment of now.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/flags.h"
#include "rules/rule.h"
#include "transfer/runs/run_journal.h"

namespace longhaul {

struct ResumeWords {
  std::vector<std::string> words;  // Behind the program's name.
  // Variables that would give the command options which the run did not have; none where the run
  // is one of before, whose words lack what its environment gave it.
  std::vector<std::string> not_inherited{};
};

// `now`: what the command that resumes was given. Of that the options which all commands have
// count, where they were typed. `state`: where the run was found. kInvalidInput: words that make no
// sense (any more).
Result<ResumeWords> WordsToResume(const RunRecord& run, const GivenWords& now,
                                  const DatabasePlace& state);

// kInvalidInput: the command was typed with other filters or comparisons than the run. What the run
// left alone for its own counts as done, and nobody would look at it again. OK also of a run whose
// words lack what its environment gave it: nobody knows its filters. `failed_only`: none at all are
// good, too, as the run's own have let in what failed.
Result<void> CheckSameChoice(const RunRecord& run, const GivenWords& now, bool failed_only);

}  // namespace longhaul
