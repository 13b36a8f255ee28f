#include "cli/import_files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <tuple>

namespace longhaul {

namespace {

// A whole file, or one byte more than an import reads.
Result<std::string> ReadInput(const std::string& name) {
  std::FILE* stream = std::fopen(name.c_str(), "rbe");
  if (stream == nullptr) return InvalidInput(name + " cannot be read: " + std::strerror(errno));
  std::string text(ImportLimits{}.size_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stream));
  const bool failed = std::ferror(stream) != 0;
  std::fclose(stream);
  if (failed) return InvalidInput(name + " cannot be read; is it a folder?");
  return text;
}

}  // namespace

Result<std::vector<ImportFile>> ReadImportFiles(const std::vector<std::string>& names) {
  std::vector<ImportFile> files;
  for (const std::string& name : names) {
    Result<std::string> text = ReadInput(name);
    if (!text) return text.error();
    files.push_back({name, std::move(*text)});
  }
  return files;
}

void TellRemarks(Output& output, const std::vector<ImportRemark>& remarks) {
  std::vector<ImportRemark> told;
  std::map<std::tuple<ImportRemark::Kind, std::string, std::string>, size_t> told_at;
  for (const ImportRemark& remark : remarks) {
    const auto [at, is_new] =
        told_at.emplace(std::tuple(remark.kind, remark.what, remark.remedy), told.size());
    if (is_new) {
      told.push_back(remark);
      continue;
    }
    const size_t file_end = remark.place.find(": ");  // It is the same file.
    told[at->second].place +=
        ", " + remark.place.substr(file_end == std::string::npos ? 0 : file_end + 2);
  }
  for (const ImportRemark& remark : told) {
    output.console().WriteError(Printable(remark.Text()) + "\n");
  }
}

}  // namespace longhaul
