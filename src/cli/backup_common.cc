#include "cli/backup_common.h"

#include <utility>

#include "backup/catalog.h"
#include "replication/staging/seal.h"

namespace longhaul {

namespace {

// Of the memory that a command has: with two listings (ListingBytesMax) three eighths are left, so
// a part of an object always finds room (PartBytesMax).
int64_t MemoryOfVault(const MemoryBudget& memory) { return memory.limit_bytes() / 8 * 3; }

// The target of a rule that is a backup. kInvalidInput: there is none, or more than one.
Result<const Target*> BackupOf(const Rule& rule, const std::string& name) {
  const Target* found = nullptr;
  for (const Target& target : rule.targets) {
    if (!target.backup || (!name.empty() && target.name != name)) continue;
    if (found != nullptr) {
      return InvalidInput("rule '" + rule.id + "' has several backups: say which by --target");
    }
    found = &target;
  }
  if (found != nullptr) return found;
  return InvalidInput("rule '" + rule.id + "' has no backup" +
                      (name.empty() ? std::string() : " with the name '" + name + "'"));
}

// "too few arguments: give ADDRESS, PREFIX and TARGET".
std::string MissingWords(const BackupFlags& flags) {
  std::string words = flags.names;
  // With --rule there is none.
  if (!flags.rule.empty()) words.erase(0, words.find('|') + 1);
  std::string text = "too few arguments: give ";
  for (size_t at = 0; (at = words.find('|')) != std::string::npos;) {
    const bool last = words.find('|', at + 1) == std::string::npos;
    words.replace(at, 1, last ? " and " : ", ");
  }
  if (words.find("PREFIX") != std::string::npos) words += " ('' as PREFIX is all of it)";
  return text + words;
}

// The buckets that a vault has catalogs of.
Async<std::vector<std::string>> BucketsIn(Store& store, backup::VaultPlace vault) {
  ListRequest request{
      .bucket = vault.bucket, .prefix = backup::VaultPrefix(vault, "", true), .delimiter = "/"};
  std::vector<std::string> buckets;
  do {
    Result<ListPage> page = co_await store.List(request);
    if (!page) co_return page.error();
    for (const std::string& prefix : page->common_prefixes) {
      buckets.push_back(prefix.substr(request.prefix.size()));
      buckets.back().pop_back();
    }
    request.token = page->next_token;
  } while (!request.token.empty());
  co_return buckets;
}

// kNotFound: a vault has nothing of the bucket, which may be mistyped.
Async<void> CheckBucket(const OpenedVault& vault) {
  for (const bool catalogs : {false, true}) {
    ListRequest request{.bucket = vault.place.bucket,
                        .prefix = backup::VaultPrefix(vault.place, vault.bucket, catalogs),
                        .count_max = 1};
    do {
      Result<ListPage> page = co_await vault.store->List(request);
      if (!page) co_return At(vault.address, page.error());
      if (!page->objects.empty()) co_return Ok();
      request.token = page->next_token;
    } while (!request.token.empty());
  }
  co_return NotFound("there is no archive of '" + vault.bucket + "' in " + vault.name());
}

}  // namespace

void BackupFlags::Declare(FlagSet& flags, std::string_view words, std::string_view synopsis,
                          std::string_view help) {
  names = words;
  flags.Arguments(words, help, 0, arguments).synopsis = synopsis;
  flags.Text({.name = "rule",
              .help = "The backup of this rule of the configuration, in place of an ADDRESS. Only "
                      "archives that its seal_key fits are read, if it has one.",
              .value_name = "ID",
              .completes = Completes::kRules},
             rule);
  flags.Text({.name = "target",
              .help = "With --rule: which of its backups, by the target's name.",
              .value_name = "NAME"},
             target);
  flags.Text({.name = "bucket",
              .help = "With an ADDRESS: the source bucket, where the vault has backups of several.",
              .value_name = "NAME"},
             bucket);
}

void CompressorFlags::Declare(FlagSet& flags) {
  flags.Text({.name = "compressor-catalog",
              .help = "ADDRESS is no vault but a bucket in which AWS's cross-region compressor has "
                      "kept backups, and here are its catalogs (the bucket STACK-ACCOUNT-REGION-"
                      "catalog). With --bucket.",
              .value_name = "ADDRESS",
              .completes = Completes::kAddresses},
             catalog);
  flags.Switch(
      {.name = "opaque-etags",
       .help = "With --compressor-catalog: the source encrypts under KMS, so no ETag tells "
               "anything of the bytes."},
      opaque_etags);
}

void BackupTimeFlag::Declare(FlagSet& flags) {
  flags.Parsed({.name = "at",
                .help = "The bucket as it was: 2h (ago), 2026-03-01 or 2026-03-01T09:30:00Z. What "
                        "counts is when the source was read. Default: the newest that there is.",
                .value_name = "TIME"},
               [this](std::string_view text) -> Result<void> {
                 Result<TimeBound> bound = ParseTimeBound(text);
                 if (!bound) return bound.error();
                 at = *bound;
                 return Ok();
               });
}

Async<OpenedVault> OpenVault(RunContext& context, StoreOpener& opener, const BackupFlags& flags,
                             size_t count_min, size_t count_max,
                             const CompressorFlags* compressor) {
  OpenedVault vault;
  vault.words = flags.arguments;
  std::string text;
  const bool of_compressor = compressor != nullptr && !compressor->catalog.empty();
  if (compressor != nullptr && compressor->opaque_etags && !of_compressor) {
    co_return InvalidInput("--opaque-etags goes with --compressor-catalog");
  }
  if (of_compressor && (!flags.rule.empty() || flags.bucket.empty())) {
    co_return InvalidInput("--compressor-catalog goes with an address and --bucket, the source's");
  }
  if (!flags.rule.empty()) {
    const Configuration* configuration = context.configuration();
    if (configuration == nullptr) co_return InvalidInput("--rule needs --config");
    vault.rule = configuration->FindRule(flags.rule);
    if (vault.rule == nullptr) {
      co_return InvalidInput("no rule '" + flags.rule + "' in the configuration");
    }
    if (!flags.bucket.empty()) co_return InvalidInput("--bucket goes with an address");
    Result<const Target*> target = BackupOf(*vault.rule, flags.target);
    if (!target) co_return target.error();
    vault.target = *target;
    vault.seal_keys = SealKeys(*vault.rule);
    vault.bucket = vault.rule->source.bucket;
    const Address& to = vault.target->to;
    text = to.store + ":" + to.bucket + "/" + to.prefix;
  } else {
    if (!flags.target.empty()) co_return InvalidInput("--target goes with --rule");
    if (vault.words.empty()) {
      co_return InvalidInput("say where the backup is: an address like west:vault/, or --rule ID");
    }
    text = vault.words.front();
    vault.words.erase(vault.words.begin());
  }
  if (vault.words.size() < count_min || vault.words.size() > count_max) {
    co_return InvalidInput(vault.words.size() < count_min
                               ? MissingWords(flags)
                               : "'" + vault.words[count_max] + "' is one argument too many");
  }
  Result<OpenedAddress> opened = opener.Open(text, StoreEnd::kSource);
  if (!opened) co_return opened.error();
  if (opened->address.kind == CommandAddress::Kind::kLocal || opened->address.bucket.empty()) {
    co_return InvalidInput("'" + text + "' is no vault: name a bucket of a store, as west:vault/");
  }
  vault.store = opened->store;
  vault.address = opened->address;
  vault.place = {.bucket = opened->address.bucket, .prefix = opened->address.key};
  if (!opened->address.folder()) vault.place.prefix += '/';
  if (vault.rule != nullptr) co_return vault;
  vault.bucket = flags.bucket;
  if (of_compressor) {
    Result<OpenedAddress> catalog = opener.Open(compressor->catalog, StoreEnd::kSource);
    if (!catalog) co_return catalog.error();
    CommandAddress& address = catalog->address;
    if (address.kind == CommandAddress::Kind::kLocal || address.bucket.empty()) {
      co_return InvalidInput("'" + compressor->catalog + "' names no bucket of a store");
    }
    if (!address.folder()) address.key += '/';
    vault.compressor =
        CompressorBackupPlace{.archives = vault.store,
                              .kept = vault.place,
                              .catalogs = catalog->store,
                              .catalog = {.bucket = address.bucket, .prefix = address.key},
                              .source_bucket = vault.bucket,
                              .etags_are_md5 = !compressor->opaque_etags};
  }
  if (!vault.bucket.empty()) {
    Result<void> there = Ok();
    if (!of_compressor) there = co_await CheckBucket(vault);
    if (!there) co_return there.error();
    co_return vault;
  }
  Result<std::vector<std::string>> buckets = co_await BucketsIn(*vault.store, vault.place);
  if (!buckets) co_return At(vault.address, buckets.error());
  if (buckets->empty()) {
    co_return NotFound("there is no catalog of a backup at '" + text +
                       "'; if they are lost, say by --bucket whose archives these are");
  }
  if (buckets->size() > 1) {
    std::string names;
    for (const std::string& name : *buckets) names += (names.empty() ? "" : ", ") + name;
    co_return InvalidInput(
        "'" + text + "' has backups of several buckets: say which by --bucket (" + names + ")");
  }
  vault.bucket = buckets->front();
  co_return vault;
}

std::function<void(const std::string& what)> VaultTroubles::told() {
  return [this](const std::string& what) {
    output.Problem(Message("skipped").With("what", what).Says("skipped: " + Printable(what)));
  };
}

void VaultTroubles::AddTo(Message& summary) const {
  summary.With("skipped_lines", counted.lines)
      .With("skipped_files", counted.files)
      .With("catalogs_without_archive", counted.orphans)
      .With("archives_without_catalog", counted.archives);
}

void VaultTroubles::Finish() const {
  if (!may_miss()) return;
  std::string text;
  if (counted.lines > 0) {
    text =
        Counted(counted.lines, "line") +
        " of catalogs could not be read: `longhaul backup catalog --rebuild` writes such catalogs "
        "anew. ";
  }
  if (counted.orphans > 0) {
    text +=
        Counted(counted.orphans, "catalog") +
        (counted.orphans == 1 ? " has its archive" : " have their archives") +
        " no more: put back what was moved out; if it is lost, move the catalog out of the vault "
        "as well (`longhaul backup verify` names it and the objects in it). ";
  }
  output.Problem(Message("incomplete").Says(text + "Objects may be missing"));
}

Async<VaultReading> OpenVaultStore(RunContext& context, const OpenedVault& vault) {
  VaultReading reading;
  Result<Reservation> memory =
      co_await context.runtime().memory.Reserve(MemoryOfVault(context.runtime().memory));
  if (!memory) co_return memory.error();
  reading.store = std::make_unique<backup::VaultStore>(
      context.runtime(), *vault.store, vault.place, vault.bucket,
      backup::VaultArchives::Options{.seal_keys = vault.seal_keys,
                                     .memory_bytes = memory->size_bytes()});
  reading.memory = std::move(*memory);
  co_return reading;
}

Async<BackupReading> OpenBackupStore(RunContext& context, const OpenedVault& vault) {
  if (!vault.compressor) {
    Result<VaultReading> reading = co_await OpenVaultStore(context, vault);
    if (!reading) co_return reading.error();
    co_return BackupReading{.memory = std::move(reading->memory),
                            .store = std::move(reading->store)};
  }
  Result<Reservation> memory =
      co_await context.runtime().memory.Reserve(MemoryOfVault(context.runtime().memory));
  if (!memory) co_return memory.error();
  BackupReading reading;
  reading.store = std::make_unique<CompressorBackup>(context.runtime(), *vault.compressor,
                                                     memory->size_bytes());
  reading.memory = std::move(*memory);
  co_return reading;
}

std::string StampText(const ListedObject& object) {
  return FormatRfc3339(std::chrono::floor<std::chrono::seconds>(object.last_modified));
}

Error WithCatalogRemedy(const Error& error) {
  Error told = error;
  if (error.code == backup::kNoCatalog) {
    told.message += ": `longhaul backup catalog --rebuild` writes it anew from its archive";
  } else if (error.code == backup::kUnreadArchive) {
    told.message +=
        ". What is older is not given in its place: run the same again when the catalog is there, "
        "or move the archive out of the vault if `longhaul backup verify` finds it damaged";
  }
  return told;
}

}  // namespace longhaul
