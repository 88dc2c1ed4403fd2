// NumPy's files: .npy holds one array, .npz several by name (a zip archive of .npy, here always stored).
#ifndef INN_ARRAYS_H_
#define INN_ARRAYS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bundle.h"

namespace inn {

struct Array {
  Tensor tensor;      // no values where the numbers are not floating point
  std::string dtype;  // NumPy's name of the type in the file
};

// The arrays of a file by name; that of an .npy file is called "". Throws UsageError: the file cannot be
// read, or holds anything but plain arrays.
std::map<std::string, Array> ReadArrays(const std::string &path);

// The bytes of an .npz file.
std::string PackArrays(const std::vector<std::pair<std::string, Tensor>> &arrays);

}  // namespace inn

#endif  // INN_ARRAYS_H_
