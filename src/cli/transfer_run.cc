#include "cli/transfer_run.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "cli/transfer_ends.h"
#include "cli/wildcard.h"
#include "storage/left_out_links.h"
#include "storage/makes_durable.h"
#include "transfer/local/local_folder.h"
#include "transfer/runs/watch_for_loss.h"
#include "transfer/tree/mirror_versions.h"
#include "transfer/tree/named_objects.h"

namespace longhaul {

namespace {

// Behind which a listing has `name` and little of what is before it: `name` less its last
// character.
std::string NameBefore(std::string name) {
  while (!name.empty()) {
    const bool inside = (static_cast<unsigned char>(name.back()) & 0xC0) == 0x80;
    name.pop_back();
    if (!inside) break;
  }
  return name;
}

// What a listing has to give that has `names`, which are in order.
ListingOptions Around(const std::vector<std::string>& names, const std::string& prefix,
                      ListingOptions options) {
  if (names.empty()) return options;
  const std::string before = NameBefore(names.front());
  if (!before.empty()) options.start_after = prefix + before;
  options.up_to = prefix + names.back();
  return options;
}

// Both are borrowed.
PassedOver AllBut(const std::vector<std::string>& names, const std::string& prefix) {
  return [&names, &prefix](const std::string& key) {
    return !std::ranges::binary_search(names, key.substr(prefix.size()));
  };
}

}  // namespace

Async<std::unique_ptr<Listing>> OpenedListing(std::unique_ptr<Listing> listing) {
  co_return listing;
}

TransferRun::TransferRun(RunContext& context, TransferObserver::Options options)
    : progress(context.output(), context.runtime().clock, options.verb, 0),
      context_(context),
      observer_(context.output(), progress, options),
      report_(context.output(), context.runtime().clock, options.dry_run, options.filter),
      watch_(context.runtime().executor) {
  observers.Add(observer_);
  observers.Add(report_);
}

void TransferRun::Begin() {
  watch_.Spawn(progress.Watch());
  if (RunJournal* journal = session_ ? session_->journal() : nullptr) {
    watch_.Spawn(WatchForLoss(context_.runtime(), *journal, context_.stop(), over_));
  }
}

// Names in the journal must outlive a machine that goes down no longer than their files.
void TransferRun::HoldUntilDurable(const OpenedAddress& target) {
  RunJournal* journal = session_ ? session_->journal() : nullptr;
  if (journal == nullptr || !IsPlainFolder(target.store->capabilities())) return;
  journal->set_make_durable([store = target.store, bucket = target.address.bucket] {
    return MakeAllDurable(*store, bucket);
  });
}

void TransferRun::SetEnds(const OpenedAddress& source, const OpenedAddress& target) {
  observer_.SetEnds(source.address, target.address);
  report_.SetEnds(source.address, target.address);
}

SyncStep TransferRun::StepOfOne(const CommandAddress& source, const CommandAddress& target,
                                const std::string& target_key) {
  CommandAddress from = source;
  from.key.resize(from.key.rfind('/', from.key.size() - 2) + 1);
  CommandAddress to = target;
  to.key.resize(to.key.rfind('/') + 1);
  report_.SetEnds(from, to, target_key);
  return {.name = std::string_view(source.key).substr(from.key.size()),
          .decision = {SyncVerdict::kCopy, reason::kNotCompared}};
}

void TransferRun::TellNotListed(const OpenedAddress& source, const std::string& key,
                                const Error& error) {
  ++totals.failed;
  context_.output().Problem("", error);
  if (key.empty()) return;
  const ListedObject object{.key = key};
  const std::string_view name = std::string_view(key).substr(source.address.key.size());
  report_.OnFailed({.name = name, .source = &object}, error);
  if (journal_) journal_->OnNotThere(name, error);
}

Async<void> TransferRun::Remember(const RunFlags& flags, RunSession::What what) {
  Result<std::unique_ptr<RunSession>> session =
      co_await RunSession::Open(context_, flags, std::move(what));
  if (!session) co_return session.error();
  session_ = std::move(*session);
  if (session_->journal() != nullptr) {
    journal_.emplace(*session_->journal(), session_->journal()->record().listing == kHistories);
    observers.Add(*journal_);
  }
  co_return Ok();
}

Async<void> TransferRun::Carry(OpenedAddress source, OpenedAddress target, Listing& listing,
                               Listing* there, SyncOptions options) {
  co_return co_await SyncTrees(
      context_.runtime(),
      {.store = *source.store, .bucket = source.address.bucket, .prefix = source.address.key},
      {.store = *target.store, .bucket = target.address.bucket, .prefix = target.address.key},
      listing, there, std::move(options), observers, totals);
}

SystemTime TransferRun::Began(SystemTime now) const {
  return session_ && session_->journal() != nullptr ? session_->journal()->record().started : now;
}

SystemTime TransferRun::At(SystemTime now) const {
  return session_ && session_->found() ? session_->found()->at : now;
}

Async<std::unique_ptr<Listing>> TransferRun::OpenPart(const OpenSource& open, Wanted wanted) {
  PassedOver passed_over = wanted.passed_over;
  Result<std::unique_ptr<Listing>> listing = co_await open(std::move(wanted));
  if (!listing || !passed_over) co_return listing;
  co_return WithoutKeys(std::move(*listing), std::move(passed_over));
}

Async<void> TransferRun::Redo(CarryNames carry, bool rest, bool empty) {
  Result<std::vector<std::string>> again = co_await session_->NamesToRedo();
  if (!again) co_return again.error();
  std::vector<std::string> names = std::move(*again);
  RunJournal& journal = *session_->journal();
  if (!names.empty()) journal.counts().failed = 0;  // All that failed is done again.
  journal.set_redoing(true);
  std::optional<std::string> from = session_->GoesOnAfter();
  if (from && !session_->found()->listing.empty()) {
    // Behind that all are looked at anyway.
    const auto behind = std::ranges::upper_bound(names, *from);
    for (auto name = behind; name != names.end(); ++name) journal.Done(*name);
    names.erase(behind, names.end());
  }
  Result<void> done = Ok();
  if (!names.empty() || (empty && !rest)) {
    std::set<std::string, std::less<>> left(names.begin(), names.end());
    journal_->set_on_told([&left](std::string_view name) {
      auto found = left.find(name);
      if (found != left.end()) left.erase(found);
    });
    done = co_await carry(names);
    // What is not at the source any more has nothing to be done. What was begun and has not ended
    // stays open.
    if (done) {
      for (const std::string& name : left) journal.Done(name);
    }
    journal_->set_on_told({});
  }
  journal.set_redoing(false);
  co_return done;
}

Async<void> TransferRun::RedoNames(OpenedAddress source, OpenedAddress target,
                                   const OpenSource& open, SyncOptions options,
                                   std::vector<std::string> names, bool lines) {
  const std::string& prefix = source.address.key;
  std::unique_ptr<Listing> listing;
  // Of a plain folder these were folders that could not be read: no file has such a name.
  std::vector<std::string> folders;
  if (session_->found()->listing.empty()) {
    if (IsPlainFolder(source.store->capabilities())) {
      std::ranges::copy_if(names, std::back_inserter(folders),
                           [](const std::string& name) { return name.ends_with('/'); });
      std::erase_if(names, [](const std::string& name) { return name.ends_with('/'); });
    }
    listing =
        OpenNamedObjects(context_.runtime(), *source.store, source.address.bucket, prefix, names);
  } else {
    Wanted wanted{.options = Around(names, prefix, {.listers_max = listers_max}),
                  .passed_over = AllBut(names, prefix),
                  .lines = lines};
    Result<std::unique_ptr<Listing>> opened = co_await OpenPart(open, std::move(wanted));
    if (!opened) co_return opened.error();
    listing = std::move(*opened);
  }
  std::unique_ptr<Listing> there;
  if (!options.move && !IsMissingFolder(target)) {
    there = OpenNamedObjects(context_.runtime(), *target.store, target.address.bucket,
                             target.address.key, names);
  }
  Result<void> done = co_await Carry(source, target, *listing, there.get(), options);
  co_await listing->Close();
  if (there != nullptr) co_await there->Close();
  for (const std::string& folder : folders) {
    if (!done) break;
    listing = OpenListing(context_.runtime(), *source.store, source.address.bucket,
                          source.address.key + folder);
    there = options.move || IsMissingFolder(target)
                ? nullptr
                : OpenListing(context_.runtime(), *target.store, target.address.bucket,
                              target.address.key + folder);
    done = co_await Carry(source, target, *listing, there.get(), options);
    co_await listing->Close();
    if (there != nullptr) co_await there->Close();
  }
  co_return done;
}

Async<void> TransferRun::Transfer(OpenedAddress source, OpenedAddress target, OpenSource open,
                                  bool compare, SyncOptions options,
                                  std::unique_ptr<Listing> target_listing) {
  SetEnds(source, target);
  HoldUntilDurable(target);
  options.copy.uploads = uploads();
  options.copy.stop = &context_.stop();
  options.copy.on_bytes = [this](uint64_t bytes) { progress.totals.bytes_done += bytes; };
  std::string after;
  if (session_ && session_->found()) {
    // What was done after the journal's last write is found at the target; what was to be moved is
    // carried again, or its source would stay.
    if (!compare && !options.move) {
      // Sizes and times tell nothing where whatever is there is to be replaced: it is done when it
      // is a copy in all.
      options.compare = {.checksum = true};
      options.descriptions = true;
      compare = true;
    }
    std::optional<std::string> from = session_->GoesOnAfter();
    // What is to be removed is known when all of it has been compared.
    const bool rest = from || (options.remove && !session_->failed_only());
    SyncOptions again = options;
    again.remove = false;
    again.failed_before = true;
    // Lines of a file that make no sense are told whatever else is to be done.
    const RunRecord& run = *session_->found();
    const bool of_file = !run.listing.empty() && run.at == SystemTime{};
    Result<void> redone = co_await Redo(
        [&](const std::vector<std::string>& names) {
          return RedoNames(source, target, open, again, names, !rest);
        },
        rest, of_file);
    if (!redone) co_return redone;
    if (!rest) co_return Ok();
    if (from && !options.remove) after = *from;
  }
  const auto from = [&](const OpenedAddress& end) {
    return ListingOptions{.listers_max = listers_max,
                          .start_after = after.empty() ? "" : end.address.key + after};
  };
  const uint64_t links_before = LinksLeftOut(*source.store, source.address.bucket);
  Wanted wanted{.options = from(source)};
  if (!after.empty() && !session_->found()->listing.empty()) {
    wanted.passed_over = [last = source.address.key + after](const std::string& key) {
      return key <= last;
    };
  }
  std::unique_ptr<Listing> there = std::move(target_listing);
  Result<std::unique_ptr<Listing>> listing = co_await OpenPart(open, std::move(wanted));
  if (!listing) {
    if (there != nullptr) co_await there->Close();
    co_return listing.error();
  }
  // Of a folder that does not exist yet there is none.
  if (compare && there == nullptr && !IsMissingFolder(target)) {
    there = OpenListing(context_.runtime(), *target.store, target.address.bucket,
                        target.address.key, from(target));
  }
  options.target_unknown = !compare && !IsMissingFolder(target);
  Result<void> done = co_await Carry(source, target, **listing, there.get(), std::move(options));
  co_await (*listing)->Close();
  if (there != nullptr) co_await there->Close();
  totals.links += LinksLeftOut(*source.store, source.address.bucket) - links_before;
  co_return done;
}

Async<void> TransferRun::TransferVersions(OpenedAddress source, OpenedAddress target,
                                          ListingOptions listed, SyncOptions options) {
  SetEnds(source, target);
  HoldUntilDurable(target);
  options.copy.stop = &context_.stop();
  options.copy.on_bytes = [this](uint64_t bytes) { progress.totals.bytes_done += bytes; };
  Result<void> kept = co_await CheckKeepsVersions(
      {.store = *source.store, .bucket = source.address.bucket, .prefix = source.address.key},
      {.store = *target.store, .bucket = target.address.bucket, .prefix = target.address.key});
  if (!kept) co_return kept;
  std::string after;
  if (session_ && session_->found()) {
    const std::optional<std::string> from = session_->GoesOnAfter();
    SyncOptions again = options;
    again.failed_before = true;
    Result<void> redone = co_await Redo(
        [&](const std::vector<std::string>& names) {
          return RedoVersions(source, target, listed, again, names);
        },
        from.has_value(), false);
    if (!redone || !from) co_return redone;
    after = *from;
  }
  ListingOptions at_source = listed;
  ListingOptions at_target = listed;
  if (!after.empty()) {
    at_source.start_after = source.address.key + after;
    at_target.start_after = target.address.key + after;
  }
  co_return co_await CarryVersions(std::move(source), std::move(target), std::move(at_source),
                                   std::move(at_target), {}, {}, std::move(options));
}

Async<void> TransferRun::RedoVersions(OpenedAddress source, OpenedAddress target,
                                      ListingOptions listed, SyncOptions options,
                                      const std::vector<std::string>& names) {
  const std::string& prefix = source.address.key;
  const std::string& target_prefix = target.address.key;
  co_return co_await CarryVersions(source, target, Around(names, prefix, listed),
                                   Around(names, target_prefix, listed), AllBut(names, prefix),
                                   AllBut(names, target_prefix), std::move(options));
}

Async<void> TransferRun::CarryVersions(OpenedAddress source, OpenedAddress target,
                                       ListingOptions at_source, ListingOptions at_target,
                                       PassedOver not_of_source, PassedOver not_of_target,
                                       SyncOptions options) {
  const auto open = [this](const OpenedAddress& end, ListingOptions listed,
                           PassedOver passed_over) {
    std::unique_ptr<Listing> versions = OpenVersionListing(
        context_.runtime(), *end.store, end.address.bucket, end.address.key, std::move(listed));
    return passed_over ? WithoutKeys(std::move(versions), std::move(passed_over))
                       : std::move(versions);
  };
  std::unique_ptr<Listing> versions = open(source, std::move(at_source), std::move(not_of_source));
  std::unique_ptr<Listing> there = open(target, std::move(at_target), std::move(not_of_target));
  Result<void> done = co_await MirrorVersions(
      context_.runtime(),
      {.store = *source.store, .bucket = source.address.bucket, .prefix = source.address.key},
      {.store = *target.store, .bucket = target.address.bucket, .prefix = target.address.key},
      *versions, *there, std::move(options), observers, totals);
  co_await versions->Close();
  co_await there->Close();
  co_return done;
}

void TransferRun::TellNothingFound(const CommandAddress& source) {
  Error nothing = NotFound("nothing under '" + source.text + "'");
  if (LooksLikeWildcard(source)) {
    nothing = WithWildcardRemedy(std::move(nothing), "sync", source, " TARGET");
  } else {
    nothing.message += source.key.empty() ? ": it is empty" : ": is the prefix right?";
  }
  context_.output().Problem(
      Message("nothing_found").With("source", source.text).Says(Printable(nothing.message)));
}

Async<ExitCode> TransferRun::Conclude(Result<void> done, SummaryText text) {
  progress.Finish();
  over_.Set();
  Result<void> watched = co_await watch_.Join();
  if (!watched && done) done = watched.error();
  RunJournal* journal = session_ ? session_->journal() : nullptr;
  if (!done && journal != nullptr && journal->lost().is_set()) {
    done = PreconditionFailed("run " + journal->record().id +
                              " belongs to another process by now, which has taken it over while "
                              "this one did not write its journal: nothing more is done here");
  }
  observer_.Finish();
  Result<void> written = report_.Close(totals, progress.seconds());
  Result<ExitCode> code =
      ConcludeTransfer(context_.output(), totals, done, progress.seconds(), text);
  if (!written && code) {
    context_.output().Problem("", written.error());
    if (*code == ExitCode::kDone) code = ExitCode::kSomeFailed;
  }
  if (session_) {
    co_await session_->Close(code ? *code : ExitCode::kSomeFailed,
                             done ? std::nullopt : std::optional(done.error()));
  }
  // It may have failed at the very end.
  if (journal != nullptr && journal->not_durable()) {
    context_.output().Problem(
        "", journal->not_durable()->In("the target's file system could not write all that it was "
                                       "given; run the same again with --checksum"));
    if (code && *code == ExitCode::kDone) code = ExitCode::kSomeFailed;
  }
  co_return code;
}

uint64_t FoundAtSource(const SyncTotals& totals) {
  return totals.source_objects + totals.skipped + totals.excluded + totals.unlisted;
}

Async<void> KnowSource(RunContext& context, StoreOpener& opener, OpenedAddress source,
                       ListingFlags& listings, AtFlag at, RunSession::What& what) {
  if (at.at) {
    // A journal says "all up to a name".
    if (source.store->capabilities().sorted_listing) {
      what.listing =
          "at " + (at.at->ago ? std::to_string(at.at->ago->count()) + " ms before its beginning"
                              : FormatRfc3339(at.at->at));
    } else {
      what.no_journal = "no journal is kept with --at of a store that lists in no order";
    }
  } else {
    Result<std::string> state = co_await listings.StateOfSource(context, opener);
    if (!state) co_return state.error();
    what.listing = std::move(*state);
    what.no_journal = listings.WhyNoJournal();
  }
  what.journal = what.no_journal.empty();
  co_return Ok();
}

Result<void> CheckWholeHistories(const ListingFlags& listings, const ObjectFilter& filter) {
  if (listings.FromFile(StoreEnd::kSource) || listings.FromFile(StoreEnd::kTarget) ||
      !(listings.source.save + listings.target.save).empty()) {
    return InvalidInput("--versions asks the store: it does not go with files of listings");
  }
  if (!filter.of_names()) {
    return InvalidInput(
        "--versions takes all versions of a key or none: with filters of names alone");
  }
  return Ok();
}

}  // namespace longhaul
