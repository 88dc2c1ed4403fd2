#include "arguments.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "text.h"

namespace inn {

namespace {

std::string FullName(const Option &option) {
  return option.letter.empty() ? option.name : option.letter + "/" + option.name;
}

int IntegerOf(const std::string &name, const std::string &text) {
  char *end = nullptr;
  errno = 0;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || value < INT_MIN || value > INT_MAX) {
    throw ArgumentError("argument --" + name + ": invalid int value: " + Quoted(text));
  }
  return static_cast<int>(value);
}

}  // namespace

Arguments::Arguments(const std::vector<Option> &options, const std::vector<std::string> &words) {
  std::vector<std::string> unknown, missing;
  std::map<std::string, bool> given;
  for (const auto &option : options) values_[option.name.substr(2)] = option.initial;
  for (size_t i = 0; i < words.size(); i++) {
    const std::string &word = words[i];
    const size_t equals = word.compare(0, 2, "--") == 0 ? word.find('=') : word.npos;
    const std::string name = word.substr(0, equals);
    const auto option = std::find_if(options.begin(), options.end(), [&](const Option &candidate) {
      return candidate.name == name || (!candidate.letter.empty() && candidate.letter == name);
    });
    if (option != options.end()) {
      std::string value = "yes";
      if (!option->metavar.empty()) {
        // As for argparse, what looks like an option is no value, but a negative number is.
        const bool next = i + 1 < words.size() && (words[i + 1].size() < 2 || words[i + 1][0] != '-' ||
                                                   std::isdigit(static_cast<unsigned char>(words[i + 1][1])));
        if (equals == word.npos && !next) {
          throw ArgumentError("argument " + FullName(*option) + ": expected one argument");
        }
        value = equals == word.npos ? words[++i] : word.substr(equals + 1);
      } else if (equals != word.npos) {
        throw ArgumentError("argument " + FullName(*option) + ": ignored explicit argument " +
                         Quoted(word.substr(equals + 1)));
      }
      values_[option->name.substr(2)] = value;
      given[option->name] = true;
    } else if ((word.size() > 1 && word[0] == '-') || given["bundle"]) {
      unknown.push_back(word);
    } else {
      values_["bundle"] = word;
      given["bundle"] = true;
    }
  }
  if (!given["bundle"]) missing.push_back("MODEL.inn");
  for (const auto &option : options) {
    if (option.required && !given[option.name]) missing.push_back(FullName(option));
  }
  if (!missing.empty()) throw ArgumentError("the following arguments are required: " + Join(missing, ", "));
  if (!unknown.empty()) throw ArgumentError("unrecognized arguments: " + Join(unknown, " "));
}

int Arguments::Integer(const std::string &name) const { return IntegerOf(name, Text(name)); }

std::set<int64_t> Arguments::Integers(const std::string &name) const {
  std::set<int64_t> result;
  const std::string &text = Text(name);
  for (size_t start = 0; !text.empty() && start <= text.size();) {
    const size_t stop = std::min(text.find(',', start), text.size());
    result.insert(IntegerOf(name, text.substr(start, stop - start)));
    start = stop + 1;
  }
  return result;
}

}  // namespace inn
