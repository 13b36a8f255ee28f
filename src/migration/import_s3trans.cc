// s3trans: its command line, or the config.yaml with the same names.

#include <algorithm>
#include <array>

#include "migration/import_formats.h"

namespace longhaul {
namespace {

struct Flag {
  std::string_view name;
  char letter;
  bool value;
};
constexpr std::array kFlags = {
    Flag{"from-profile", 0, true},        Flag{"to-profile", 0, true},
    Flag{"from-endpoint", 0, true},       Flag{"to-endpoint", 0, true},
    Flag{"from-region", 0, true},         Flag{"to-region", 0, true},
    Flag{"storage-class", 0, true},       Flag{"acl", 0, true},
    Flag{"force-path-style", 0, false},   Flag{"no-sign-request", 0, false},
    Flag{"request-payer", 0, false},      Flag{"db-location", 0, true},
    Flag{"list-target", 'l', false},      Flag{"skip-compare", 's', false},
    Flag{"transfer-metadata", 0, false},  Flag{"http-timeout", 0, true},
    Flag{"max-retries", 0, true},         Flag{"retry-delay", 0, true},
    Flag{"chunk-size", 0, true},          Flag{"resumable-threshold", 0, true},
    Flag{"num-workers", 'n', true},       Flag{"y", 'y', false},
    Flag{"work-mode", 0, true},           Flag{"sqs-url", 0, true},
    Flag{"sqs-profile", 0, true},         Flag{"joblist-write-to-filepath", 0, true},
    Flag{"sqs-log-to-filename", 0, true}, Flag{"ignore-list-path", 0, true},
};

constexpr std::array kDoneOfS3trans = {
    MigrationKnown{"db-location", "progress is kept in `state`"},
    MigrationKnown{"list-target", "both sides are always listed"},
    MigrationKnown{"transfer-metadata", "headers and metadata are always carried"},
    MigrationKnown{"http-timeout", "a stalled transfer ends after a minute"},
    MigrationKnown{"max-retries", "retries have one policy, with a deadline",
                   "--timeout sets the deadline"},
    MigrationKnown{"retry-delay", "retries have one policy, with a deadline",
                   "--timeout sets the deadline"},
    MigrationKnown{"chunk-size", "parts follow from the size, and may change while resumed"},
    MigrationKnown{"resumable-threshold", "every object can be resumed"},
    MigrationKnown{"num-workers", "requests are limited per store",
                   "`requests` of a store sets the limit"},
    MigrationKnown{"y", "nothing is asked"},
    MigrationKnown{"sqs-url", "work is kept in `queue`"},
    MigrationKnown{"sqs-profile", "work is kept in `queue`"},
    MigrationKnown{"sqs-log-to-filename", "the report has it", "--report"},
    MigrationKnown{"joblist-write-to-filepath", "the report has it", "--report"},
};

struct Url {
  bool s3 = false;
  std::string bucket;
  std::string prefix;
};

Url ReadUrl(std::string_view text) {
  constexpr std::string_view kScheme = "s3://";
  if (!text.starts_with(kScheme)) return {};
  text.remove_prefix(kScheme.size());
  const size_t slash = std::min(text.find('/'), text.size());
  return {.s3 = true,
          .bucket = std::string(text.substr(0, slash)),
          .prefix = std::string(text.substr(std::min(slash + 1, text.size())))};
}

// Its words for endpoints, which are regardless of case in none of its documents but in its code.
std::string ProviderOf(const std::string& endpoint) {
  if (endpoint == "Aliyun_OSS") return "aliyun-oss";
  if (endpoint == "Tencent_COS") return "tencent-cos";
  if (endpoint == "Google_GCS") return "gcs";
  return "";
}

}  // namespace

Result<std::vector<MigrationSetting>> S3transSettings(const std::vector<MigrationWord>& words) {
  std::vector<MigrationSetting> settings;
  auto fail = [](const MigrationWord& word, const std::string& what) -> Error {
    return InvalidInput(std::to_string(word.line) + ": " + what);
  };
  int positions = 0;
  for (size_t i = 1; i < words.size(); ++i) {
    const MigrationWord& word = words[i];
    if (!word.text.starts_with('-') || word.text == "-") {
      if (++positions > 2)
        return fail(word, "more than FROM and TO: " + QuotedForImport(word.text));
      settings.push_back(
          {.name = positions == 1 ? "from" : "to", .value = word.text, .line = word.line});
      continue;
    }
    const bool is_long = word.text.starts_with("--");
    const size_t equals = word.text.find('=');
    const std::string name =
        word.text.substr(is_long ? 2 : 1, equals == std::string::npos ? std::string::npos
                                                                      : equals - (is_long ? 2 : 1));
    const Flag* flag = nullptr;
    for (const Flag& known : kFlags) {
      if (is_long ? known.name == name : name.size() == 1 && known.letter == name[0]) flag = &known;
    }
    if (flag == nullptr) return fail(word, "no flag of s3trans: " + QuotedForImport(word.text));
    std::string value = equals == std::string::npos ? "true" : word.text.substr(equals + 1);
    if (flag->value && equals == std::string::npos) {
      if (i + 1 >= words.size()) return fail(word, word.text + " needs a value");
      value = words[++i].text;
    }
    const bool twice = std::ranges::any_of(
        settings, [&](const MigrationSetting& one) { return one.name == flag->name; });
    if (twice) return fail(word, word.text + " is there twice");
    settings.push_back({.name = std::string(flag->name), .value = value, .line = word.line});
  }
  return settings;
}

void ImportS3trans(MigrationSettings& settings, const MigrationExtras& extras, MigrationPlan& plan,
                   ImportLog& log) {
  const std::string from_text = settings.Text("from");
  const std::string to_text = settings.Text("to");
  const bool path_style = settings.Flag("force-path-style");
  const bool anonymous = settings.Flag("no-sign-request");
  const bool payer = settings.Flag("request-payer");
  auto end = [&](const char* side, const std::string& text, bool source) -> std::string {
    const Url url = ReadUrl(text);
    const std::string which(side);
    MigrationStore store{.name = source ? "source" : "target"};
    const std::string endpoint = settings.Text(which + "-endpoint");
    store.provider = ProviderOf(endpoint);
    if (store.provider.empty()) store.endpoint = endpoint;
    store.region = settings.Text(which + "-region");
    store.profile = settings.Text(which + "-profile");
    store.path_style = path_style;
    if (source) {
      store.anonymous = anonymous;
      store.requester_pays = payer;
      if (anonymous) store.profile.clear();
    }
    if (!url.s3 && !text.empty()) {
      return text.find('/') == std::string::npos ? "./" + text : text;
    }
    if (store.region.empty() && store.provider.empty()) {
      store.comments.emplace_back(
          "FILL IN, unless the environment or the profile says it: region (s3trans asked for it).");
    }
    return PlaceOfMigration(plan.AddStore(std::move(store)), url.bucket, url.prefix);
  };
  if (from_text.empty() != to_text.empty()) {
    settings.Fail(from_text.empty() ? "from" : "to", "is missing");
    return;
  }
  const bool by_url = from_text.starts_with("http://") || from_text.starts_with("https://");
  const std::string mode = settings.Text("work-mode");
  if (by_url || mode == "HTTP_DOWNLOAD_LIST") {
    log.Fail(settings.file(), "presigned URLs are not a store",
             "download them with another program, then `longhaul cp` the folder");
    return;
  }
  const std::string from = end("from", from_text.empty() ? "s3://" : from_text, true);
  const std::string to = end("to", to_text.empty() ? "s3://" : to_text, false);
  MigrationCommand command{.words = {"sync", from, to}};
  command.words.emplace_back(settings.Flag("skip-compare") ? "--ignore-times" : "--size-only");
  for (const char* name : {"storage-class", "acl"}) {
    const std::string value = settings.Text(name);
    if (!value.empty()) {
      command.words.insert(command.words.end(), {"--" + std::string(name), value});
    }
  }
  if (mode == "DRYRUN") {
    command.words.emplace_back("--dry-run");
  } else if (mode == "SQS_SEND" || mode == "SQS_CONSUME") {
    settings.Differs("work-mode", "one process does all of it",
                     "`longhaul migrate` has workers that share a run");
  } else if (!mode.empty()) {
    settings.Fail("work-mode", QuotedForImport(mode) + " is not known");
  }
  const Url source = ReadUrl(from_text);
  if (source.s3) RemarkFolder(log, settings.file(), source.prefix);
  for (std::string& word : ExcludesOf(extras, false, source.bucket, source.prefix, log)) {
    command.words.push_back(std::move(word));
  }
  if (extras.ignored.empty()) {
    settings.NotCarried("ignore-list-path", "the list itself is needed", "give it as another FILE");
  } else {
    static_cast<void>(settings.Find("ignore-list-path"));
  }
  for (const MigrationKnown& known : kDoneOfS3trans) {
    settings.NotCarried(known.name, known.why, known.remedy);
  }
  if (from_text.empty()) {
    log.Remark(ImportRemark::Kind::kFillIn, settings.file(), "does not say what is copied",
               "import the command line");
  } else {
    plan.AddCommand(std::move(command));
  }
  settings.Finish();
}

}  // namespace longhaul
