#include "rules/configuration.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "rules/configuration_reader.h"

namespace longhaul {

bool IsPlainName(std::string_view name, size_t length_max) {
  if (name.empty() || name.size() > length_max || name == "." || name == "..") return false;
  return std::ranges::all_of(
      name, [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Result<Configuration> ParseConfiguration(std::string_view text, const std::string& file,
                                         const std::string& directory,
                                         const Environment& environment,
                                         std::vector<YamlMistake>* mistakes,
                                         std::vector<TopologyProblem>* problems) {
  YamlErrors errors(file);
  std::optional<YamlNode> root = ParseYaml(text, environment, errors);
  std::optional<Configuration> configuration;
  if (root) configuration = ConfigurationReader(file, directory, errors, problems).Read(*root);
  if (mistakes != nullptr) *mistakes = errors.mistakes();
  if (!configuration) return errors.ToError();
  return std::move(*configuration);
}

namespace {

struct ConfigurationFile {
  std::string text;
  std::string directory;  // Absolute.
};

Result<ConfigurationFile> ReadConfigurationFile(const std::string& file) {
  std::FILE* stream = std::fopen(file.c_str(), "rbe");
  if (stream == nullptr) {
    const int error = errno;
    return Error{
        .kind = error == ENOENT ? ErrorKind::kNotFound : ErrorKind::kDenied,
        .message = "the configuration " + file + " cannot be read: " + std::strerror(error)};
  }
  // One byte more than ParseYaml takes: it says how large the file is allowed to be.
  std::string text(YamlLimits{}.size_bytes_max + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), stream));
  const bool failed = std::ferror(stream) != 0;
  std::fclose(stream);
  if (failed) {
    return Error{.kind = ErrorKind::kDenied,
                 .message = "the configuration " + file + " cannot be read; is it a folder?"};
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(file, error);
  if (error) return InvalidInput("the current directory is gone: " + error.message());
  return ConfigurationFile{.text = std::move(text), .directory = absolute.parent_path().string()};
}

// A section that those alone read who work on it; the whole file is checked with it.
template <typename Section>
Result<Section> LoadSection(const std::string& file, const Environment& environment,
                            Section (ConfigurationReader::*take)()) {
  Result<ConfigurationFile> read = ReadConfigurationFile(file);
  if (!read) return read.error();
  YamlErrors errors(file);
  std::optional<YamlNode> root = ParseYaml(read->text, environment, errors);
  if (!root) return errors.ToError();
  ConfigurationReader reader(file, read->directory, errors, nullptr);
  if (!reader.Read(*root)) return errors.ToError();
  return (reader.*take)();
}

}  // namespace

Result<Configuration> LoadConfiguration(const std::string& file, const Environment& environment,
                                        std::vector<YamlMistake>* mistakes,
                                        std::vector<TopologyProblem>* problems) {
  Result<ConfigurationFile> read = ReadConfigurationFile(file);
  if (!read) return read.error();
  return ParseConfiguration(read->text, file, read->directory, environment, mistakes, problems);
}

Result<std::vector<Migration>> LoadMigrations(const std::string& file,
                                              const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakeMigrations);
}

Result<std::vector<CacheSettings>> LoadCaches(const std::string& file,
                                              const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakeCaches);
}

Result<PriceList> LoadPriceList(const std::string& file, const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakePrices);
}

Result<ApiSettings> LoadApiSettings(const std::string& file, const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakeApi);
}

Result<Telemetry> LoadTelemetry(const std::string& file, const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakeTelemetry);
}

Result<Tracing> LoadTracing(const std::string& file, const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakeTracing);
}

Result<std::optional<Alarms>> LoadAlarms(const std::string& file, const Environment& environment) {
  return LoadSection(file, environment, &ConfigurationReader::TakeAlarms);
}

std::optional<std::string> ProcessEnvironment(std::string_view name) {
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace longhaul
