// The errors a user may meet. Each message is one line: what was expected, what was found, where.
#ifndef INN_ERROR_H_
#define INN_ERROR_H_

#include <stdexcept>
#include <string>

namespace inn {

// Base of every error that is raised on purpose; `exit_code` is what the command returns.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string &message, int exit_code = 1)
      : std::runtime_error(message), exit_code(exit_code) {}

  const int exit_code;
};

// The caller's mistake: an argument, an input array, a size out of range.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string &message) : Error(message, 2) {}
};

// The file is not a bundle, is damaged, or was written by a newer version.
class BundleError : public Error {
 public:
  explicit BundleError(const std::string &message) : Error(message, 2) {}
};

// MindSpore Lite is not available, refused a model or failed while running it.
class EngineError : public Error {
 public:
  explicit EngineError(const std::string &message) : Error(message, 1) {}
};

}  // namespace inn

#endif  // INN_ERROR_H_
