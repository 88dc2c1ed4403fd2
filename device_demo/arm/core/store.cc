#include "store.h"

#include <algorithm>
#include <tuple>

#include "error.h"
#include "json.h"
#include "sha256.h"

namespace inn {

namespace {

constexpr uint64_t kMaxHeader = 16 << 20;
constexpr char kMetadataKey[] = "innlite";

// The container's types and their bytes; a bundle uses the first four.
struct StoredType {
  const char *name;
  int bytes;
  DType dtype;
};

constexpr StoredType kTypes[] = {
    {"F16", 2, DType::kFloat16}, {"F32", 4, DType::kFloat32},   {"I8", 1, DType::kInt8},
    {"U8", 1, DType::kUInt8},    {"BOOL", 1, DType::kOther},    {"F8_E5M2", 1, DType::kOther},
    {"F8_E4M3", 1, DType::kOther}, {"I16", 2, DType::kOther},   {"U16", 2, DType::kOther},
    {"BF16", 2, DType::kOther},  {"I32", 4, DType::kOther},     {"U32", 4, DType::kOther},
    {"F64", 8, DType::kOther},   {"I64", 8, DType::kOther},     {"U64", 8, DType::kOther},
};

// A tensor as the header describes it.
struct Entry {
  std::string name;
  const StoredType *type;
  Shape shape;
  uint64_t start, stop;
};

[[noreturn]] void Refuse(const std::string &reason) { throw std::runtime_error(reason); }

std::vector<int64_t> Numbers(const Json *value, const std::string &what) {
  if (value == nullptr || value->kind != Json::kList) Refuse(what + ": expected a list");
  std::vector<int64_t> result;
  for (const auto &item : value->items()) {
    if (item.kind != Json::kInteger || item.integer < 0) Refuse(what + ": expected integers of at least 0");
    result.push_back(item.integer);
  }
  return result;
}

Entry ParseEntry(const std::string &name, const Json &value) {
  const std::string what = "tensor " + Shown(name);
  if (value.kind != Json::kObject) Refuse(what + ": expected an object");
  const Json *dtype = value.Find("dtype");
  const auto type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const StoredType &candidate) {
    return dtype != nullptr && dtype->kind == Json::kText && dtype->text() == candidate.name;
  });
  if (type == std::end(kTypes)) Refuse(what + ": unknown dtype");
  const auto offsets = Numbers(value.Find("data_offsets"), what + ": data_offsets");
  if (offsets.size() != 2) Refuse(what + ": data_offsets: expected 2 entries");
  Entry entry = {name, type, Numbers(value.Find("shape"), what + ": shape"), static_cast<uint64_t>(offsets[0]),
                 static_cast<uint64_t>(offsets[1])};
  uint64_t bytes = type->bytes;
  for (const int64_t size : entry.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes)) Refuse(what + ": shape: too large");
  }
  if (entry.stop < entry.start || entry.stop - entry.start != bytes) {
    Refuse(what + ": shape and data_offsets do not fit");
  }
  return entry;
}

// The tensors of a header, whose bytes must follow one another and fill `data_size` bytes.
std::vector<Entry> ParseEntries(const Json &header, uint64_t data_size) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < header.keys().size(); i++) {
    if (header.keys()[i] != "__metadata__") entries.push_back(ParseEntry(header.keys()[i], header.items()[i]));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) {
    return std::tie(a.start, a.stop, a.name) < std::tie(b.start, b.stop, b.name);
  });
  uint64_t end = 0;
  for (const auto &entry : entries) {
    if (entry.start != end) Refuse("tensor " + Shown(entry.name) + ": expected to start at " + std::to_string(end));
    end = entry.stop;
  }
  if (end != data_size) {
    Refuse("expected " + std::to_string(end) + " bytes of tensors, found " + std::to_string(data_size));
  }
  return entries;
}

// The container's texts; empty where it has none.
std::map<std::string, std::string> ParseMetadata(const Json &header) {
  std::map<std::string, std::string> result;
  const Json *metadata = header.Find("__metadata__");
  if (metadata == nullptr || metadata->kind == Json::kNull) return result;
  if (metadata->kind != Json::kObject) Refuse("__metadata__: expected an object");
  for (size_t i = 0; i < metadata->keys().size(); i++) {
    const Json &value = metadata->items()[i];
    if (value.kind != Json::kText) Refuse("__metadata__: expected texts");
    result[metadata->keys()[i]] = value.text();
  }
  return result;
}

}  // namespace

std::string Name(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return "float16";
    case DType::kFloat32:
      return "float32";
    case DType::kInt8:
      return "int8";
    default:
      return "uint8";
  }
}

FileStore::FileStore(const std::string &path) : file_(path) {
  uint8_t start[8] = {};
  file_.Read(0, start, std::min<uint64_t>(8, file_.size()));
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | start[i];
  if (file_.size() < 8 || length > kMaxHeader) {
    throw BundleError(path + ": not an INN-Lite bundle (no safetensors header)");
  }
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  try {
    if (length > file_.size() - 8) Refuse("the file is shorter than its header");
    std::string text(length, '\0');
    file_.Read(8, text.data(), length);
    const Json header = ParseJson(text);
    if (header.kind != Json::kObject) Refuse("the header is no JSON object");
    entries = ParseEntries(header, file_.size() - 8 - length);
    metadata = ParseMetadata(header);
  } catch (const Error &) {
    throw;
  } catch (const std::runtime_error &error) {
    std::string reason = Shown(std::string(error.what()));
    reason = reason.substr(1, reason.size() - 2);
    throw BundleError(path + ": not an INN-Lite bundle, or a truncated one (" + reason + ")");
  }
  const auto found = metadata.find(kMetadataKey);
  if (found == metadata.end()) {
    throw BundleError(path + ": a safetensors file, but not an INN-Lite bundle (no '" + kMetadataKey + "' key)");
  }
  manifest_ = std::move(found->second);
  for (const auto &entry : entries) {
    tensors_[entry.name] = {entry.type->name, entry.type->dtype, entry.shape, 8 + length + entry.start,
                            entry.stop - entry.start};
  }
}

std::vector<uint8_t> FileStore::Read(const StoredTensor &tensor) const {
  std::vector<uint8_t> content(tensor.bytes);
  file_.Read(tensor.offset, content.data(), content.size());
  return content;
}

std::string FileStore::FileDigest() const {
  Sha256 hasher;
  std::vector<uint8_t> block(1 << 20);
  for (uint64_t start = 0; start < file_.size(); start += block.size()) {
    const size_t count = std::min<uint64_t>(block.size(), file_.size() - start);
    file_.Read(start, block.data(), count);
    hasher.Update(block.data(), count);
  }
  return hasher.Finish();
}

}  // namespace inn
