// Reading untrusted JSON: every access checks type and range and names the field that is wrong.
#ifndef INN_FIELD_H_
#define INN_FIELD_H_

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "error.h"
#include "json.h"

namespace inn {

// A value of a document together with the path that led to it. It refers to the document.
class Field {
 public:
  Field(const Json *value, std::string path, const std::string *source)
      : value_(value), path_(std::move(path)), source_(source) {}

  const Json &value() const { return *value_; }

  // The errors to throw: "FILE: manifest field PATH" with what follows, or with expected and found.
  BundleError Refusal(const std::string &text) const;
  BundleError Fail(const std::string &expected) const;

  Field operator[](const std::string &key) const;
  // The member `key`, or nothing where it is absent or null.
  std::optional<Field> Get(const std::string &key) const;
  std::vector<Field> List(std::optional<size_t> length = {}) const;
  std::vector<Field> NonEmptyList() const;
  // Of an object; each key is checked when its turn comes.
  void ForEachMember(const std::function<void(const std::string &key, const Field &value)> &visit) const;

  std::string Text() const;
  // The number of the one of `options` that it is.
  size_t Choice(const std::vector<std::string> &options) const;
  int64_t Integer(int64_t low, int64_t high) const;
  double Number(double low = -std::numeric_limits<double>::infinity(),
                double high = std::numeric_limits<double>::infinity()) const;
  bool Boolean() const;

 private:
  const Json *value_;
  std::string path_;
  const std::string *source_;
};

}  // namespace inn

#endif  // INN_FIELD_H_
