// Untrusted JSON as a tree that keeps what the loader's checks need: the members' order, and integers that
// fit no machine word.
#ifndef INN_JSON_H_
#define INN_JSON_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace inn {

struct JsonContent;

// A value. Small, because a hostile file may hold millions.
struct Json {
  enum Kind : uint8_t { kNull, kBoolean, kInteger, kBigInteger, kFloat, kText, kList, kObject };

  Kind kind = kNull;
  union {
    bool boolean;
    int64_t integer = 0;
    double number;  // of a big integer its nearest
  };
  std::unique_ptr<JsonContent> content;  // of a text, a big integer, a list or an object; null where empty

  const std::string &text() const;
  const std::vector<Json> &items() const;  // of a list, or an object's values
  const std::vector<std::string> &keys() const;
  const Json *Find(const std::string &key) const;  // of an object; null where there is none
};

struct JsonContent {
  std::string text;
  std::vector<Json> items;
  std::vector<std::string> keys;
};

Json JsonText(const std::string &text);

// What bounds the memory that a document takes.
constexpr size_t kMaxDepth = 100, kMaxValues = 1 << 20;

// Parse a document. Throws std::runtime_error with the reason: not JSON, a key that occurs twice, a number
// beyond double, nested too deep, or too many values.
Json ParseJson(const std::string &text);

// Anybody's value in a message: on one line, and short however large the value is.
std::string Shown(const Json &value);
std::string Shown(const std::string &text);

}  // namespace inn

#endif  // INN_JSON_H_
