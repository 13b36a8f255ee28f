#include "cli/transfer_run.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "cli/transfer_ends.h"
#include "cli/wildcard.h"
#include "storage/left_out_links.h"
#include "transfer/local/local_folder.h"
#include "transfer/runs/watch_for_loss.h"
#include "transfer/tree/mirror_versions.h"
#include "transfer/tree/named_objects.h"

namespace longhaul {

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
  report_.OnFailed(
      {.name = std::string_view(key).substr(source.address.key.size()), .source = &object}, error);
}

Async<void> TransferRun::Remember(const RunFlags& flags, RunSession::What what) {
  Result<std::unique_ptr<RunSession>> session =
      co_await RunSession::Open(context_, flags, std::move(what));
  if (!session) co_return session.error();
  session_ = std::move(*session);
  if (session_->journal() != nullptr) {
    journal_.emplace(*session_->journal());
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

Async<void> TransferRun::Redo(OpenedAddress source, OpenedAddress target, SyncOptions options) {
  Result<std::vector<std::string>> names = co_await session_->NamesToRedo();
  if (!names) co_return names.error();
  if (names->empty()) co_return Ok();
  options.remove = false;
  options.failed_before = true;
  std::set<std::string, std::less<>> left(names->begin(), names->end());
  journal_->set_on_settled([&left](std::string_view name) {
    auto found = left.find(name);
    if (found != left.end()) left.erase(found);
  });
  // Of a plain folder these were folders that could not be read: no file has such a name.
  std::vector<std::string> folders;
  if (IsPlainFolder(source.store->capabilities())) {
    std::ranges::copy_if(*names, std::back_inserter(folders),
                         [](const std::string& name) { return name.ends_with('/'); });
    std::erase_if(*names, [](const std::string& name) { return name.ends_with('/'); });
  }
  RunJournal& journal = *session_->journal();
  journal.counts().failed = 0;  // All that failed is done again.
  journal.set_redoing(true);
  std::unique_ptr<Listing> there;
  if (!options.move && !IsMissingFolder(target)) {
    there = OpenNamedObjects(context_.runtime(), *target.store, target.address.bucket,
                             target.address.key, *names);
  }
  std::unique_ptr<Listing> listing =
      OpenNamedObjects(context_.runtime(), *source.store, source.address.bucket, source.address.key,
                       std::move(*names));
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
  // What is not at the source any more has nothing to be done.
  if (done) {
    for (const std::string& name : left) journal.Done(name);
  }
  journal.set_redoing(false);
  journal_->set_on_settled({});
  co_return done;
}

Async<void> TransferRun::Transfer(OpenedAddress source, OpenedAddress target, OpenSource open,
                                  bool compare, SyncOptions options,
                                  std::unique_ptr<Listing> target_listing) {
  SetEnds(source, target);
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
    Result<void> redone = co_await Redo(source, target, options);
    if (!redone) co_return redone;
    std::optional<std::string> from = session_->GoesOnAfter();
    // What is to be removed is known when all of it has been compared.
    if (!from && !(options.remove && !session_->failed_only())) co_return Ok();
    if (from && !options.remove) after = *from;
  }
  const auto from = [&](const OpenedAddress& end) {
    return ListingOptions{.listers_max = listers_max,
                          .start_after = after.empty() ? "" : end.address.key + after};
  };
  const uint64_t links_before = LinksLeftOut(*source.store, source.address.bucket);
  std::unique_ptr<Listing> listing = open(from(source));
  std::unique_ptr<Listing> there = std::move(target_listing);
  // Of a folder that does not exist yet there is none.
  if (compare && there == nullptr && !IsMissingFolder(target)) {
    there = OpenListing(context_.runtime(), *target.store, target.address.bucket,
                        target.address.key, from(target));
  }
  options.target_unknown = !compare && !IsMissingFolder(target);
  Result<void> done = co_await Carry(source, target, *listing, there.get(), std::move(options));
  co_await listing->Close();
  if (there != nullptr) co_await there->Close();
  totals.links += LinksLeftOut(*source.store, source.address.bucket) - links_before;
  co_return done;
}

Async<void> TransferRun::TransferVersions(OpenedAddress source, OpenedAddress target,
                                          ListingOptions listed, SyncOptions options) {
  SetEnds(source, target);
  options.copy.stop = &context_.stop();
  options.copy.on_bytes = [this](uint64_t bytes) { progress.totals.bytes_done += bytes; };
  const TreeSource from{
      .store = *source.store, .bucket = source.address.bucket, .prefix = source.address.key};
  const TreeTarget to{
      .store = *target.store, .bucket = target.address.bucket, .prefix = target.address.key};
  Result<void> kept = co_await CheckKeepsVersions(from, to);
  if (!kept) co_return kept;
  std::unique_ptr<Listing> versions =
      OpenVersionListing(context_.runtime(), from.store, from.bucket, from.prefix, listed);
  std::unique_ptr<Listing> there =
      OpenVersionListing(context_.runtime(), to.store, to.bucket, to.prefix, listed);
  Result<void> done = co_await MirrorVersions(context_.runtime(), from, to, *versions, *there,
                                              std::move(options), observers, totals);
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
  co_return code;
}

uint64_t FoundAtSource(const SyncTotals& totals) {
  return totals.source_objects + totals.skipped + totals.excluded + totals.unlisted;
}

Result<void> CheckWholeHistories(const ListingFlags& listings, const ObjectFilter& filter,
                                 bool again) {
  if (listings.FromFile(StoreEnd::kSource) || listings.FromFile(StoreEnd::kTarget) ||
      !(listings.source.save + listings.target.save).empty()) {
    return InvalidInput("--versions asks the store: it does not go with files of listings");
  }
  if (!filter.of_names()) {
    return InvalidInput(
        "--versions takes all versions of a key or none: with filters of names alone");
  }
  if (again) {
    return InvalidInput(
        "--versions goes on by itself with what is missing: without --resume and --retry-failed");
  }
  return Ok();
}

}  // namespace longhaul
