#include "field.h"

#include <algorithm>
#include <cmath>

#include "text.h"

namespace inn {

namespace {

constexpr size_t kMaxText = 1 << 14, kMaxCount = 1 << 16;
constexpr double kMaxNumber = 3.4028234663852886e38;  // every number must fit float32, which the engine reads

// What would break a line or steer a terminal.
bool IsControl(char32_t c) {
  return c <= 0x1f || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || (c >= 0xd800 && c <= 0xdfff);
}

}  // namespace

BundleError Field::Refusal(const std::string &text) const {
  return BundleError(*source_ + ": manifest field " + path_ + text);
}

BundleError Field::Fail(const std::string &expected) const {
  return Refusal(": expected " + expected + ", found " + Shown(*value_));
}

Field Field::operator[](const std::string &key) const {
  if (value_->kind != Json::kObject) throw Fail("an object");
  const Json *member = value_->Find(key);
  if (member == nullptr) throw Refusal("." + key + " is missing");
  return Field(member, path_ + "." + key, source_);
}

std::optional<Field> Field::Get(const std::string &key) const {
  if (value_->kind != Json::kObject) throw Fail("an object");
  const Json *member = value_->Find(key);
  if (member == nullptr || member->kind == Json::kNull) return {};
  return Field(member, path_ + "." + key, source_);
}

std::vector<Field> Field::List(std::optional<size_t> length) const {
  if (value_->kind != Json::kList) throw Fail("a list");
  const auto &items = value_->items();
  const std::string found = " entries, found " + std::to_string(items.size());
  if (items.size() > kMaxCount) throw Refusal(": expected at most " + std::to_string(kMaxCount) + found);
  if (length && items.size() != *length) throw Refusal(": expected " + std::to_string(*length) + found);
  std::vector<Field> result;
  result.reserve(items.size());
  for (const auto &item : items) {
    result.emplace_back(&item, path_ + "[" + std::to_string(result.size()) + "]", source_);
  }
  return result;
}

std::vector<Field> Field::NonEmptyList() const {
  auto entries = List();
  if (entries.empty()) throw Fail("a list that is not empty");
  return entries;
}

void Field::ForEachMember(const std::function<void(const std::string &, const Field &)> &visit) const {
  if (value_->kind != Json::kObject || value_->items().size() > kMaxCount) {
    throw Fail("an object of at most " + std::to_string(kMaxCount) + " members");
  }
  for (size_t i = 0; i < value_->items().size(); i++) {
    const std::string &key = value_->keys()[i];
    const Json text = JsonText(key);
    Field(&text, path_ + ": key", source_).Text();
    const std::u32string characters = Decode(key);
    const bool plain = IsPrintable(characters) && characters.size() <= 100;
    visit(key, Field(&value_->items()[i], path_ + "." + (plain ? key : Shown(key)), source_));
  }
}

std::string Field::Text() const {
  if (value_->kind != Json::kText) throw Fail("a text");
  const std::u32string text = Decode(value_->text());
  if (text.size() > kMaxText || std::any_of(text.begin(), text.end(), IsControl)) {
    throw Fail("Unicode text without control characters, at most " + std::to_string(kMaxText) + " long");
  }
  return value_->text();
}

size_t Field::Choice(const std::vector<std::string> &options) const {
  const auto found = value_->kind == Json::kText ? std::find(options.begin(), options.end(), value_->text())
                                                 : options.end();
  if (found == options.end()) throw Fail("one of " + Join(options, ", "));
  return found - options.begin();
}

int64_t Field::Integer(int64_t low, int64_t high) const {
  if (value_->kind != Json::kInteger || value_->integer < low || value_->integer > high) {
    throw Fail("an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value_->integer;
}

double Field::Number(double low, double high) const {
  double number = NAN;
  if (value_->kind == Json::kInteger) number = static_cast<double>(value_->integer);
  if (value_->kind == Json::kFloat || value_->kind == Json::kBigInteger) number = value_->number;
  if (!(std::abs(number) <= kMaxNumber)) throw Fail("a finite number");
  if (!(low <= number && number <= high)) throw Fail("a number from " + General(low) + " to " + General(high));
  return number;
}

bool Field::Boolean() const {
  if (value_->kind != Json::kBoolean) throw Fail("true or false");
  return value_->boolean;
}

}  // namespace inn
