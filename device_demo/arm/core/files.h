// Reading a file that may change under the reader, and writing files whole or not at all.
#ifndef INN_FILES_H_
#define INN_FILES_H_

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace inn {

// An opened file. It must stay as it is, but may be replaced or removed.
class File {
 public:
  // Throws UsageError: there is no such file, it cannot be read, or it is a device or pipe.
  explicit File(const std::string &path);
  ~File();
  File(const File &) = delete;
  File &operator=(const File &) = delete;

  const std::string &path() const { return path_; }
  uint64_t size() const { return state_.st_size; }
  // Throws BundleError where the file has changed since it was opened.
  void Read(uint64_t offset, void *target, size_t size) const;

 private:
  std::string path_;
  int descriptor_;
  struct stat state_;
};

// The whole file. Throws UsageError.
std::vector<uint8_t> ReadFile(const std::string &path);

// Write to a temporary file beside `path`, then rename; a failure leaves nothing behind. What is no regular
// file (/dev/stdout, a pipe) is written to directly. Throws UsageError where the folder does not exist or may
// not be written to, Error where the disk is full or failed.
void WriteAtomically(const std::string &path, const void *data, size_t size);

}  // namespace inn

#endif  // INN_FILES_H_
