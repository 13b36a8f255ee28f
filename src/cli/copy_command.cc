#include <memory>

#include "cli/command_list.h"
#include "cli/copy_or_move.h"

namespace longhaul {

namespace {

class CopyCommand : public CopyOrMove {
 public:
  CopyCommand() : CopyOrMove(false) {}

  [[nodiscard]] CommandHelp help() const override {
    return {
        .name = "cp",
        .summary = "copy objects and files",
        .description =
            "Copies objects between any two stores, or local files and folders, with their "
            "headers, user metadata, tags and storage class.\n\n"
            "Without --recursive each SOURCE is one object or file; TARGET is its new name, or, "
            "with a '/' at the end, the folder it goes into. With --recursive all that lies below "
            "SOURCE goes below TARGET under the same names; both are folders, with or without a "
            "'/' at the end.\n\n"
            "Bytes are verified from the source's checksum (else its MD5 ETag) to a digest that "
            "the target's server checks. ETags stay the same for objects of one part, and for "
            "multipart objects whose parts are 16 MiB or more on average. Within one store the "
            "server copies by itself where it can.\n\n"
            "Local files get the metadata of an object as an extended attribute (user.longhaul), "
            "where the file system has those; the bytes are plain. Symbolic links to files are "
            "followed, those to folders are not but counted.\n\n"
            "An address has no wildcards: '*' and '?' are characters of keys. To take what "
            "matches a pattern, name the folder and say --recursive and --include. A prefix "
            "below which there is nothing is not found (exit 3), as an object is; an empty "
            "bucket is told on standard error, and no failure.",
        .examples =
            {{"Upload a file", "longhaul cp report.pdf s3://my-bucket/2026/"},
             {"Download a folder", "longhaul cp --recursive s3://my-bucket/photos ./photos"},
             {"Copy a bucket between two servers of a configuration",
              "longhaul cp --recursive --config longhaul.yaml east:logs west:logs-copy"},
             {"Copy between two endpoints, logs only, and show what would be done",
              "longhaul cp -r --dry-run --include '*.log' --source-endpoint-url http://a:9000 "
              "--target-endpoint-url http://b:9000 s3://x/ s3://y/"},
             {"Copy only what is not there yet",
              "longhaul cp -r --no-clobber ./data/ s3://my-bucket/data/"}},
        .exit_codes = {ExitCode::kSomeFailed, ExitCode::kNotFound, ExitCode::kDenied,
                       ExitCode::kUnreachable, ExitCode::kLimit, ExitCode::kInterrupted,
                       ExitCode::kTerminated}};
  }
};

}  // namespace

std::unique_ptr<Command> MakeCopyCommand() { return std::make_unique<CopyCommand>(); }

}  // namespace longhaul
