#include "migration/request.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "rules/configuration.h"
#include "transfer/tree/one_bucket.h"

namespace longhaul::migration {

namespace {

// The same for the same two addresses, so that starting again is starting the same run.
std::string DerivedRunName(const Address& source, const Address& target) {
  const std::string both = source.ToString() + "\n" + target.ToString();
  const std::string digest = HexEncode(Digest(HashKind::kSha256, AsBytes(both))).substr(0, 8);
  return source.bucket.substr(0, 24) + "-" + target.bucket.substr(0, 24) + "-" + digest;
}

Error Coded(Error error, std::string code) {
  error.code = std::move(code);
  return error;
}

Result<Address> NamedAddress(const Configuration& configuration, const std::string& text) {
  if (text.starts_with("s3://") || text.starts_with("file:") || text.starts_with("/") ||
      text.starts_with(".")) {
    return InvalidInput("'" + text + "' names no store of " + configuration.file +
                        ": other workers must find it too; name the store there and write "
                        "NAME:bucket/prefix");
  }
  Result<Address> address = ParseAddress(text);
  if (!address) return address.error();
  if (!configuration.stores.contains(address->store)) {
    return InvalidInput("no store '" + address->store + "' in " + configuration.file);
  }
  return address;
}

Error InOneAnother(const Address& source, const Address& target, bool target_in_source) {
  const std::string from = "'" + source.ToString() + "'";
  const std::string to = "'" + target.ToString() + "'";
  if (target_in_source) {
    return InvalidInput(to + " lies in " + from + ": the run would copy its copies");
  }
  return InvalidInput(from + " lies in " + to +
                      ": copies would replace objects that are not copied yet");
}

// Neither side lies in the other.
Result<void> CheckApart(const Configuration& configuration, const Migration& migration,
                        const PlaceOfStore& place_of) {
  const auto space = [&](const Address& address) {
    return SpaceOf(configuration.stores.at(address.store), address, place_of);
  };
  const KeySpace source = space(migration.source);
  const KeySpace target = space(migration.target);
  if (!Meet(source, target)) return Ok();
  return InOneAnother(migration.source, migration.target, target.path.starts_with(source.path));
}

Result<std::string> PlaceOf(const Configuration& configuration, const Address& address,
                            const PlaceOfStore& place_of) {
  const auto found = configuration.stores.find(address.store);
  if (found == configuration.stores.end()) {
    return InvalidInput("no store '" + address.store + "' in " + configuration.file);
  }
  return place_of ? place_of(found->second) : found->second.Place();
}

}  // namespace

Result<Migration> MigrationBetween(const Configuration& configuration,
                                   const std::vector<Migration>& listed, const std::string& source,
                                   const std::string& target, std::optional<std::string> name) {
  Migration migration;
  Result<Address> from = NamedAddress(configuration, source);
  if (!from) return Coded(from.error(), "source");
  Result<Address> to = NamedAddress(configuration, target);
  if (!to) return Coded(to.error(), "target");
  migration.source = std::move(*from);
  migration.target = std::move(*to);
  Result<void> apart = CheckApart(configuration, migration, {});
  if (!apart) return Coded(apart.error(), "target");
  migration.id = name.value_or(DerivedRunName(migration.source, migration.target));
  if (!IsPlainName(migration.id, 64)) {
    return Coded(InvalidInput("cannot name a run: use up to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"),
                 "id");
  }
  if (FindMigration(listed, migration.id) != nullptr) {
    return Coded(InvalidInput(migration.id + " is a migration of " + configuration.file +
                              ": give another name, or start that one"),
                 "id");
  }
  return migration;
}

Result<Run> RunOf(const Configuration& configuration, const Migration& migration, SystemTime now,
                  const PlaceOfStore& place_of) {
  Result<std::string> source = PlaceOf(configuration, migration.source, place_of);
  if (!source) return source.error();
  Result<std::string> target = PlaceOf(configuration, migration.target, place_of);
  if (!target) return target.error();
  Result<void> apart = CheckApart(configuration, migration, place_of);
  if (!apart) return apart.error();
  const KeySpace space =
      SpaceOf(configuration.stores.at(migration.target.store), migration.target, place_of);
  if (const auto taken = FindInUse(configuration, space, Use::kMigration, place_of)) {
    return InvalidInput("'" + migration.target.ToString() + "' overlaps " + *taken +
                        ": give a bucket or a prefix that no rule uses");
  }
  MigrationOptions options = migration.options;
  options.CountAges(now);
  return Run{.id = migration.id,
             .source = migration.source,
             .target = migration.target,
             .source_place = std::move(*source),
             .target_place = std::move(*target),
             .options = std::move(options)};
}

Async<void> CheckEnd(Address end, Store& store, bool holds_something) {
  ListRequest request{.bucket = end.bucket, .prefix = end.prefix, .count_max = 1};
  Result<ListPage> listed = co_await store.List(std::move(request));
  if (!listed) co_return listed.error().In(end.ToString());
  const bool nothing = listed->objects.empty() && listed->next_token.empty();
  if (holds_something && nothing && !end.prefix.empty()) {
    co_return NotFound("there is nothing below '" + end.ToString() + "'");
  }
  co_return Ok();
}

Async<void> CheckNotOneBucket(Runtime runtime, Run run, Ends ends) {
  const std::string& from = run.source.prefix;
  const std::string& to = run.target.prefix;
  if (from == to || !(from.starts_with(to) || to.starts_with(from))) co_return Ok();
  // As it was found when the run was made. (Runs of another version do not say where they go.)
  const bool one_place = !run.source_place.empty() && run.source_place == run.target_place;
  if (one_place && run.source.bucket == run.target.bucket) co_return Ok();
  Result<bool> one = co_await AreOneBucket(runtime, {*ends.source, run.source.bucket, from},
                                           {*ends.target, run.target.bucket, to});
  if (!one) co_return one.error().In("look whether both buckets are one");
  if (!*one) co_return Ok();
  co_return InOneAnother(run.source, run.target, to.starts_with(from));
}

Async<void> CheckEnds(Runtime runtime, Run run, Ends ends) {
  Result<void> source = co_await CheckEnd(run.source, *ends.source, !run.options.events);
  if (!source) co_return source.error();
  Result<void> target = co_await CheckEnd(run.target, *ends.target, false);
  if (!target) co_return target.error();
  co_return co_await CheckNotOneBucket(std::move(runtime), std::move(run), ends);
}

}  // namespace longhaul::migration
