#include "cli/demo_data.h"

#include <fmt/format.h>

namespace longhaul {

namespace {
constexpr const char* kPaths[] = {"/", "/cart", "/search", "/api/v2/orders", "/static/app.js"};
constexpr const char* kCities[] = {"Lisbon", "Osaka", "Nairobi", "Quito", "Oslo", "Perth"};
}  // namespace

DemoObject DemoData::Next() {
  int number = count_++;
  if (number % 20 == 19) number -= 12;  // Comes again, with another body.
  DemoObject object;
  switch (number % 4) {
    case 0:
      object = {fmt::format("logs/web-{:04}.log", number), "log", "text/plain", Log()};
      break;
    case 1:
      object = {fmt::format("events/{:04}.jsonl", number), "events", "application/jsonl", Events()};
      break;
    case 2:
      object = {fmt::format("tables/sales-{:04}.csv", number), "csv", "text/csv", Csv()};
      break;
    default:
      object = {fmt::format("random/{:04}.bin", number), "random", "application/octet-stream",
                Noise()};
      break;
  }
  return object;
}

std::string DemoData::Log() {
  std::string text;
  for (uint64_t i = 0, lines = 40 + random_.Below(400); i < lines; ++i) {
    text += fmt::format(
        "10.{}.{}.{} - - [01/Mar/2026:09:{:02}:{:02} +0000] \"GET {} HTTP/1.1\" {} {}\n",
        random_.Below(4), random_.Below(250), random_.Below(250), i / 60 % 60, i % 60,
        kPaths[random_.Below(std::size(kPaths))], random_.Below(20) == 0 ? 404 : 200,
        random_.Below(40'000));
  }
  return text;
}

std::string DemoData::Events() {
  std::string text;
  for (uint64_t i = 0, lines = 20 + random_.Below(200); i < lines; ++i) {
    text += fmt::format(
        "{{\"id\":\"{:016x}\",\"type\":\"order.created\",\"city\":\"{}\",\"amount\":{}.{:02},"
        "\"currency\":\"EUR\",\"items\":{}}}\n",
        random_.Next(), kCities[random_.Below(std::size(kCities))], random_.Below(900),
        random_.Below(100), 1 + random_.Below(9));
  }
  return text;
}

std::string DemoData::Csv() {
  std::string text = "day,shop,article,pieces,price\n";
  for (uint64_t i = 0, lines = 50 + random_.Below(500); i < lines; ++i) {
    text += fmt::format("2026-03-{:02},{},A-{:05},{},{}.{:02}\n", 1 + random_.Below(31),
                        kCities[random_.Below(std::size(kCities))], random_.Below(3000),
                        1 + random_.Below(20), random_.Below(200), random_.Below(100));
  }
  return text;
}

std::string DemoData::Noise() {
  std::string text;
  for (uint64_t i = 0, words = random_.Below(1000); i < words; ++i) {
    uint64_t word = random_.Next();
    text.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  return text;
}

}  // namespace longhaul
