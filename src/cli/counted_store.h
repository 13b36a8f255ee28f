// A store of the configuration that one fill of a cache opens for itself, with what it is asked for
// counted.

#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "cache/fill_bill.h"
#include "cli/run_context.h"
#include "cli/stores.h"
#include "storage/request_meter.h"

namespace longhaul {

// `bucket`: tells of which kind are those that it is asked for. `connections`: outlive the store.
// `also`: hears of its requests, too.
// kInvalidInput: the configuration has no store `name`.
Result<cache::CountedStore> OpenStoreCounted(RunContext& context, const std::string& name,
                                             const std::string& bucket,
                                             std::chrono::milliseconds timeout,
                                             StoreConnections& connections,
                                             std::shared_ptr<RequestMeter> also = nullptr);

}  // namespace longhaul
