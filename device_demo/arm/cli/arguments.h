// The command line: which options a command takes, and their values.
#ifndef INN_ARGUMENTS_H_
#define INN_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "error.h"

namespace inn {

// A wrong command line. The message ends with where help is.
class ArgumentError : public UsageError {
 public:
  using UsageError::UsageError;
};

struct Option {
  std::string name;      // "--output"
  std::string metavar;   // "" for a flag
  std::string help;
  std::string initial;   // its value where it is not given
  bool required = false;
  std::string letter = "";  // "-o", or none
};

// The values of a command's options, by name without the dashes; "bundle" is the one that has none.
class Arguments {
 public:
  // Throws ArgumentError in the words of Python's argparse.
  Arguments(const std::vector<Option> &options, const std::vector<std::string> &words);

  const std::string &Text(const std::string &name) const { return values_.at(name); }
  bool Flag(const std::string &name) const { return !values_.at(name).empty(); }
  // Throws ArgumentError where the value is no integer, or an entry of it.
  int Integer(const std::string &name) const;
  // Of a list with commas; none where the value is empty.
  std::set<int64_t> Integers(const std::string &name) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace inn

#endif  // INN_ARGUMENTS_H_
