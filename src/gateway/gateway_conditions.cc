// Conditions of writes and of copies' sources, as far as a store does not know them itself.

#include "gateway/gateway_impl.h"
#include "storage/origin.h"

namespace longhaul {
namespace {

Error NotHeeded() {
  return GatewayError("NotImplemented", "this store does not heed conditions of writes");
}

Error Failed() {
  Error failed =
      PreconditionFailed("At least one of the pre-conditions you specified did not hold");
  failed.code = "PreconditionFailed";
  return failed;
}

}  // namespace

Async<Gateway::Impl::Settled> Gateway::Impl::Settle(GatewayCall& call, bool can_if_absent,
                                                    bool can_if_match) {
  Result<GatewayWriteCondition> given = ReadWriteCondition(call.request.headers());
  if (!given) co_return given.error();
  Settled settled;
  if (given->empty()) co_return settled;
  if (given->if_none_match == "*") {
    if (!can_if_absent) co_return NotHeeded();
    settled.condition.if_absent = true;
    co_return settled;
  }
  if (!can_if_match) co_return NotHeeded();
  if (!given->if_match.empty() && given->if_match != "*") {
    settled.condition.if_match = given->if_match;
    settled.names_etag = true;
    co_return settled;
  }
  // If-Match: * or If-None-Match: ETAG. What is there now is what must still be there.
  settled.looked = true;
  Result<ObjectInfo> there = co_await HeadOrigin(
      store,
      {.bucket = call.bucket, .key = call.key, .version_id = "", .part_number = std::nullopt});
  if (!there && there.error().kind != ErrorKind::kNotFound) co_return there.error();
  if (!there) {
    if (there.error().code == "NoSuchBucket" || !given->if_match.empty()) co_return there.error();
    if (!can_if_absent) co_return NotHeeded();
    settled.condition.if_absent = true;
    co_return settled;
  }
  if (there->etag == given->if_none_match) co_return Failed();
  settled.condition.if_match = there->etag;
  co_return settled;
}

asio::awaitable<Error> Gateway::Impl::Explain(GatewayCall& call, Settled settled, Error error) {
  if (error.kind != ErrorKind::kPrecondition) co_return error;
  if (settled.looked) {
    error.code = "ConditionalRequestConflict";
    error.message = "the object has changed while it was looked at: " + error.message;
    co_return error;
  }
  if (!settled.names_etag) co_return error;
  Result<ObjectInfo> there = co_await HeadOrigin(
      store,
      {.bucket = call.bucket, .key = call.key, .version_id = "", .part_number = std::nullopt});
  if (!there && there.error().kind == ErrorKind::kNotFound) co_return there.error();
  co_return error;
}

Async<ObjectInfo> Gateway::Impl::LookAtSource(GatewayCall& call, const GatewayCopySource& source) {
  Result<ObjectInfo> info = co_await HeadOrigin(store, {.bucket = source.bucket,
                                                        .key = source.key,
                                                        .version_id = source.version_id,
                                                        .part_number = std::nullopt});
  if (!info) co_return info.error();
  if (!SourceConditionHolds(call.request.headers(), *info)) co_return Failed();
  co_return info;
}

}  // namespace longhaul
