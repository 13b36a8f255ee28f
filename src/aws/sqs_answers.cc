// What SQS answers, read with suspicion; and what it takes as text.

#include <boost/json.hpp>
#include <charconv>

#include "aws/sqs_client.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/json.h"

namespace longhaul {

namespace {

constexpr JsonLimits kLimits{.size_bytes_max = size_t{32} << 20, .depth_max = 16};

Error Wrong(const Error& error) { return Corrupt("the answer of SQS: " + error.message); }

Result<boost::json::value> Parse(std::string_view text) {
  // Nothing to be told may be told by no body at all.
  Result<boost::json::value> parsed = ParseJson(text.empty() ? "{}" : text, kLimits);
  if (!parsed) return Wrong(parsed.error());
  return parsed;
}

Result<std::vector<JsonView>> ItemsOf(const JsonView& view, std::string_view name) {
  Result<std::optional<JsonView>> member = view.MemberIfThere(name);
  if (!member) return Wrong(member.error());
  if (!*member) return std::vector<JsonView>();
  Result<std::vector<JsonView>> items = (*member)->Items();
  if (!items) return Wrong(items.error());
  return items;
}

std::string TextOf(const JsonView& view, std::string_view name) {
  Result<std::optional<JsonView>> member = view.MemberIfThere(name);
  if (!member || !*member) return "";
  Result<std::string_view> text = (*member)->Text();
  return text ? std::string(*text) : "";
}

// Numbers are text here.
int64_t NumberOf(const boost::json::object& attributes, std::string_view name) {
  const boost::json::value* found = attributes.if_contains(name);
  int64_t number = 0;
  if (found == nullptr || !found->is_string()) return number;
  const std::string_view text(found->get_string());
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && number > 0 ? number : 0;
}

Result<SqsMessage> MessageOf(const JsonView& view) {
  SqsMessage message{.id = TextOf(view, "MessageId"),
                     .handle = TextOf(view, "ReceiptHandle"),
                     .body = TextOf(view, "Body"),
                     .attributes = {}};
  if (message.id.empty() || message.handle.empty()) {
    return Corrupt("the answer of SQS: " + view.path() + " has no MessageId or ReceiptHandle");
  }
  const boost::json::object* object = view.value().if_object();
  const boost::json::value* system = object->if_contains("Attributes");
  if (system != nullptr && system->is_object()) {
    constexpr int64_t kCountMax = 1'000'000'000;
    constexpr int64_t kMillisMax = 253'402'300'799'000;  // The year 9999.
    message.receive_count = static_cast<int>(
        std::min(NumberOf(system->get_object(), "ApproximateReceiveCount"), kCountMax));
    message.sent = SystemTime(std::chrono::milliseconds(
        std::min(NumberOf(system->get_object(), "SentTimestamp"), kMillisMax)));
  }
  const boost::json::value* own = object->if_contains("MessageAttributes");
  if (own != nullptr && own->is_object()) {
    for (const auto& [name, value] : own->get_object()) {
      const boost::json::object* attribute = value.if_object();
      const boost::json::value* text =
          attribute == nullptr ? nullptr : attribute->if_contains("StringValue");
      if (text != nullptr && text->is_string()) {
        message.attributes.emplace(name, std::string_view(text->get_string()));
      }
    }
  }
  return message;
}

// The bytes of a character that XML 1.0 allows; 0: there is none.
size_t AllowedLength(std::string_view text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) return byte >= 0x20 || byte == '\t' || byte == '\n' || byte == '\r' ? 1 : 0;
  const size_t length = Utf8Length(text, at);
  // U+FFFE and U+FFFF are the only others that are left out.
  if (length == 3 && text.substr(at, 2) == "\xef\xbf" &&
      static_cast<unsigned char>(text[at + 2]) >= 0xbe) {
    return 0;
  }
  return length;
}

}  // namespace

Result<SqsReceived> ParseSqsMessages(std::string_view text) {
  Result<boost::json::value> value = Parse(text);
  if (!value) return value.error();
  Result<std::vector<JsonView>> items = ItemsOf(JsonView(*value), "Messages");
  if (!items) return items.error();
  SqsReceived received;
  for (const JsonView& item : *items) {
    Result<SqsMessage> message = MessageOf(item);
    if (!message) return message.error();
    const std::string md5 = TextOf(item, "MD5OfBody");
    if (!md5.empty() && md5 != HexEncode(Md5(message->body))) {
      ++received.damaged;
      continue;
    }
    received.messages.push_back(std::move(*message));
  }
  return received;
}

Result<SqsBatchAnswer> ParseSqsBatch(std::string_view text) {
  Result<boost::json::value> value = Parse(text);
  if (!value) return value.error();
  const JsonView view(*value);
  SqsBatchAnswer answer;
  Result<std::vector<JsonView>> done = ItemsOf(view, "Successful");
  if (!done) return done.error();
  for (const JsonView& item : *done) answer.done.push_back(TextOf(item, "Id"));
  Result<std::vector<JsonView>> failed = ItemsOf(view, "Failed");
  if (!failed) return failed.error();
  for (const JsonView& item : *failed) {
    Result<std::optional<JsonView>> fault = item.MemberIfThere("SenderFault");
    Result<bool> sender = fault && *fault ? (*fault)->Boolean() : Result<bool>(false);
    answer.failed.push_back({.id = TextOf(item, "Id"),
                             .code = TextOf(item, "Code"),
                             .message = TextOf(item, "Message"),
                             .sender_fault = sender && *sender});
  }
  return answer;
}

bool IsSqsText(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const size_t length = AllowedLength(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string SqsText(std::string_view text) {
  std::string clean;
  for (size_t i = 0; i < text.size();) {
    const size_t length = AllowedLength(text, i);
    clean += length == 0 ? std::string_view("?") : text.substr(i, length);
    i += std::max<size_t>(length, 1);
  }
  return clean;
}

}  // namespace longhaul
