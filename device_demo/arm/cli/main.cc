// `inn-device`: the device's half of INN-Lite without Python.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <cerrno>
#include <functional>
#include <new>

#include "commands.h"
#include "error.h"
#include "text.h"

namespace {

using inn::Command;

constexpr char kProgram[] = "inn-device", kVersion[] = "0.1.0";

// Print an error on one line, whatever a file name or a library put into it.
int Fail(const std::string &name, const std::string &message, int code) {
  std::u32string line;
  for (const char32_t c : inn::Decode(message)) {
    const std::u32string one(1, c == U'\n' ? U' ' : c);
    const std::u32string quoted = inn::Quoted(one);
    line += inn::IsPrintable(c) || c == U'\n' ? one : quoted.substr(1, quoted.size() - 2);
  }
  std::fprintf(stderr, "%s: error: %s\n", name.c_str(), inn::Encode(line).c_str());
  return code;
}

// Run a command in a forked process, so that the engine cannot end this one. Nothing has been loaded yet.
int RunGuarded(const std::string &name, const std::function<int()> &run) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) return run();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int code = run();
    std::fflush(nullptr);
    _exit(code);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int number = WTERMSIG(status);
  if (number == SIGINT || number == SIGTERM) {  // it was meant for both
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  return Fail(name, std::string("the engine ended its process: ") + strsignal(number), 1);
}

std::string Usage() {
  std::string text = std::string("usage: ") + kProgram + " COMMAND MODEL.inn [options]\n\n";
  for (const auto &command : inn::Commands()) {
    text += "  " + command.name + std::string(10 - command.name.size(), ' ') + command.help + "\n";
  }
  return text + "\n" + kProgram + " COMMAND --help lists a command's options\n" +
         "exit codes: 0 done, 1 failed at run time (engine, disk), 2 wrong arguments or files\n";
}

std::string Usage(const Command &command) {
  std::string text = std::string("usage: ") + kProgram + " " + command.name + " MODEL.inn [options]\n\n";
  for (const auto &option : command.options) {
    std::string names = (option.letter.empty() ? "" : option.letter + ", ") + option.name;
    if (!option.metavar.empty()) names += " " + option.metavar;
    text += "  " + names + std::string(names.size() < 24 ? 24 - names.size() : 1, ' ') + option.help +
            (option.required ? " (required)" : "") + "\n";
  }
  return text;
}

int Main(const std::vector<std::string> &words) {
  const auto is_help = [](const std::string &word) { return word == "-h" || word == "--help"; };
  if (!words.empty() && words[0] == "--version") {
    inn::Print(std::string("innlite ") + kVersion + "\n");
    return 0;
  }
  const auto &commands = inn::Commands();
  const auto command = std::find_if(commands.begin(), commands.end(), [&](const Command &candidate) {
    return !words.empty() && candidate.name == words[0];
  });
  const std::string name = command == commands.end() ? kProgram : kProgram + (" " + command->name);
  try {
    if (std::any_of(words.begin(), words.end(), is_help)) {
      inn::Print(command == commands.end() ? Usage() : Usage(*command));
      return 0;
    }
    if (command == commands.end()) {
      const std::string found = words.empty() ? "" : ", found " + inn::Quoted(words[0]);
      throw inn::ArgumentError("expected a command" + found);
    }
    const inn::Arguments arguments(command->options, {words.begin() + 1, words.end()});
    command->run(arguments);
    return 0;
  } catch (const inn::OutputError &error) {
    if (error.number == EPIPE) return 0;  // the reader of a pipe has seen enough
    return Fail(name, std::string("output: ") + std::strerror(error.number), 1);
  } catch (const inn::ArgumentError &error) {
    return Fail(name, std::string(error.what()) + " (see " + name + " --help)", error.exit_code);
  } catch (const inn::Error &error) {
    return Fail(name, error.what(), error.exit_code);
  } catch (const std::bad_alloc &) {
    return Fail(name, "out of memory", 1);
  }
}

}  // namespace

int main(int count, char **words) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> given(words + 1, words + count);
  const auto &commands = inn::Commands();
  const bool guarded = std::any_of(commands.begin(), commands.end(), [&](const Command &command) {
    return command.guarded && !given.empty() && given[0] == command.name;
  });
  if (!guarded) return Main(given);
  return RunGuarded(kProgram + (" " + given[0]), [&] { return Main(given); });
}
