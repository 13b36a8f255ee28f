#include "cli/listing_flags.h"

#include <utility>

#include "cli/transfer_ends.h"
#include "transfer/listing/kept_listing.h"
#include "transfer/tree/store_wide.h"

namespace longhaul {

namespace {

// Names of a list that are asked for where not one is there.
constexpr uint64_t kNoneMax = 10'000;

// A plain file name needs no "./" here: it is no address of a place, but a file's.
Result<ListingFile> FileOf(StoreOpener& opener, const std::string& text, StoreEnd end) {
  const bool plain = !text.contains('/') && !text.contains(':');
  Result<OpenedAddress> opened = opener.Open(plain ? "file:" + text : text, end);
  if (!opened) return opened.error();
  return ListingFile{.store = opened->store,
                     .bucket = opened->address.bucket,
                     .key = opened->address.key,
                     .name = text};
}

// One line, or one object that the store does not show, must not keep the others.
WrongLine GoOnWith(MissingKey tell) {
  return [tell = std::move(tell), watch = FailureWatch(1)](
             const Error& error, const std::string& key, bool proven) mutable {
    if (proven) watch.Worked();
    if (error.kind == ErrorKind::kCancelled || error.Transient() || watch.Failed(error)) {
      return false;
    }
    tell(error, key);
    return true;
  };
}

std::string_view NameOf(ListingFileKind kind) {
  switch (kind) {
    case ListingFileKind::kAny:
      return "listing";
    case ListingFileKind::kNames:
      return "names";
    case ListingFileKind::kRawNames:
      return "raw names";
  }
  return "listing";
}

std::string PlaceOfBucket(OpenedAddress opened) {
  opened.address.key.clear();
  return LastingPlace(opened);
}

}  // namespace

void ListingFlags::Declare(FlagSet& flags, bool two_ends) {
  flags.Section("LISTINGS");
  flags.Text({.name = two_ends ? "source-listing" : "listing",
              .help = "Take what is there from this file in place of asking the store: a listing "
                      "that was kept, the manifest.json of an S3 Inventory (also s3://…), CSV of "
                      "bucket,key, or lines of JSON with a key.",
              .value_name = "FILE",
              .alias = two_ends ? "listing" : "",
              .completes = Completes::kFiles},
             source.file);
  flags.Text({.name = two_ends ? "save-source-listing" : "save-listing",
              .help = "Keep the listing in this file, for --listing later.",
              .value_name = "FILE",
              .alias = two_ends ? "save-listing" : "",
              .completes = Completes::kFiles},
             source.save);
  if (two_ends) {
    flags.Text({.name = "target-listing",
                .help = "The same as --source-listing, of the target.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               target.file);
    flags.Text({.name = "save-target-listing",
                .help = "Keep the target's listing in this file.",
                .value_name = "FILE",
                .completes = Completes::kFiles},
               target.save);
  }
  flags.Text({.name = "files-from",
              .help = "Only the names in this file, one to a line, below the address; nothing is "
                      "listed. Blank lines and lines that begin with # or ; do not count. '-' is "
                      "standard input.",
              .value_name = "FILE",
              .completes = Completes::kFiles},
             files_from);
  flags.Text({.name = "files-from-raw",
              .help = "The same, each line as it is.",
              .value_name = "FILE",
              .completes = Completes::kFiles},
             files_from_raw);
  flags.Integer({.name = "listers",
                 .help = "Pages of one listing that are asked for side by side. Default: 64.",
                 .value_name = "N"},
                1, 1024, listers);
}

bool ListingFlags::FromFile(StoreEnd end) const {
  const End& own = end == StoreEnd::kSource ? source : target;
  return !own.file.empty() || !files_from.empty() || !files_from_raw.empty();
}

Result<void> ListingFlags::CheckOneAddress(size_t addresses) const {
  if (addresses < 2 || (source.file + source.save).empty()) return Ok();
  return InvalidInput("--listing and --save-listing are of one address: run it once for each");
}

Result<void> ListingFlags::CheckOneFile(const End& own) const {
  const int given =
      int{!own.file.empty()} + int{!files_from.empty()} + int{!files_from_raw.empty()};
  if (given < 2) return Ok();
  return InvalidInput("one of --listing, --files-from and --files-from-raw is enough");
}

ListingFileKind ListingFlags::KindOf(const End& own) const {
  if (!own.file.empty()) return ListingFileKind::kAny;
  return files_from.empty() ? ListingFileKind::kRawNames : ListingFileKind::kNames;
}

Async<std::string> ListingFlags::StateOfSource(RunContext& context, StoreOpener& opener) {
  Result<void> one = CheckOneFile(source);
  if (!one) co_return one.error();
  if (!FromFile(StoreEnd::kSource) || !source.save.empty()) co_return std::string();
  if (source.file.empty() && PipedNames::Are(names())) co_return std::string();
  const ListingFileKind kind = KindOf(source);
  Result<ListingFile> file =
      FileOf(opener, source.file.empty() ? names() : source.file, StoreEnd::kSource);
  if (!file) co_return file.error();
  Result<ListingFileState> state =
      co_await StateOfListingFile(context.runtime(), std::move(*file), kind);
  if (!state) co_return state.error();
  lasting_ = state->whole;
  if (!lasting_) co_return std::string();
  source_etag_ = state->etag;
  co_return std::string(NameOf(kind)) + " sha256:" + state->sha256;
}

std::string ListingFlags::WhyNoJournal() const {
  if (!source.save.empty()) {
    return "no journal is kept with --save-listing, as one that goes on lists the rest alone";
  }
  if (source.file.empty() && FromFile(StoreEnd::kSource) && PipedNames::Are(names())) {
    return "no journal is kept with a list of names that comes by a pipe";
  }
  return lasting_ ? ""
                  : "no journal is kept with an inventory whose manifest.json does not give the "
                    "MD5 of all its files";
}

Async<std::unique_ptr<Listing>> ListingFlags::Open(RunContext& context, StoreOpener& opener,
                                                   OpenedAddress opened, StoreEnd end,
                                                   ListingOptions options, MissingKey missing,
                                                   Wrong wrong, PassedOver passed_over) {
  const End& own = end == StoreEnd::kSource ? source : target;
  Result<void> one = CheckOneFile(own);
  if (!one) co_return one.error();
  Store& store = *opened.store;
  const std::string& bucket = opened.address.bucket;
  const std::string& prefix = opened.address.key;
  const KeptHead head{.store = store.description(),
                      .place = PlaceOfBucket(opened),
                      .bucket = bucket,
                      .prefix = prefix,
                      .taken = context.runtime().clock.Now()};
  options.listers_max = static_cast<int>(listers);
  if (!own.save.empty()) options.ordered = true;
  std::unique_ptr<Listing> listing;
  if (FromFile(end)) {
    if (own.file.empty() && piped_ == nullptr && PipedNames::Are(names())) {
      Result<std::shared_ptr<PipedNames>> read = co_await PipedNames::Read(context, names());
      if (!read) co_return read.error();
      piped_ = std::move(*read);
    }
    const bool piped = own.file.empty() && piped_ != nullptr;
    Result<ListingFile> file = FileOf(opener,
                                      piped              ? piped_->path()
                                      : own.file.empty() ? names()
                                                         : own.file,
                                      end);
    if (!file) co_return file.error();
    if (piped) file->name = names() == "-" ? "standard input" : names();
    if (end == StoreEnd::kSource) file->etag = source_etag_;
    const ListingFileKind kind = KindOf(own);
    WrongLine tell_wrong = wrong == Wrong::kEnds ? nullptr : GoOnWith(missing);
    const uint64_t none_max = wrong == Wrong::kGoesOnUnlessNone ? kNoneMax : 0;
    if (missing == nullptr) missing = [](const Error&, const std::string&) {};
    Result<std::unique_ptr<Listing>> read = co_await OpenListingFile(
        context.runtime(), std::move(*file), kind, store, bucket, prefix, std::move(options),
        std::move(missing), head.place, std::move(tell_wrong), std::move(passed_over), none_max);
    if (!read) co_return read.error();
    listing = std::move(*read);
  } else {
    listing = OpenListing(context.runtime(), store, bucket, prefix, std::move(options));
  }
  if (own.save.empty()) co_return listing;
  co_return KeepListing(context.runtime(), std::move(listing), own.save, head);
}

}  // namespace longhaul
