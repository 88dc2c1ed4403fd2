#include "json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>
#include <unordered_set>

#include "text.h"

namespace inn {

namespace {

constexpr size_t kMaxDigits = 4300;  // of an integer, as in Python

// Takes nlohmann's events and builds the tree; its own tree keeps neither order nor big integers.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Json result;
  std::string error;

  bool null() override { return Add(Json::kNull) != nullptr; }

  bool boolean(bool value) override {
    Json *entry = Add(Json::kBoolean);
    if (entry != nullptr) entry->boolean = value;
    return entry != nullptr;
  }

  bool number_integer(int64_t value) override {
    Json *entry = Add(Json::kInteger);
    if (entry != nullptr) entry->integer = value;
    return entry != nullptr;
  }

  bool number_unsigned(uint64_t value) override {
    if (value <= INT64_MAX) return number_integer(static_cast<int64_t>(value));
    return BigInteger(static_cast<double>(value), std::to_string(value));
  }

  bool number_float(double value, const std::string &text) override {
    if (text.find_first_of(".eE") == text.npos) return BigInteger(value, text);
    Json *entry = Add(Json::kFloat);
    if (entry != nullptr) entry->number = value;
    return entry != nullptr;
  }

  bool string(std::string &value) override {
    Json *entry = Add(Json::kText);
    if (entry != nullptr) ContentOf(entry).text = std::move(value);
    return entry != nullptr;
  }

  bool binary(nlohmann::json::binary_t &) override { return Fail("binary data"); }

  bool start_object(size_t) override { return Open(Json::kObject); }

  bool key(std::string &value) override {
    ContentOf(open_.back()).keys.push_back(std::move(value));
    return true;
  }

  bool end_object() override {
    std::unordered_set<std::string_view> seen;
    for (const auto &key : open_.back()->keys()) {
      if (!seen.insert(key).second) return Fail("the key " + Shown(key) + " occurs twice");
    }
    open_.pop_back();
    return true;
  }

  bool start_array(size_t) override { return Open(Json::kList); }

  bool end_array() override {
    open_.pop_back();
    return true;
  }

  bool parse_error(size_t, const std::string &, const nlohmann::detail::exception &exception) override {
    const std::string text = exception.what();
    return Fail(text.substr(std::min(text.find("] ") + 2, text.size())));
  }

 private:
  size_t count_ = 0;
  std::vector<Json *> open_;  // an open value is the last of its parent's, which does not move meanwhile

  // Null where there are too many.
  Json *Add(Json::Kind kind) {
    if (++count_ > kMaxValues) {
      Fail("more than " + std::to_string(kMaxValues) + " values");
      return nullptr;
    }
    Json *value = &result;
    if (!open_.empty()) {
      auto &items = ContentOf(open_.back()).items;
      items.emplace_back();
      value = &items.back();
    }
    value->kind = kind;
    return value;
  }

  static JsonContent &ContentOf(Json *value) {
    if (value->content == nullptr) value->content = std::make_unique<JsonContent>();
    return *value->content;
  }

  bool BigInteger(double value, const std::string &text) {
    if (text.size() > kMaxDigits) return Fail("an integer of " + std::to_string(text.size()) + " digits");
    Json *entry = Add(Json::kBigInteger);
    if (entry == nullptr) return false;
    entry->number = value;
    ContentOf(entry).text = text;
    return true;
  }

  bool Open(Json::Kind kind) {
    if (open_.size() >= kMaxDepth) return Fail("nested deeper than " + std::to_string(kMaxDepth));
    Json *value = Add(kind);
    open_.push_back(value);
    return value != nullptr;
  }

