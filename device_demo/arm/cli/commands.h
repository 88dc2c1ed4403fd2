// The program's commands.
#ifndef INN_COMMANDS_H_
#define INN_COMMANDS_H_

#include <functional>
#include <string>
#include <vector>

#include "arguments.h"

namespace inn {

struct Command {
  std::string name, help;
  std::vector<Option> options;
  std::function<void(const Arguments &)> run;
  bool guarded = false;  // whether it is run in a process of its own: people try it on files of strangers
};

const std::vector<Command> &Commands();

// Print to the standard output at once. Throws OutputError.
void Print(const std::string &text);

// The standard output cannot be written to; `number` is errno's.
struct OutputError {
  int number;
};

}  // namespace inn

#endif  // INN_COMMANDS_H_
