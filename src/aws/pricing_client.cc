#include "aws/pricing_client.h"

#include <boost/json.hpp>

#include "base/json.h"

namespace longhaul {

namespace {

constexpr int kPagesMax = 100;
constexpr size_t kProductBytesMax = 1 << 20;

const boost::json::object* Object(const boost::json::object* parent, std::string_view name) {
  const boost::json::value* value = parent == nullptr ? nullptr : parent->if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

std::string_view Text(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view();
}

void AddProduct(const boost::json::object& product, std::string_view unit, PricePage& page) {
  const boost::json::object* terms = Object(Object(&product, "terms"), "OnDemand");
  if (terms == nullptr) return;
  for (const auto& term : *terms) {
    const boost::json::object* dimensions = Object(term.value().if_object(), "priceDimensions");
    if (dimensions == nullptr) continue;
    for (const auto& member : *dimensions) {
      const boost::json::object* dimension = member.value().if_object();
      const boost::json::object* prices = Object(dimension, "pricePerUnit");
      if (prices == nullptr || Text(*prices, "USD").empty()) continue;
      const std::string_view begin = Text(*dimension, "beginRange");
      if (!begin.empty() && begin != "0") continue;  // A later tier.
      if (!unit.empty() && Text(*dimension, "unit") != unit) continue;
      page.dollars.emplace(Text(*prices, "USD"));
    }
  }
}

}  // namespace

Result<PricePage> ParsePricePage(std::string_view text, std::string_view unit) {
  Result<boost::json::value> answer = ParseJson(text, {.size_bytes_max = size_t{32} << 20});
  if (!answer) return Corrupt("prices: " + answer.error().message);
  const boost::json::object* object = answer->if_object();
  const boost::json::value* list = object == nullptr ? nullptr : object->if_contains("PriceList");
  if (list == nullptr || !list->is_array()) return Corrupt("prices: an answer without PriceList");
  PricePage page;
  page.next = Text(*object, "NextToken");
  for (const boost::json::value& item : list->get_array()) {
    // Each product is JSON inside a string.
    if (!item.is_string()) return Corrupt("prices: a product that is none");
    Result<boost::json::value> product =
        ParseJson(item.get_string(), {.size_bytes_max = kProductBytesMax});
    if (!product || !product->is_object()) return Corrupt("prices: a product that is none");
    AddProduct(product->get_object(), unit, page);
  }
  return page;
}

Async<std::set<std::string>> PricingClient::Ask(PriceQuestion question) {
  boost::json::array filters;
  for (const auto& [field, value] : question.filters) {
    filters.push_back(
        boost::json::object{{"Type", "TERM_MATCH"}, {"Field", field}, {"Value", value}});
  }
  std::set<std::string> dollars;
  std::string next;
  for (int pages = 0; pages < kPagesMax; ++pages) {
    boost::json::object request{{"ServiceCode", question.service},
                                {"FormatVersion", "aws_v1"},
                                {"Filters", filters},
                                {"MaxResults", 100}};
    if (!next.empty()) request["NextToken"] = next;
    Result<std::string> answer =
        co_await service_->Call("GetProducts", WriteJson(request), AwsRepeat::kSafe);
    if (!answer) co_return answer.error();
    Result<PricePage> page = ParsePricePage(*answer, question.unit);
    if (!page) co_return page.error();
    dollars.merge(page->dollars);
    if (page->next.empty() || page->next == next) co_return dollars;
    next = std::move(page->next);
  }
  co_return Corrupt("prices: the answer does not end");
}

}  // namespace longhaul
