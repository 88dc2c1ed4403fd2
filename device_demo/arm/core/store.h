// Where a bundle's tensors lie, a safetensors file: which it holds, and their bytes.
#ifndef INN_STORE_H_
#define INN_STORE_H_

#include <map>
#include <string>
#include <vector>

#include "files.h"
#include "text.h"

namespace inn {

enum class DType { kFloat16, kFloat32, kInt8, kUInt8, kOther };

// The type's name in messages: NumPy's.
std::string Name(DType dtype);

struct StoredTensor {
  std::string type;  // the container's name of it
  DType dtype;       // kOther: no tensor of a bundle is of this type
  Shape shape;
  uint64_t offset;  // in the file
  uint64_t bytes;
};

// An opened file. Its header has been checked: no tensor reaches beyond the file or into another.
class FileStore {
 public:
  // Throws UsageError where the file cannot be read, BundleError where it is no bundle.
  explicit FileStore(const std::string &path);

  const std::string &path() const { return file_.path(); }
  const std::string &manifest() const { return manifest_; }
  uint64_t bytes() const { return file_.size(); }
  // In the order of their names.
  const std::map<std::string, StoredTensor> &tensors() const { return tensors_; }
  std::vector<uint8_t> Read(const StoredTensor &tensor) const;
  // sha256 of the whole file.
  std::string FileDigest() const;

 private:
  File file_;
  std::string manifest_;
  std::map<std::string, StoredTensor> tensors_;
};

}  // namespace inn

#endif  // INN_STORE_H_
