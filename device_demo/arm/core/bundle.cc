#include "bundle.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "error.h"
#include "json.h"
#include "manifest_parser.h"
#include "sha256.h"

namespace inn {

namespace {

constexpr char kScaleSuffix[] = ".scale", kSourceKey[] = "source.onnx";
constexpr Wide kMaxStoredElements = 1 << 29;  // of a stored tensor: what a .ms file can hold
constexpr Wide kManyElements = Wide{1} << 96;
constexpr size_t kDigestLength = 32;

// Packed integers have this many bits each; fewer values than the least are not packed.
constexpr int kLeastBits = 1, kMostBits = 6;
constexpr Wide kLeastPacked = 8;

bool IsInteger(DType dtype) { return dtype == DType::kInt8 || dtype == DType::kUInt8; }

// Product of the sizes, cut off where it could overflow.
Wide Product(const WideShape &shape) {
  Wide count = 1;
  for (const Wide size : shape) {
    if (__builtin_mul_overflow(count, size, &count)) count = kManyElements;
    count = std::min(count, kManyElements);
  }
  return std::find(shape.begin(), shape.end(), 0) == shape.end() ? count : 0;
}

// How many bits each of `count` values has in `length` bytes; 0 where they cannot be packed so.
int PackedBits(Wide length, Wide count) {
  if (count < kLeastPacked) return 0;
  const Wide bits = 8 * length / count;
  if (bits < kLeastBits || bits > kMostBits || length != (count * bits + 7) / 8) return 0;
  return static_cast<int>(bits);
}

void Unpack(const std::vector<uint8_t> &packed, int bits, std::vector<float> *values) {
  const int most = (1 << bits) - 1;  // of the odd integers, and of the codes
  int waiting = 0, count = 0;  // bits read and not yet used, and how many these are
  size_t next = 0;
  for (float &value : *values) {
    if (count < bits) {
      waiting |= packed[next++] << count;
      count += 8;
    }
    value = static_cast<float>(2 * (waiting & most) - most);
    waiting >>= bits;
    count -= bits;
  }
}

// The stored numbers as float32, before any scale.
std::vector<float> Numbers(const std::vector<uint8_t> &content, DType dtype, int64_t count) {
  using Floats = Eigen::Map<Eigen::ArrayXf>;
  std::vector<float> values(count);
  Floats target(values.data(), count);
  switch (dtype) {
    case DType::kFloat32:
      std::copy_n(reinterpret_cast<const float *>(content.data()), count, values.data());
      break;
    case DType::kFloat16:
      target = Eigen::Map<const Eigen::Array<Eigen::half, Eigen::Dynamic, 1>>(
                   reinterpret_cast<const Eigen::half *>(content.data()), count)
                   .cast<float>();
      break;
    case DType::kInt8:
      target = Eigen::Map<const Eigen::Array<int8_t, Eigen::Dynamic, 1>>(
                   reinterpret_cast<const int8_t *>(content.data()), count)
                   .cast<float>();
      break;
    default:
      Unpack(content, PackedBits(content.size(), count), &values);
  }
  return values;
}

// Multiply by a scale that has as many dimensions, each as long or 1.
void Multiply(const Tensor &scale, Tensor *tensor) {
  const size_t rank = tensor->shape.size();
  const int64_t row = rank == 0 ? 1 : tensor->shape.back();
  const bool along_row = rank > 0 && scale.shape.back() != 1;
  const int64_t rows = static_cast<int64_t>(tensor->values.size()) / row;
  std::vector<int64_t> index(rank, 0);  // of the row's start
  for (int64_t r = 0; r < rows; r++) {
    int64_t start = 0;
    for (size_t d = 0; d < rank; d++) start = start * scale.shape[d] + (scale.shape[d] == 1 ? 0 : index[d]);
    Eigen::Map<Eigen::ArrayXf> target(tensor->values.data() + r * row, row);
    if (along_row) {
      target *= Eigen::Map<const Eigen::ArrayXf>(scale.values.data() + start, row);
    } else {
      target *= scale.values[start];
    }
    for (int d = static_cast<int>(rank) - 2; d >= 0 && ++index[d] == tensor->shape[d]; d--) index[d] = 0;
  }
}

// Names and shapes that the manifest expects, in its order.
class Expected {
 public:
  explicit Expected(const std::string &source) : source_(source) {}

