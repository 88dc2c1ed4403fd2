#include "ms_writer.h"

#include <cstring>
#include <numeric>
#include <utility>

#include "error.h"

namespace inn {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using Reference = Offset<void>;
// Fields of a table, by slot.
using ReferenceFields = std::vector<std::pair<int, Reference>>;
using IntegerFields = std::vector<std::pair<int, int32_t>>;

constexpr char kFileIdentifier[] = "MSL2";
constexpr int32_t kFloat32 = 43, kInt32 = 34, kConstant = 0, kVariable = 2, kFormatNhwc = 1, kFrameworkOnnx = 2;
constexpr Wide kMaxBytes = (Wide{1} << 31) - 1, kManyBytes = Wide{1} << 96;
constexpr size_t kDataAlignment = 16;

// Slots of the schema's tables.
enum TensorSlot { kNodeType = 0, kDataType = 1, kDims = 2, kFormat = 3, kData = 6, kTensorName = 9 };
enum NodeSlot { kNodeName = 0, kPrimitive = 2, kNodeInputs = 3, kNodeOutputs = 4 };
enum SubGraphSlot { kGraphName = 0, kGraphInputs = 1, kGraphOutputs = 2, kGraphNodes = 3, kGraphTensors = 4 };
enum MetaSlot {
  kMetaName = 0,
  kVersion = 1,
  kFramework = 2,
  kMetaInputs = 3,
  kMetaOutputs = 4,
  kMetaNodes = 6,
  kMetaTensors = 7,
  kSubGraph = 8
};

flatbuffers::voffset_t Slot(int64_t slot) {
  return flatbuffers::FieldIndexToOffset(static_cast<flatbuffers::voffset_t>(slot));
}

Wide CountOfWide(const WideShape &shape) {
  Wide count = 1;  // a weight's dimensions are at least 1
  for (const Wide size : shape) {
    if (__builtin_mul_overflow(count, size, &count) || count > kManyBytes) return kManyBytes;
  }
  return count;
}

// Bytes that the file hardly exceeds (the buffer then grows); but for the tensors' data, generous.
Wide SizeAtMost(const Manifest &manifest, const Widths &widths) {
  Wide total = 4096;
  for (const auto &tensor : manifest.tensors) {
    total += 512 + 4 * Wide(tensor.name.size()) + 4 * Wide(tensor.values ? tensor.values->size() : 0);
    if (tensor.weight) total += 4 * CountOfWide(manifest.weights[*tensor.weight].ShapeAt(widths));
  }
  for (const auto &node : manifest.nodes) {
    total += 512 + 4 * Wide(node.name.size() + node.inputs.size() + node.outputs.size());
    for (const auto &attribute : node.attributes) {
      total += 64;
      if (const auto *text = std::get_if<std::string>(&attribute.value)) total += 8 * Wide(text->size());
      if (const auto *longs = std::get_if<std::vector<Expression>>(&attribute.value)) total += 8 * Wide(longs->size());
      if (const auto *floats = std::get_if<std::vector<double>>(&attribute.value)) total += 8 * Wide(floats->size());
    }
  }
  return total;
}

// Writes one model. Scalars are written also where they equal the schema's default.
class Packer {
 public:
  Packer(const Manifest &manifest, const Widths &widths, size_t size)
      : manifest_(manifest), widths_(widths), builder_(size) {
    builder_.ForceDefaults(true);
  }

  ModelBytes Pack(const std::function<Tensor(int64_t)> &weight);

 private:
  const Manifest &manifest_;
  const Widths &widths_;
  FlatBufferBuilder builder_;

