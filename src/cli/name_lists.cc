#include "cli/name_lists.h"

#include <cerrno>
#include <cstring>

namespace longhaul {

namespace {

constexpr size_t kBufferBytes = 64 << 10;

}  // namespace

Result<void> LinesFile::Open(const std::string& path, std::string_view flag) {
  path_ = path;
  if (path == "-") {
    to_output_ = true;
    return Ok();
  }
  file_.reset(std::fopen(path.c_str(), "we"));
  if (file_ == nullptr) {
    return InvalidInput("--" + std::string(flag) + ": cannot write to " + path + ": " +
                        std::strerror(errno));
  }
  std::setvbuf(file_.get(), nullptr, _IOFBF, kBufferBytes);
  return Ok();
}

void LinesFile::Write(Output& output, std::string_view line) {
  if (to_output_) {
    output.Raw(std::string(line) + "\n");
    return;
  }
  if (failed_) return;
  std::FILE* out = file_.get();
  if (std::fwrite(line.data(), 1, line.size(), out) != line.size() ||
      std::fputc('\n', out) == EOF) {
    failed_ = true;
  }
}

bool LinesFile::Close() {
  if (file_ == nullptr) return true;
  return std::fclose(file_.release()) == 0 && !failed_;
}

void NameListFlags::Declare(FlagSet& flags, bool compares) {
  auto file = [&](std::string_view name, std::string_view help, std::string& path) {
    // Without a help it is known, so that it can be refused with the reason, and not shown.
    if (!compares && &path != &error) help = "";
    flags.Text({.name = name, .help = help, .value_name = "FILE", .completes = Completes::kFiles},
               path);
  };
  file("combined",
       "Names with rclone's signs: '=' the same, '*' differs, '+' only at SOURCE, '-' only at "
       "TARGET, '!' failed; '-' as FILE is standard output.",
       combined);
  file("differ", "Names of what differs.", differ);
  file("missing-on-dst", "Names of what is not at TARGET.", missing_on_dst);
  file("missing-on-src", "Names of what is not at SOURCE.", missing_on_src);
  file("match", "Names of what is the same.", match);
  file("error", "Names of what failed.", error);
}

Result<void> NameListFlags::RefuseOfBothSides(std::string_view command,
                                              std::string_view why) const {
  for (const auto& [name, path] : {std::pair<const char*, const std::string&>{"combined", combined},
                                   {"differ", differ},
                                   {"missing-on-dst", missing_on_dst},
                                   {"missing-on-src", missing_on_src},
                                   {"match", match}}) {
    if (path.empty()) continue;
    return InvalidInput("--" + std::string(name) + " compares two sides, and " +
                        std::string(command) + " " + std::string(why));
  }
  return Ok();
}

Result<void> NameLists::Open(const NameListFlags& flags) {
  if (!flags.combined.empty()) {
    Result<void> opened = combined_.Open(flags.combined, "combined");
    if (!opened) return opened;
  }
  struct List {
    Sign sign;
    const std::string& path;
    std::string_view flag;
  };
  for (const List& list :
       {List{Sign::kDiffer, flags.differ, "differ"},
        List{Sign::kMissingOnDst, flags.missing_on_dst, "missing-on-dst"},
        List{Sign::kMissingOnSrc, flags.missing_on_src, "missing-on-src"},
        List{Sign::kMatch, flags.match, "match"}, List{Sign::kError, flags.error, "error"}}) {
    if (list.path.empty()) continue;
    LinesFile file;
    Result<void> opened = file.Open(list.path, list.flag);
    if (!opened) return opened;
    lists_.emplace_back(list.sign, std::move(file));
  }
  return Ok();
}

void NameLists::Add(Sign sign, std::string_view name) {
  if (combined_.wanted()) {
    combined_.Write(output_, std::string(1, static_cast<char>(sign)) + " " + std::string(name));
  }
  for (auto& [kind, file] : lists_) {
    if (kind == sign) file.Write(output_, name);
  }
}

std::string NameLists::Close() {
  std::string unwritten;
  auto close = [&unwritten](LinesFile& file) {
    if (!file.Close()) unwritten += (unwritten.empty() ? "" : ", ") + file.path();
  };
  close(combined_);
  for (auto& [sign, file] : lists_) close(file);
  return unwritten;
}

}  // namespace longhaul