  void Add(const std::string &key, const WideShape &shape) {
    if (key == kSourceKey) {
      throw BundleError(source_ + ": tensor " + Quoted(key) + " is the source network, but is used as values");
    }
    const auto [found, added] = shapes.emplace(key, shape);
    if (added) order.push_back(key);
    if (found->second != shape) {
      throw BundleError(source_ + ": tensor " + Quoted(key) + " is used with shapes " + Tuple(found->second) +
                        " and " + Tuple(shape));
    }
  }

  std::vector<std::string> order;
  std::unordered_map<std::string, WideShape> shapes;

 private:
  const std::string &source_;
};

Expected ExpectedTensors(const Manifest &manifest, const std::string &source) {
  Expected expected(source);
  const Widths full = manifest.FullWidths();
  for (const auto &weight : manifest.weights) expected.Add("weight/" + weight.name, weight.ShapeAt(full));
  for (const auto &size : manifest.sizes) {
    for (const auto &[index, key] : size.tables) {
      const int64_t group = manifest.quadratures[index].group;
      expected.Add(key, {full[group], size.widths[group]});
    }
    for (const auto *finished : {&size.overrides, &size.corrections}) {
      for (const auto &[index, key] : *finished) expected.Add(key, manifest.weights[index].ShapeAt(size.widths));
    }
    for (const auto &[group, key] : size.grids) expected.Add(key, {2, size.widths[group]});
    for (const auto &[name, key] : size.check) {
      const Port *port = FindPort(manifest.outputs, name);
      if (port == nullptr) {
        throw BundleError(source + ": the self-check names an unknown output " + Quoted(name));
      }
      expected.Add(key, WideShape(port->shape.begin(), port->shape.end()));
    }
  }
  return expected;
}

// The shape of integers' scale: it must broadcast along each dimension that it does not follow.
WideShape ScaleShape(const std::string &key, const WideShape &shape, const StoredTensor *scale,
                     const std::string &source) {
  if (scale == nullptr) return WideShape(shape.size(), 1);
  const WideShape found(scale->shape.begin(), scale->shape.end());
  bool good = found.size() == shape.size();
  for (size_t d = 0; good && d < shape.size(); d++) good = found[d] == 1 || found[d] == shape[d];
  if (!good) {
    throw BundleError(source + ": tensor " + Quoted(key + kScaleSuffix) + ": expected each dimension of " +
                      Tuple(shape) + " or 1, found " + Tuple(found));
  }
  return found;
}

// What a tensor's values should be against how it lies in the file.
void CheckShape(const std::string &key, const WideShape &shape, const StoredTensor &stored,
                const std::string &source) {
  const std::string where = source + ": tensor " + Quoted(key) + ": expected ";
  const WideShape found(stored.shape.begin(), stored.shape.end());
  if (stored.dtype == DType::kUInt8) {
    if (found.size() != 1 || PackedBits(found[0], Product(shape)) == 0) {
      throw BundleError(where + "shape " + Tuple(shape) + " packed in 1 to 6 bits, found bytes " +
                        Tuple(found));
    }
  } else if (found != shape) {
    throw BundleError(where + "shape " + Tuple(shape) + ", found " + Tuple(found));
  }
  if (Product(shape) > kMaxStoredElements) {
    throw BundleError(where + "at most " + Decimal(kMaxStoredElements) + " elements, found " + Tuple(shape));
  }
}

Json ParseManifestText(const std::string &text, const std::string &source) {
  try {
    return ParseJson(text);
  } catch (const std::runtime_error &error) {
    const std::string reason = Shown(std::string(error.what()));
    throw BundleError(source + ": the manifest is not valid JSON (" + reason.substr(1, reason.size() - 2) + ")");
  }
}

}  // namespace

int64_t CountOf(const Shape &shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

Bundle::Bundle(const std::string &path, const std::set<int64_t> &allow_primitives) : store_(path) {
  manifest_ = ParseManifest(ParseManifestText(store_.manifest(), path), path);
  CheckTensors();
  graph_rules_ = std::make_unique<GraphRules>(manifest_, path, allow_primitives);
  graph_rules_->CheckSizes();
}

void Bundle::CheckTensors() {
  const auto &layout = store_.tensors();
  for (const auto &[key, stored] : layout) {
    if (stored.dtype == DType::kOther) {
      throw BundleError(source() + ": tensor " + Shown(key) + ": expected F16, F32, I8, U8, found " + stored.type);
    }
  }
  Expected expected = ExpectedTensors(manifest_, source());
  std::set<std::string> scales;
  for (const auto &key : std::vector<std::string>(expected.order)) {
    const auto stored = layout.find(key);
    if (stored == layout.end() || !IsInteger(stored->second.dtype)) continue;
    const auto scale = layout.find(key + kScaleSuffix);
    scales.insert(key + kScaleSuffix);
    expected.Add(key + kScaleSuffix, ScaleShape(key, expected.shapes[key],
                                                scale == layout.end() ? nullptr : &scale->second, source()));
  }
  digests_.insert(manifest_.digests.begin(), manifest_.digests.end());
  for (const auto &[key, stored] : layout) {
    const std::string where = source() + ": tensor " + Quoted(key);
    const auto shape = expected.shapes.find(key);
    if (key == kSourceKey) {
      if (stored.dtype != DType::kUInt8 || stored.shape.size() != 1 || stored.shape[0] == 0) {
        throw BundleError(where + ": expected bytes, found " + Name(stored.dtype) + " " + Tuple(stored.shape));
      }
    } else if (shape == expected.shapes.end()) {
      throw BundleError(source() + ": tensor " + Shown(key) + " is not in the manifest");
    } else {
      if (IsInteger(stored.dtype) && scales.count(key)) {
        throw BundleError(where + ": expected float16 or float32, found " + Name(stored.dtype));
      }
      CheckShape(key, shape->second, stored, source());
      shapes_[key] = Shape(shape->second.begin(), shape->second.end());
    }
    if (!digests_.count(key)) throw BundleError(where + " has no digest in the manifest");
  }
  for (const auto &entry : manifest_.digests) expected.order.push_back(entry.first);
  for (const auto &key : expected.order) {
    if (!layout.count(key)) throw BundleError(source() + ": tensor " + Quoted(key) + " is missing from the file");
  }
}

std::string Bundle::Storage(const std::string &key) const {
  const StoredTensor &stored = store_.tensors().at(key);
  if (stored.dtype != DType::kUInt8) return Name(stored.dtype);
  return "int" + std::to_string(PackedBits(stored.shape[0], CountOf(shapes_.at(key))));
}

Tensor Bundle::Read(const std::string &key) const {
  const StoredTensor &stored = store_.tensors().at(key);
  Tensor scale, tensor;
  if (IsInteger(stored.dtype)) scale = Read(key + kScaleSuffix);
  tensor.shape = shapes_.at(key);
  const std::vector<uint8_t> content = store_.Read(stored);
  tensor.values = Numbers(content, stored.dtype, CountOf(tensor.shape));
  if (IsInteger(stored.dtype)) Multiply(scale, &tensor);
  if (checked_.count(key)) return tensor;
  CheckDigest(key, content);
  if (!Eigen::Map<const Eigen::ArrayXf>(tensor.values.data(), tensor.values.size()).isFinite().all()) {
    throw BundleError(source() + ": tensor " + Quoted(key) + " holds values that are not finite");
  }
  checked_.insert(key);
  return tensor;
}

void Bundle::Verify(const std::string &key) const {
  if (key == kSourceKey) {
    CheckDigest(key, store_.Read(store_.tensors().at(key)));
  } else {
    Read(key);
  }
}

void Bundle::CheckDigest(const std::string &key, const std::vector<uint8_t> &content) const {
  Sha256 hasher;
  hasher.Update(content.data(), content.size());
  const std::string found = hasher.Finish().substr(0, kDigestLength), expected = digests_.at(key);
  if (found != expected) {
    throw BundleError(source() + ": tensor " + Quoted(key) + " is damaged: expected sha256 " +
                      expected.substr(0, 16) + "…, found " + found.substr(0, 16) + "…");
  }
}

}  // namespace inn
