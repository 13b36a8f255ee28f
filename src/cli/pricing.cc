#include "cli/pricing.h"

#include <utility>

#include "aws/aws_settings.h"

namespace longhaul {

Result<Prices> ReadPrices(RunContext& context) {
  if (context.configuration() == nullptr) return Prices();
  Result<PriceList> own = LoadPriceList(context.configuration()->file, [&](std::string_view name) {
    return context.console().Environment(std::string(name));
  });
  if (!own) return own.error();
  return Prices(std::move(*own));
}

std::string RegionOfAddress(RunContext& context, const StoreFlags::End& flags,
                            const CommandAddress& address) {
  if (address.kind == CommandAddress::Kind::kNamed) {
    return RegionOfStore(context, context.configuration()->stores.at(address.store));
  }
  if (address.kind == CommandAddress::Kind::kLocal) return "";
  if (flags.region) return *flags.region;
  Result<std::string> found =
      FindAwsRegion(flags.profile.value_or(""),
                    [&](const std::string& name) { return context.console().Environment(name); });
  return found ? *found : "";
}

}  // namespace longhaul