  template <typename Number>
  Number Value(const Expression &expression) const;
  template <typename Number, typename Values>
  Reference Numbers(const Values &values);
  Reference Text(const std::string &text) { return Reference(builder_.CreateString(text).o); }
  Reference Bytes(const void *data, size_t size);
  Reference Offsets(const std::vector<Reference> &values);
  Reference Table(const ReferenceFields &references, const IntegerFields &integers = {});
  Reference PackTensor(const GraphTensor &tensor, const std::function<Tensor(int64_t)> &weight);
  Reference PackNode(const GraphNode &node);
  Reference PackVector(const Attribute &attribute);
  void AddAttribute(const Attribute &attribute, Reference vector);
};

// Up to size 1 it fits by the manifest's checks; beyond, it may not.
template <typename Number>
Number Packer::Value(const Expression &expression) const {
  const Wide value = Evaluate(expression, widths_);
  if (value < std::numeric_limits<Number>::min() || value > std::numeric_limits<Number>::max()) {
    throw UsageError("an attribute or constant exceeds " + std::to_string(8 * sizeof(Number)) +
                     " bits at this size: choose a smaller one");
  }
  return static_cast<Number>(value);
}

template <typename Number, typename Values>
Reference Packer::Numbers(const Values &values) {
  const std::vector<Number> numbers(values.begin(), values.end());
  if (numbers.empty()) builder_.Align(sizeof(Number));  // as the Python library does
  return Reference(builder_.CreateVector(numbers).o);
}

Reference Packer::Bytes(const void *data, size_t size) {
  uint8_t *target = nullptr;
  builder_.ForceVectorAlignment(size, 1, kDataAlignment);
  const auto offset = builder_.CreateUninitializedVector(size, 1, &target);
  std::memcpy(target, data, size);
  return Reference(offset);
}

Reference Packer::Offsets(const std::vector<Reference> &values) { return Reference(builder_.CreateVector(values).o); }

Reference Packer::Table(const ReferenceFields &references, const IntegerFields &integers) {
  const auto start = builder_.StartTable();
  for (const auto &[slot, reference] : references) builder_.AddOffset(Slot(slot), reference);
  for (const auto &[slot, integer] : integers) builder_.AddElement<int32_t>(Slot(slot), integer, 0);
  return Reference(builder_.EndTable(start));
}

Reference Packer::PackTensor(const GraphTensor &tensor, const std::function<Tensor(int64_t)> &weight) {
  int32_t type = kFloat32, kind = kVariable;
  Shape dims = tensor.shape;
  Reference data;
  if (tensor.weight) {
    const Tensor resized = weight(*tensor.weight);
    kind = kConstant;
    dims = resized.shape;
    data = Bytes(resized.values.data(), 4 * resized.values.size());
  } else if (tensor.values) {
    std::vector<int32_t> values;
    for (const auto &expression : *tensor.values) values.push_back(Value<int32_t>(expression));
    type = kInt32;
    kind = kConstant;
    data = Bytes(values.data(), 4 * values.size());
  }
  const Reference shape = Numbers<int32_t>(dims), name = Text(tensor.name);
  return Table({{kDims, shape}, {kTensorName, name}, {kData, data}},
               {{kNodeType, kind}, {kDataType, type}, {kFormat, kFormatNhwc}});
}

// The attribute's text or vector; nothing where it is a scalar.
Reference Packer::PackVector(const Attribute &attribute) {
  if (attribute.type == "string") return Text(std::get<std::string>(attribute.value));
  if (attribute.type == "floats") return Numbers<float>(std::get<std::vector<double>>(attribute.value));
  if (attribute.type != "longs") return {};
  std::vector<int64_t> values;
  for (const auto &expression : std::get<std::vector<Expression>>(attribute.value)) {
    values.push_back(Value<int64_t>(expression));
  }
  return Numbers<int64_t>(values);
}

void Packer::AddAttribute(const Attribute &attribute, Reference vector) {
  const auto slot = Slot(attribute.slot);
  if (!vector.IsNull()) {
    builder_.AddOffset(slot, vector);
  } else if (attribute.type == "bool") {
    builder_.AddElement<uint8_t>(slot, std::get<bool>(attribute.value), 0);
  } else if (attribute.type == "float") {
    builder_.AddElement<float>(slot, static_cast<float>(std::get<double>(attribute.value)), 0);
  } else {
    const auto &expression = std::get<Expression>(attribute.value);
    if (attribute.type == "byte") builder_.AddElement<int8_t>(slot, Value<int8_t>(expression), 0);
    if (attribute.type == "int") builder_.AddElement<int32_t>(slot, Value<int32_t>(expression), 0);
    if (attribute.type == "long") builder_.AddElement<int64_t>(slot, Value<int64_t>(expression), 0);
  }
}

Reference Packer::PackNode(const GraphNode &node) {
  std::vector<Reference> vectors;
  for (const auto &attribute : node.attributes) vectors.push_back(PackVector(attribute));
  const auto content_start = builder_.StartTable();
  for (size_t i = 0; i < vectors.size(); i++) AddAttribute(node.attributes[i], vectors[i]);
  const Reference content(builder_.EndTable(content_start));
  const auto primitive_start = builder_.StartTable();
  builder_.AddElement<uint8_t>(Slot(0), static_cast<uint8_t>(node.primitive), 0);
  builder_.AddOffset(Slot(1), content);
  const Reference primitive(builder_.EndTable(primitive_start));
  const Reference name = Text(node.name);
  const Reference inputs = Numbers<uint32_t>(node.inputs), outputs = Numbers<uint32_t>(node.outputs);
  return Table({{kNodeName, name}, {kPrimitive, primitive}, {kNodeInputs, inputs}, {kNodeOutputs, outputs}});
}

std::vector<uint32_t> UpTo(size_t count) {
  std::vector<uint32_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

std::vector<int64_t> TensorsOf(const std::vector<Port> &ports) {
  std::vector<int64_t> tensors;
  for (const auto &port : ports) tensors.push_back(port.tensor);
  return tensors;
}

ModelBytes Packer::Pack(const std::function<Tensor(int64_t)> &weight) {
  std::vector<Reference> tensors, nodes;
  for (const auto &tensor : manifest_.tensors) tensors.push_back(PackTensor(tensor, weight));
  for (const auto &node : manifest_.nodes) nodes.push_back(PackNode(node));
  const auto inputs = TensorsOf(manifest_.inputs), outputs = TensorsOf(manifest_.outputs);
  // Braced lists are evaluated from left to right.
  const Reference graph = Table({{kGraphName, Text("main")},
                                 {kGraphInputs, Numbers<uint32_t>(inputs)},
                                 {kGraphOutputs, Numbers<uint32_t>(outputs)},
                                 {kGraphNodes, Numbers<uint32_t>(UpTo(nodes.size()))},
                                 {kGraphTensors, Numbers<uint32_t>(UpTo(tensors.size()))}});
  const Reference meta = Table({{kMetaName, Text(manifest_.name)},
                                {kVersion, Text("innlite")},
                                {kMetaInputs, Numbers<uint32_t>(inputs)},
                                {kMetaOutputs, Numbers<uint32_t>(outputs)},
                                {kMetaNodes, Offsets(nodes)},
                                {kMetaTensors, Offsets(tensors)},
                                {kSubGraph, Offsets({graph})}},
                               {{kFramework, kFrameworkOnnx}});
  builder_.Finish(meta, kFileIdentifier);
  return builder_.Release();
}

}  // namespace

ModelBytes PackModel(const Manifest &manifest, const Widths &widths, const std::function<Tensor(int64_t)> &weight) {
  const Wide size = SizeAtMost(manifest, widths);
  if (size > kMaxBytes) {
    const auto megabytes = [](Wide bytes) { return Grouped((bytes + 500000) / 1000000) + " MB"; };
    throw UsageError(manifest.name + ": a .ms file holds at most " + megabytes(kMaxBytes) +
                     ", this one would take " + megabytes(size) + ": choose a smaller size");
  }
  return Packer(manifest, widths, static_cast<size_t>(size)).Pack(weight);
}

}  // namespace inn