  bool Fail(const std::string &reason) {
    if (error.empty()) error = reason;
    return false;
  }
};

// What follows is Python's `reprlib` with the Python runtime's limits.
constexpr size_t kMaxText = 100, kMaxItems = 6, kMaxMembers = 4, kMaxInteger = 40, kMaxShown = 100;

std::u32string Shorten(const std::u32string &text, size_t most) {
  const size_t head = (most - 3) / 2, tail = most - 3 - head;
  return text.substr(0, head) + U"..." + text.substr(text.size() - tail);
}

std::u32string ShortText(const std::u32string &text) {
  std::u32string quoted = Quoted(text.substr(0, kMaxText));
  if (quoted.size() <= kMaxText) return quoted;
  const size_t head = (kMaxText - 3) / 2, tail = kMaxText - 3 - head;
  // As Python's reprlib: a text shorter than its tail has a negative index, which counts from the end.
  const size_t from_end = text.size() >= tail ? tail : std::min(text.size(), tail - text.size());
  quoted = Quoted(text.substr(0, head) + text.substr(text.size() - from_end));
  return Shorten(quoted, kMaxText);
}

std::u32string Short(const Json &value, int level);

std::u32string ShortItems(const Json &value, int level) {
  const bool object = value.kind == Json::kObject;
  const auto &items = value.items();
  std::u32string result(1, object ? U'{' : U'[');
  if (level <= 0 && !items.empty()) {
    result += U"...";
  } else {
    std::vector<size_t> order(items.size());
    for (size_t i = 0; i < order.size(); i++) order[i] = i;
    const size_t shown = std::min(items.size(), object ? kMaxMembers : kMaxItems);
    if (object) {
      std::partial_sort(order.begin(), order.begin() + shown, order.end(),
                        [&](size_t a, size_t b) { return value.keys()[a] < value.keys()[b]; });
    }
    for (size_t i = 0; i < shown; i++) {
      if (i) result += U", ";
      if (object) result += ShortText(Decode(value.keys()[order[i]])) + U": ";
      result += Short(items[order[i]], level - 1);
    }
    if (shown < items.size()) result += U", ...";
  }
  return result + (object ? U'}' : U']');
}

std::u32string Short(const Json &value, int level) {
  switch (value.kind) {
    case Json::kNull:
      return U"None";
    case Json::kBoolean:
      return value.boolean ? U"True" : U"False";
    case Json::kInteger:
      return Decode(Decimal(value.integer));
    case Json::kBigInteger: {
      const std::u32string digits = Decode(value.text());
      return digits.size() > kMaxInteger ? Shorten(digits, kMaxInteger) : digits;
    }
    case Json::kFloat:
      return Decode(Exact(value.number));
    case Json::kText:
      return ShortText(Decode(value.text()));
    default:
      return ShortItems(value, level);
  }
}

const JsonContent &Content(const Json &value) {
  static const JsonContent nothing;
  return value.content ? *value.content : nothing;
}

}  // namespace

const std::string &Json::text() const { return Content(*this).text; }

const std::vector<Json> &Json::items() const { return Content(*this).items; }

const std::vector<std::string> &Json::keys() const { return Content(*this).keys; }

const Json *Json::Find(const std::string &key) const {
  const auto &names = keys();
  const auto found = std::find(names.begin(), names.end(), key);
  return found == names.end() ? nullptr : &items()[found - names.begin()];
}

Json JsonText(const std::string &text) {
  Json value;
  value.kind = Json::kText;
  value.content = std::make_unique<JsonContent>();
  value.content->text = text;
  return value;
}

Json ParseJson(const std::string &text) {
  Builder builder;
  // The library skips a byte-order mark, and takes a zero byte for the text's end.
  if (text.compare(0, 3, "\xef\xbb\xbf") == 0) throw std::runtime_error("a byte-order mark in it");
  if (text.find('\0') != std::string::npos) throw std::runtime_error("a zero byte in it");
  if (!nlohmann::json::sax_parse(text, &builder)) throw std::runtime_error(builder.error);
  return std::move(builder.result);
}

std::string Shown(const Json &value) {
  const std::u32string text = Short(value, 3);
  return Encode(text.size() <= kMaxShown ? text : text.substr(0, kMaxShown - 3) + U"...");
}

std::string Shown(const std::string &text) { return Shown(JsonText(text)); }

}  // namespace inn
