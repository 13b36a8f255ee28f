#include "cli/copy_or_move.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "cli/output.h"
#include "cli/transfer_ends.h"
#include "cli/wildcard.h"
#include "transfer/listing/listing.h"
#include "transfer/local/local_folder.h"
#include "transfer/tree/carry_object.h"
#include "transfer/tree/store_wide.h"
#include "transfer/tree/sync_trees.h"

namespace longhaul {

namespace {

// `cp a/b FOLDER/` makes FOLDER/b.
std::string TargetKey(const CommandAddress& target, const std::string& key) {
  if (!target.folder()) return target.key;
  std::string_view name = key;
  if (name.ends_with('/')) name.remove_suffix(1);
  const size_t slash = name.rfind('/');
  return target.key + (slash == std::string_view::npos ? key : key.substr(slash + 1));
}

}  // namespace

void CopyOrMove::Declare(FlagSet& flags) {
  const bool move = move_;
  flags.Arguments(
      "SOURCE",
      move ? "What to move: an address or a path." : "What to copy: an address or a path.", 1,
      sources_);
  flags.Argument("TARGET", "Where to: an address or a path.", target_);
  flags.Switch(
      {.name = "recursive",
       .help = move ? "Move all that lies below SOURCE." : "Copy all that lies below SOURCE.",
       .letter = 'r',
       .alias = "R"},
      recursive_);
  flags.Switch({.name = "dry-run",
                .help = "Show what would be done, and change nothing.",
                .letter = 'n',
                .alias = "dryrun"},
               dry_run_);
  flags.Switch({.name = "no-clobber",
                .help = "Leave targets alone that exist. The target's server decides "
                        "(If-None-Match), so nothing is overwritten by a race either.",
                .alias = "ignore-existing"},
               no_clobber_);
  verbose_.Declare(flags);
  if (!move_) at_.Declare(flags);
  if (!move_) versions_.Declare(flags);
  flags.Section("LISTINGS");
  listings_.Declare(flags, false);
  filters_.Declare(flags);
  copies_.Declare(flags);
  limits_.Declare(flags);
  reports_.Declare(flags, false);
  run_flags_.Declare(flags);
  store_flags_.Declare(flags, true);
}

Async<ExitCode> CopyOrMove::RunAsync(RunContext& context) {
  Result<void> one_side = reports_.lists.RefuseOfBothSides(
      move_ ? "mv" : "cp",
      "does not look at what TARGET has: `longhaul sync` does; --report and --error go with both");
  if (!one_side) co_return one_side.error();
  StoreOpener opener(context, store_flags_, true);
  LimitedStores limited(context, limits_);
  Result<OpenedAddress> target = opener.Open(target_, StoreEnd::kTarget);
  if (!target) co_return target.error();
  if (target->address.bucket.empty()) {
    co_return InvalidInput("'" + target_ + "' names no bucket");
  }
  Result<void> encrypted = CheckTakesEncryption(context, *target);
  if (!encrypted) co_return encrypted.error();
  Result<void> classed = CheckTakesClass(context, *target);
  if (!classed) co_return classed.error();
  if (sources_.size() > 1 && !target->address.folder()) {
    co_return InvalidInput("several sources need a folder as TARGET: write '" + target_ + "/'");
  }
  const bool given = listings_.FromFile(StoreEnd::kSource) || !listings_.source.save.empty();
  if (!recursive_ && (at_.at || given)) {
    co_return InvalidInput("--at and listings in files go with --recursive");
  }
  if (!recursive_) {
    Result<void> one = CheckOne();
    if (!one) co_return one.error();
  }
  Result<void> one_listing = listings_.CheckOneAddress(sources_.size());
  if (!one_listing) co_return one_listing.error();
  if (at_.at && given) co_return InvalidInput("one of --at and a listing in a file is enough");
  if (versions_.versions) {
    if (!recursive_) co_return InvalidInput("--versions goes with --recursive");
    if (at_.at || no_clobber_) {
      co_return InvalidInput("--versions goes without --at and --no-clobber");
    }
    Result<void> whole = CheckWholeHistories(listings_, filters_.Make({}));
    if (!whole) co_return whole.error();
  }
  Result<void> apart = CheckNamesApart(target->address);
  if (!apart) co_return apart.error();
  limited.Wrap(*target);
  SyncOptions options{.copy = copies_.Options(),
                      .filter = filters_.Make(context.runtime().clock.Now()),
                      .in_flight = static_cast<int>(copies_.in_flight),
                      .dry_run = dry_run_,
                      .move = move_};
  options.copy.if_absent = no_clobber_;
  limits_.Apply(options, context.runtime().clock.SteadyNow());
  TransferRun run(context, {.verb = move_ ? "moved" : "copied",
                            .verbose = verbose_.level,
                            .dry_run = dry_run_,
                            .move = move_,
                            .filter = &options.filter});
  Result<void> done = run.Open(reports_);
  if (!done) co_return done.error();
  const bool one_tree = recursive_ && sources_.size() == 1 && !dry_run_;
  if (!one_tree && !(run_flags_.resume + run_flags_.retry_failed).empty()) {
    co_return InvalidInput("--resume and --retry-failed go with --recursive and one SOURCE");
  }
  std::string below = target->address.key;
  if (!recursive_ && !target->address.folder()) below.clear();
  if (recursive_ && !target->address.folder()) below += '/';
  if (at_.at) time_at_ = at_.at->From(context.runtime().clock.Now());
  RunSession::What what{.command = move_ ? "mv" : "cp",
                        .source = sources_.front(),
                        .target = target_,
                        .below = below,
                        .target_place = LastingPlace(*target),
                        .at = time_at_};
  if (one_tree) {
    Result<OpenedAddress> source = opener.Open(sources_.front(), StoreEnd::kSource);
    if (!source) co_return source.error();
    what.source_place = LastingPlace(*source);
    if (move_ && listings_.FromFile(StoreEnd::kSource)) {
      // What has been moved is missing at the source, as what never was there.
      what.no_journal = "no journal is kept of a move with a listing in a file";
    } else if (versions_.versions) {
      what.listing = kHistories;
      what.journal = true;
    } else {
      Result<void> known =
          co_await KnowSource(context, opener, std::move(*source), listings_, at_, what);
      if (!known) co_return known.error();
    }
  } else if (recursive_ && !dry_run_) {
    what.no_journal = "no journal is kept with several SOURCEs";
  }
  if (recursive_) {
    Result<std::function<bool(std::string_view)>> lands =
        co_await LandsInASource(context, opener, *target);
    if (!lands) co_return lands.error();
    options.lands_in_source = std::move(*lands);
  }
  Result<void> remembered = co_await run.Remember(run_flags_, std::move(what));
  if (!remembered) co_return remembered.error();
  options.filter = filters_.Make(run.Began(context.runtime().clock.Now()));
  if (at_.at) time_at_ = run.At(time_at_);
  run.listers_max = static_cast<int>(listings_.listers);
  run.Begin();
  for (const std::string& text : sources_) {
    Result<OpenedAddress> source = opener.Open(text, StoreEnd::kSource);
    if (source) limited.Wrap(*source);
    // What another source has just been moved to is there once.
    const bool behind = move_ && recursive_ && &text != &sources_.front();
    options.copy.if_absent = no_clobber_ || behind;
    options.exists_fails = behind && !no_clobber_;
    done = !source      ? Result<void>(source.error())
           : recursive_ ? co_await CarryBelow(context, opener, *source, *target, run, options)
                        : co_await CarryOne(context, *source, *target, run);
    if (!done) break;
  }
  co_return co_await run.Conclude(
      done, recursive_ && !dry_run_ ? SummaryText::kTransfer : SummaryText::kNone);
}

Async<std::function<bool(std::string_view name)>> CopyOrMove::LandsInASource(RunContext& context,
                                                                             StoreOpener& opener,
                                                                             OpenedAddress target) {
  constexpr int kLooksMax = 32;
  struct Source {
    OpenedAddress end;
    TruePlaces places;
  };
  if (!target.address.folder()) target.address.key += '/';
  std::deque<Source> sources;
  for (const std::string& text : sources_) {
    Result<OpenedAddress> source = opener.Open(text, StoreEnd::kSource);
    if (!source || source->address.bucket.empty()) continue;  // It is told at its turn.
    if (!source->address.folder()) source->address.key += '/';
    sources.push_back({.end = std::move(*source), .places = {}});
  }
  auto look = [](Runtime runtime, Source* source, OpenedAddress to) -> Async<void> {
    Result<TruePlaces> found =
        co_await FindTruePlaces(std::move(runtime), source->end, std::move(to), false);
    if (!found) co_return found.error();
    source->places = std::move(*found);
    co_return Ok();
  };
  TaskGroup looks(context.runtime().executor);
  for (Source& source : sources) {
    if (dry_run_ || looks.failed()) break;
    co_await looks.WaitBelow(kLooksMax);
    looks.Spawn(look(context.runtime(), &source, target));
  }
  Result<void> looked = co_await looks.Join();
  if (!looked) co_return looked.error();

  std::vector<std::function<bool(std::string_view)>> each;
  for (const Source& source : sources) {
    const OpenedAddress true_source = source.places.Of(source.end);
    const OpenedAddress true_target = source.places.Of(target);
    Result<void> apart =
        source.places.found() ? CheckNotIntoItself(true_source, true_target) : Ok();
    if (!apart) co_return apart.error();
    auto lands = LandsIn(true_source, true_target);
    if (lands) each.push_back(std::move(lands));
  }
  if (each.empty()) co_return std::function<bool(std::string_view)>();
  co_return [each = std::move(each)](std::string_view name) {
    return std::ranges::any_of(each, [name](const auto& lands) { return lands(name); });
  };
}

// Of two keys: the folders that they lie in.
Async<void> CopyOrMove::CheckApart(RunContext& context, OpenedAddress source, OpenedAddress target,
                                   std::string key, std::string target_key) {
  // Another name cannot be the same file.
  if (key.substr(key.rfind('/') + 1) != target_key.substr(target_key.rfind('/') + 1))
    co_return Ok();
  const Error same = InvalidInput("'" + source.address.text + "' and '" + target.address.text +
                                  "' are the same: a server keeps its objects in this folder");
  key.resize(key.rfind('/') + 1);
  target_key.resize(target_key.rfind('/') + 1);
  source.address.key = std::move(key);
  target.address.key = std::move(target_key);
  Result<bool> one = co_await AreOneFolder(context.runtime(), source, target);
  if (!one) co_return one.error();
  if (*one) co_return same;
  co_return Ok();
}

// What one source has put there the next must not replace.
Result<void> CopyOrMove::CheckNamesApart(const CommandAddress& target) const {
  std::map<std::string, std::string> names;
  for (const std::string& text : sources_) {
    if (recursive_) break;
    Result<CommandAddress> source = ParseCommandAddress(text);
    if (!source) return source.error();
    const auto [found, fresh] = names.emplace(TargetKey(target, source->key), text);
    if (!fresh) {
      return InvalidInput("'" + found->second + "' and '" + text + "' would both become '" +
                          target.WithKey(found->first) + "': copy them one by one, to two names");
    }
  }
  return Ok();
}

Result<void> CopyOrMove::CheckOne() const {
  const std::string command = move_ ? "mv" : "cp";
  if (!filters_.Make({}).empty()) {
    return InvalidInput("filters go with --recursive, to take what matches: `longhaul " + command +
                        " --recursive ... FOLDER/ TARGET`; without it each SOURCE is one object");
  }
  if (limits_.bytes_max || limits_.duration_max) {
    return InvalidInput("--max-transfer and --max-duration go with --recursive: `longhaul " +
                        command + " --recursive ... FOLDER/ TARGET`");
  }
  return Ok();
}

Async<void> CopyOrMove::CarryOne(RunContext& context, OpenedAddress source, OpenedAddress target,
                                 TransferRun& run) {
  if (source.address.bucket.empty()) {
    co_return InvalidInput("'" + source.address.text + "' names no bucket");
  }
  const std::string& key = source.address.key;
  if (key.empty() ||
      (source.address.kind == CommandAddress::Kind::kLocal && source.address.folder())) {
    co_return InvalidInput("'" + source.address.text +
                           "' is a folder: add --recursive to take what is in it");
  }
  const std::string target_key = TargetKey(target.address, key);
  const std::string from = source.address.WithKey(key);
  const std::string to = target.address.WithKey(target_key);
  if (IsSameObject(source, key, target, target_key)) {
    co_return InvalidInput("'" + from + "' and '" + to + "' are the same");
  }
  if (move_ && !dry_run_) {
    Result<void> apart = co_await CheckApart(context, source, target, key, target_key);
    if (!apart) co_return apart;
  }
  auto tell = [&](const char* event, const char* verb, uint64_t size_bytes,
                  std::string_view verified, uint64_t found_bytes = 0) {
    Message message(event);
    message.With("source", from).With("target", to).With("size", size_bytes);
    if (!verified.empty()) message.With("verified", verified);
    std::string size = FormatBytes(size_bytes);
    if (found_bytes > 0) {
      message.With("found", found_bytes);
      size += ", " + FormatBytes(found_bytes) + " of it were there";
    }
    message.Says(std::string(verb) + " " + Printable(from) + " to " + Printable(to) + " (" + size +
                 ")");
    if (dry_run_) {
      context.output().Print(message);
    } else {
      context.output().Note(message);
    }
  };
  const auto without_wildcards = [&](const Error& error) {
    return WithWildcardRemedy(error, move_ ? "mv --recursive" : "cp --recursive", source.address,
                              " " + target_);
  };
  ListedObject listed{.key = key};
  SyncStep step = run.StepOfOne(source.address, target.address, target_key);
  step.source = &listed;
  const auto tell_left_alone = [&] {
    ++run.totals.skipped;
    step.decision = {SyncVerdict::kSkip, reason::kExists};
    run.report().OnSkipped(step);
    context.output().Note(Message("skipped")
                              .With("target", to)
                              .With("reason", "exists")
                              .Says("left alone, it exists: " + Printable(to)));
  };
  if (dry_run_) {
    Result<ObjectInfo> info =
        co_await source.store->Head({.bucket = source.address.bucket, .key = key});
    if (!info) {
      run.report().OnFailed(step, info.error());
      co_return without_wildcards(info.error().In(from));
    }
    listed.size_bytes = info->size_bytes;
    listed.etag = info->etag;
    listed.last_modified = info->last_modified;
    if (no_clobber_) {
      Result<ObjectInfo> there =
          co_await target.store->Head({.bucket = target.address.bucket, .key = target_key});
      if (there) {
        tell_left_alone();
        co_return Ok();
      }
      // Who may write need not be allowed to look.
      if (there.error().kind == ErrorKind::kNotFound) step.decision.reason = reason::kNew;
    }
    run.report().OnChosen(step);
    tell(move_ ? "would_move" : "would_copy", move_ ? "would move" : "would copy", info->size_bytes,
         "");
    co_return Ok();
  }
  ++run.progress.totals.objects_total;
  CopyOptions copy = copies_.Options();
  copy.if_absent = no_clobber_;
  copy.uploads = run.uploads();
  copy.stop = &context.stop();
  copy.on_bytes = [&run](uint64_t bytes) { run.progress.totals.bytes_done += bytes; };
  CopySource object{.store = *source.store, .bucket = source.address.bucket, .key = key};
  CopyTarget place{.store = *target.store, .bucket = target.address.bucket, .key = target_key};
  Result<CopyOutcome> outcome =
      move_ ? co_await MoveObject(context.runtime(), object, place, std::move(copy))
            : co_await CopyObject(context.runtime(), object, place, std::move(copy));
  if (!outcome) {
    if (no_clobber_ && IsThereAlready(outcome.error())) {
      tell_left_alone();
      co_return Ok();
    }
    run.report().OnFailed(step, outcome.error());
    if (sources_.size() == 1 || IsStoreWide(outcome.error())) {
      co_return without_wildcards(outcome.error().In(from));  // This alone says it all.
    }
    ++run.totals.failed;
    context.output().Problem(from, without_wildcards(outcome.error()));
    co_return Ok();
  }
  ++run.totals.copied;
  run.totals.bytes += outcome->size_bytes;
  if (outcome->verified == Verified::kNot && !IsLocalEtag(outcome->source_etag)) {
    ++run.totals.not_verified;
  }
  ++run.progress.totals.objects_done;
  if (no_clobber_) step.decision.reason = reason::kNew;  // Else it would have been left alone.
  run.report().OnCopied(step, *outcome);
  tell(move_ ? "moved" : "copied", move_ ? "moved" : "copied", outcome->size_bytes,
       VerifiedBy(outcome->verified), outcome->found_bytes);
  co_return Ok();
}

Async<void> CopyOrMove::CarryBelow(RunContext& context, StoreOpener& opener, OpenedAddress source,
                                   OpenedAddress target, TransferRun& run, SyncOptions options) {
  const CommandAddress typed = source.address;
  Result<void> prepared = PrepareEnds(source, target);
  if (!prepared) co_return prepared;
  if (move_ && !dry_run_) {
    Result<void> apart =
        co_await CheckApart(context, source, target, source.address.key, target.address.key);
    if (!apart) co_return apart;
  }
  if (at_.at) {
    Result<void> kept = co_await CheckKeepsVersions(source);
    if (!kept) co_return kept;
  }
  Result<bool> denied = co_await IsTargetDenied(target);
  if (!denied) co_return denied.error();
  options.target_denied = *denied;
  // What a real run would be told by each write.
  const bool look = dry_run_ && no_clobber_ && !*denied;
  if (look) {
    options.compare.ignore_existing = true;
    options.source_alone = true;
  }
  const uint64_t before = FoundAtSource(run.totals) + run.totals.failed;
  // A listing that is kept is to be whole.
  options.leave_out_unreadable =
      !listings_.FromFile(StoreEnd::kSource) && listings_.source.save.empty();
  auto open = [&](TransferRun::Wanted wanted) {
    if (listings_.FromFile(StoreEnd::kSource) || !listings_.source.save.empty()) {
      const auto missing = [&, lines = wanted.lines](const Error& error, const std::string& key) {
        if (lines || !key.empty()) run.TellNotListed(source, key, error);
      };
      // What has been moved already is missing.
      const auto wrong =
          move_ ? ListingFlags::Wrong::kGoesOn : ListingFlags::Wrong::kGoesOnUnlessNone;
      return listings_.Open(context, opener, source, StoreEnd::kSource, std::move(wanted.options),
                            missing, wrong, std::move(wanted.passed_over));
    }
    if (at_.at) {
      return OpenedListing(OpenListingAt(context.runtime(), *source.store, source.address.bucket,
                                         source.address.key, time_at_, std::move(wanted.options)));
    }
    return OpenedListing(OpenListing(context.runtime(), *source.store, source.address.bucket,
                                     source.address.key, std::move(wanted.options)));
  };
  Result<void> done =
      versions_.versions
          ? co_await run.TransferVersions(
                source, target, {.listers_max = static_cast<int>(listings_.listers)}, options)
          : co_await run.Transfer(source, target, open, look, options);
  if (!done) co_return done;
  if (FoundAtSource(run.totals) + run.totals.failed > before ||
      !(run_flags_.resume + run_flags_.retry_failed).empty()) {
    co_return Ok();
  }
  // A bucket or a folder that is empty is there all the same.
  if (source.address.key.empty()) {
    if (!listings_.FromFile(StoreEnd::kSource)) run.TellNothingFound(typed);
    co_return Ok();
  }
  co_return WithWildcardRemedy(NotFound("there is nothing below '" + source.address.text + "'"),
                               move_ ? "mv --recursive" : "cp --recursive", typed, " " + target_);
}

}  // namespace longhaul
