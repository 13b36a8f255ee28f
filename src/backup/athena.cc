#include "backup/athena.h"

#include <algorithm>
#include <cctype>
#include <iterator>

namespace longhaul::backup {

namespace {

struct Column {
  const char* name;
  const char* type;
};

// In the order of docs/backup.md.
constexpr Column kColumns[] = {
    {"backup_file", "string"},
    {"backup_timestamp", "bigint"},
    {"backup_date", "string"},
    {"source_bucket", "string"},
    {"source_prefix", "string"},
    {"object_name", "string"},
    {"object_path", "string"},
    {"object_size", "bigint"},
    {"creation_time", "string"},
    {"creation_date", "string"},
    {"target_buckets", "array<string>"},
    {"op", "string"},
    {"version_id", "string"},
    {"etag", "string"},
    {"stamp", "string"},
    {"archive", "string"},
    {"entry", "bigint"},
    {"frame", "bigint"},
    {"offset", "bigint"},
    {"length", "bigint"},
    {"segment", "struct<plan:string,number:int,count:int,`offset`:bigint,object_size:bigint>"}};

constexpr int kYears = 20;

// Every part of a projected location is listed where a query does not say which it wants.
void AddNumber(std::string& out, const std::string& name, const std::string& range, int digits) {
  const std::string property = "  'projection." + name + ".";
  out += property + "type' = 'integer',\n";
  out += property + "range' = '" + range + "',\n";
  out += property + "digits' = '" + std::to_string(digits) + "',\n";
}

std::string QuotedName(const std::string& name) {
  std::string quoted = "`";
  for (const char c : name) quoted += c == '.' ? std::string("`.`") : std::string(1, c);
  return quoted + "`";
}

}  // namespace

std::string AthenaName(std::string_view text) {
  std::string name(text);
  for (char& c : name) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

Result<std::string> AthenaDdl(const AthenaTable& table) {
  if (table.name.empty() || std::ranges::count(table.name, '.') > 1 ||
      !std::ranges::all_of(table.name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '.';
      })) {
    return InvalidInput("'" + table.name +
                        "' is no name of a table: letters, digits and '_', after a database and "
                        "'.' if you want");
  }
  std::string location =
      "s3://" + table.vault.bucket + "/" + VaultPrefix(table.vault, table.source_bucket, true);
  if (table.rule) {
    location += table.rule->prefix;
    if (!location.ends_with('/')) location += '/';
  }
  // Nothing of this can be escaped in a template, and S3's keys may have it all.
  const bool plain = std::ranges::none_of(location, [](unsigned char c) {
    return c == '\'' || c == '\\' || c == '$' || c < ' ' || c == 0x7f;
  });
  if (!plain) {
    return InvalidInput("Athena cannot name '" + location +
                        "': its prefix has a quote, a backslash, a '$' or a control character");
  }
  std::string out = "CREATE EXTERNAL TABLE IF NOT EXISTS " + QuotedName(table.name) + " (\n";
  for (const Column& column : kColumns) {
    out += std::string("  `") + column.name + "` " + column.type;
    out += &column == std::end(kColumns) - 1 ? "\n)\n" : ",\n";
  }
  const bool daily = table.rule && table.rule->partition == BackupOptions::Partition::kDaily;
  if (table.rule) {
    out += std::string("PARTITIONED BY (`year` string, `month` string") +
           (daily ? ", `day` string" : "") + ")\n";
  }
  // A line that is no JSON is a row of NULLs instead of the end of the query.
  out +=
      "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'\n"
      "WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')\n"
      "STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'\n"
      "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'\n";
  out += "LOCATION '" + location + "'";
  if (!table.rule) return out + ";\n";
  out += "\nTBLPROPERTIES (\n  'projection.enabled' = 'true',\n";
  const int year = table.rule->first_year;
  AddNumber(out, "year", std::to_string(year) + "," + std::to_string(year + kYears), 4);
  AddNumber(out, "month", "01,12", 2);
  if (daily) AddNumber(out, "day", "01,31", 2);
  out += "  'storage.location.template' = '" + location + "year=${year}/month=${month}/" +
         (daily ? "day=${day}/" : "") + "'\n);\n";
  return out;
}

}  // namespace longhaul::backup
