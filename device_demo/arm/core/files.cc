#include "files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <random>

#include "error.h"

namespace inn {

namespace {

bool SameState(const struct stat &a, const struct stat &b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

// Writes everything to a new descriptor of `file`; messages show the name that the caller knows.
void Write(const std::string &shown, const std::string &file, int flags, const void *data, size_t size) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CLOEXEC | flags, 0666);
  if (descriptor < 0) {
    const std::string reason = std::strerror(errno);
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM) {
      throw UsageError(shown + ": cannot write there: " + reason);
    }
    throw Error(shown + ": cannot write: " + reason);
  }
  auto bytes = static_cast<const char *>(data);
  int failure = 0;
  for (size_t rest = size; rest > 0 && failure == 0;) {
    const ssize_t count = write(descriptor, bytes, rest);
    if (count < 0 && errno != EINTR) failure = errno;
    if (count > 0) bytes += count, rest -= count;
  }
  if (close(descriptor) != 0 && failure == 0) failure = errno;
  if (failure != 0) {
    throw Error(shown + ": cannot write " + std::to_string(size) + " bytes: " + std::strerror(failure));
  }
}

// The file that a name leads to through symbolic links.
std::string Target(const std::string &path) {
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) != nullptr) return resolved;
  char link[PATH_MAX];  // to a file that is not there yet
  const ssize_t length = readlink(path.c_str(), link, sizeof link);
  if (length <= 0) return path;
  const std::string target(link, length);
  return target[0] == '/' ? target : path.substr(0, path.rfind('/') + 1) + target;
}

std::string Random() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 16; i++) text += "0123456789abcdef"[device() & 15];
  return text;
}

}  // namespace

File::File(const std::string &path) : path_(path) {
  // Opening a pipe would wait for its writer; a device has no size.
  if (stat(path.c_str(), &state_) == 0 && !S_ISREG(state_.st_mode)) {
    throw UsageError(path + (S_ISDIR(state_.st_mode) ? ": Is a directory"
                                                     : ": expected a file, found a device or pipe"));
  }
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0 || fstat(descriptor_, &state_) != 0) throw UsageError(path + ": " + std::strerror(errno));
}

File::~File() { close(descriptor_); }

void File::Read(uint64_t offset, void *target, size_t size) const {
  struct stat now;
  bool good = fstat(descriptor_, &now) == 0 && SameState(now, state_);
  auto bytes = static_cast<char *>(target);
  while (good && size > 0) {
    const ssize_t count = pread(descriptor_, bytes, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw UsageError(path_ + ": " + std::strerror(errno));
    good = count > 0;
    bytes += count, offset += count, size -= count;
  }
  if (!good) throw BundleError(path_ + ": the file has changed since it was opened");
}

std::vector<uint8_t> ReadFile(const std::string &path) {
  const File file(path);
  std::vector<uint8_t> content(file.size());
  file.Read(0, content.data(), content.size());
  return content;
}

void WriteAtomically(const std::string &path, const void *data, size_t size) {
  struct stat state;
  const bool exists = stat(path.c_str(), &state) == 0;
  if (exists && S_ISDIR(state.st_mode)) throw UsageError(path + ": expected a file name, found a folder");
  if (exists && !S_ISREG(state.st_mode)) return Write(path, path, 0, data, size);
  const std::string target = Target(path);
  const std::string temporary = target.substr(0, target.rfind('/') + 1) + ".inn-" + Random();
  try {
    Write(path, temporary, O_CREAT | O_EXCL, data, size);
    if (rename(temporary.c_str(), target.c_str()) != 0) {
      throw Error(path + ": cannot write: " + std::strerror(errno));
    }
  } catch (...) {
    unlink(temporary.c_str());  // of no effect where it was never made
    throw;
  }
}

}  // namespace inn
