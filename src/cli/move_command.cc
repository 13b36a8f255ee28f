#include <memory>

#include "cli/command_list.h"
#include "cli/copy_or_move.h"

namespace longhaul {

namespace {

class MoveCommand : public CopyOrMove {
 public:
  MoveCommand() : CopyOrMove(true) {}

  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "mv",
        .summary = "move objects and files",
        .description =
            "Copies as cp does, then removes each object at SOURCE whose copy is in place as it "
            "was written. An object that has changed since it was copied is not removed, and is "
            "named as a failure; what could not be copied stays as well. In a bucket that keeps "
            "versions the removed object gets a delete marker.",
        .examples = {{"Rename an object", "longhaul mv s3://my-bucket/a.txt s3://my-bucket/b.txt"},
                     {"Upload a folder, and keep nothing of it here",
                      "longhaul mv --recursive ./spool/ s3://my-bucket/spool/"},
                     {"Move old logs to another server",
                      "longhaul mv -r --min-age 30d --include '*.log' east:logs west:archive"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kLimit, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }
};

}  // namespace

std::unique_ptr<Command> MakeMoveCommand() { return std::make_unique<MoveCommand>(); }

}  // namespace longhaul
