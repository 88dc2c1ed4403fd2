#include "arrays.h"

#include <Eigen/Core>
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "error.h"
#include "files.h"

namespace inn {

namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr uint32_t kLocalEntry = 0x04034b50, kCentralEntry = 0x02014b50, kEnd = 0x06054b50;
constexpr uint64_t kMaxValues = uint64_t{1} << 31;

[[noreturn]] void Refuse(const std::string &reason) { throw std::runtime_error(reason); }

// Little-endian numbers of `size` bytes.
uint64_t Number(const std::string &bytes, size_t offset, size_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) Refuse("it is truncated");
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[offset + i]);
  return value;
}

void Append(std::string *bytes, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) *bytes += static_cast<char>(value >> (8 * i));
}

uint32_t Crc32(const std::string &bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

// The value of a key of an .npy header, a Python dictionary such as
// {'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }
std::string HeaderValue(const std::string &header, const std::string &key) {
  const size_t found = header.find("'" + key + "':");
  if (found == header.npos) Refuse("its header has no " + key);
  const size_t start = header.find_first_not_of(' ', found + key.size() + 3);
  const char first = start == header.npos ? '\0' : header[start];
  const size_t stop = header.find(first == '\'' ? '\'' : first == '(' ? ')' : ',', start + 1);
  if (stop == header.npos) Refuse("its header is damaged");
  const bool enclosed = first == '\'' || first == '(';
  return header.substr(start + enclosed, stop - start - enclosed);
}

Shape ParseShape(const std::string &text) {
  Shape shape;
  for (size_t start = 0; start < text.size();) {
    const size_t stop = std::min(text.find(',', start), text.size());
    const std::string part = text.substr(start, stop - start);
    const size_t digit = part.find_first_not_of(' ');
    if (digit != part.npos) {
      if (part.find_first_not_of("0123456789", digit) != part.npos || part.size() > digit + 10) {
        Refuse("its header has a damaged shape");
      }
      shape.push_back(std::stoll(part.substr(digit)));
    }
    start = stop + 1;
  }
  return shape;
}

// '<f4' as float32, '|b1' as bool; what is no plain number as it is.
std::string TypeName(const std::string &descr) {
  if (descr == "|b1") return "bool";
  const std::map<char, std::string> kinds = {{'f', "float"}, {'i', "int"}, {'u', "uint"}, {'c', "complex"}};
  const auto kind = descr.size() == 3 ? kinds.find(descr[1]) : kinds.end();
  return kind == kinds.end() ? descr : kind->second + std::to_string(8 * (descr[2] - '0'));
}

template <typename Number>
std::vector<float> Floats(const std::string &content, size_t start, uint64_t count, bool swap) {
  if ((content.size() - start) / sizeof(Number) < count) Refuse("it is truncated");
  std::vector<float> values(count);
  for (uint64_t i = 0; i < count; i++) {
    char bytes[sizeof(Number)];
    std::memcpy(bytes, content.data() + start + i * sizeof(Number), sizeof bytes);
    if (swap) std::reverse(bytes, bytes + sizeof bytes);
    Number number;
    std::memcpy(&number, bytes, sizeof bytes);
    values[i] = static_cast<float>(number);
  }
  return values;
}

// Fortran's order, the first index fastest, to C's.
std::vector<float> Transposed(const std::vector<float> &values, const Shape &shape) {
  std::vector<float> result(values.size());
  std::vector<int64_t> index(shape.size(), 0);
  for (const float value : values) {
    int64_t place = 0;
    for (size_t d = 0; d < shape.size(); d++) place = place * shape[d] + index[d];
    result[place] = value;
    for (size_t d = 0; d < shape.size() && ++index[d] == shape[d]; d++) index[d] = 0;
  }
  return result;
}

Array ParseArray(const std::string &content) {
  if (content.compare(0, 6, kMagic, 6) != 0) Refuse("it does not begin as one");
  const size_t length_bytes = Number(content, 6, 1) == 1 ? 2 : 4;
  const uint64_t length = Number(content, 8, length_bytes);
  const size_t start = 8 + length_bytes + length;
  if (start > content.size()) Refuse("it is truncated");
  const std::string header = content.substr(8 + length_bytes, length);
  const std::string descr = HeaderValue(header, "descr");
  Array array = {{ParseShape(HeaderValue(header, "shape")), {}}, TypeName(descr)};
  uint64_t count = 1;
  for (const int64_t size : array.tensor.shape) {
    count *= size;
    if (count > kMaxValues) Refuse("it is too large");
  }
  const bool swap = descr[0] == '>';
  auto &values = array.tensor.values;
  if (array.dtype == "float16") values = Floats<Eigen::half>(content, start, count, swap);
  if (array.dtype == "float32") values = Floats<float>(content, start, count, swap);
  if (array.dtype == "float64") values = Floats<double>(content, start, count, swap);
  if (HeaderValue(header, "fortran_order") == "True") values = Transposed(values, array.tensor.shape);
  return array;
}

std::map<std::string, Array> ParseArchive(const std::string &content) {
  const std::string mark("PK\x05\x06", 4);
  const size_t end = content.rfind(mark);
  if (end == content.npos) Refuse("it is truncated");
  const uint64_t entries = Number(content, end + 10, 2);
  size_t entry = Number(content, end + 16, 4);
  std::map<std::string, Array> arrays;
  for (uint64_t i = 0; i < entries; i++) {
    if (Number(content, entry, 4) != kCentralEntry) Refuse("its list of contents is damaged");
    const uint64_t method = Number(content, entry + 10, 2), bytes = Number(content, entry + 20, 4);
    const uint64_t name_length = Number(content, entry + 28, 2), local = Number(content, entry + 42, 4);
    const uint64_t more = Number(content, entry + 30, 2) + Number(content, entry + 32, 2);
    std::string name = content.substr(entry + 46, name_length);
    if (method != 0) Refuse("it is compressed: write it with numpy.savez");
    if (Number(content, local, 4) != kLocalEntry) Refuse("its list of contents is damaged");
    const uint64_t start = local + 30 + Number(content, local + 26, 2) + Number(content, local + 28, 2);
    if (start > content.size() || bytes > content.size() - start) Refuse("it is truncated");
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0) name.resize(name.size() - 4);
    arrays[name] = ParseArray(content.substr(start, bytes));
    entry += 46 + name_length + more;
  }
  return arrays;
}

