#include "transfer/listing/passed_over.h"

#include <utility>

namespace longhaul {

namespace {

class WithoutKeysListing : public Listing {
 public:
  WithoutKeysListing(std::unique_ptr<Listing> source, PassedOver passed_over)
      : source_(std::move(source)), passed_over_(std::move(passed_over)) {}

  Async<std::optional<ListedObject>> Next() override {
    ListedObject ready;
    while (true) {
      if (TakeReady(ready)) co_return std::optional<ListedObject>(std::move(ready));
      Result<std::optional<ListedObject>> next = co_await source_->Next();
      if (!next || !*next || !passed_over_((*next)->key)) co_return next;
    }
  }

  bool TakeReady(ListedObject& object) override {
    while (source_->TakeReady(object)) {
      if (!passed_over_(object.key)) return true;
    }
    return false;
  }

  asio::awaitable<void> Close() override { co_await source_->Close(); }

 private:
  std::unique_ptr<Listing> source_;
  PassedOver passed_over_;
};

}  // namespace

std::unique_ptr<Listing> WithoutKeys(std::unique_ptr<Listing> source, PassedOver passed_over) {
  return std::make_unique<WithoutKeysListing>(std::move(source), std::move(passed_over));
}

}  // namespace longhaul