std::string PackArray(const Tensor &tensor) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + Tuple(tensor.shape) + ", }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string content(kMagic, 6);
  content += std::string("\x01\x00", 2);
  Append(&content, header.size(), 2);
  content += header;
  content.append(reinterpret_cast<const char *>(tensor.values.data()), 4 * tensor.values.size());
  return content;
}

}  // namespace

std::map<std::string, Array> ReadArrays(const std::string &path) {
  const auto bytes = ReadFile(path);
  const std::string content(bytes.begin(), bytes.end());
  try {
    if (content.compare(0, 2, "PK") == 0) return ParseArchive(content);
    return {{"", ParseArray(content)}};
  } catch (const std::runtime_error &error) {
    throw UsageError(path + ": not a .npy or .npz file of plain arrays (" + error.what() + ")");
  }
}

std::string PackArrays(const std::vector<std::pair<std::string, Tensor>> &arrays) {
  std::string archive, contents;
  for (const auto &[key, tensor] : arrays) {
    const std::string name = key + ".npy", array = PackArray(tensor);
    std::string common;  // to both lists of an entry: version, flags (UTF-8 names), method, time, date, sizes
    for (const uint64_t field : {20, 0x800, 0, 0, 0x21}) Append(&common, field, 2);
    for (const uint64_t field : {uint64_t{Crc32(array)}, uint64_t{array.size()}, uint64_t{array.size()}}) {
      if (field > UINT32_MAX) throw Error("an .npz file of more than 4 GB cannot be written");
      Append(&common, field, 4);
    }
    Append(&common, name.size(), 2);
    Append(&common, 0, 2);
    Append(&contents, kCentralEntry, 4);
    Append(&contents, 20, 2);
    contents += common;
    for (int i = 0; i < 5; i++) Append(&contents, 0, 2);
    Append(&contents, archive.size(), 4);
    contents += name;
    Append(&archive, kLocalEntry, 4);
    archive += common + name + array;
  }
  const size_t start = archive.size();
  archive += contents;
  Append(&archive, kEnd, 4);
  Append(&archive, 0, 4);
  Append(&archive, arrays.size(), 2);
  Append(&archive, arrays.size(), 2);
  Append(&archive, contents.size(), 4);
  Append(&archive, start, 4);
  Append(&archive, 0, 2);
  return archive;
}

}  // namespace inn
