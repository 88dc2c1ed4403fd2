#include "manifest_parser.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "error.h"
#include "field.h"
#include "primitives.h"

namespace inn {

namespace {

// Limits that no real network comes near; they bound what a hostile file can make the loader allocate.
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxLength = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxGraphElements = 1 << 27;
constexpr int64_t kMaxCoefficient = int64_t{1} << 31;
constexpr size_t kMaxFactors = 8, kMaxSizes = 256, kMaxDimensions = 8;
constexpr size_t kDigestLength = 32;

constexpr double kCubicA = -0.75;
constexpr double kSmallest = 1e-6;

// Bits without the sign of what an expression's value is stored in.
constexpr int kInt8 = 7, kInt32 = 31, kInt64 = 63;

const std::vector<std::string> kAttributeTypes = {"bool", "byte", "int", "long", "float", "longs", "floats", "string"};
const std::vector<std::string> kSchedules = {"uniform", "flops", "params", "latency"};

Shape ParseShape(const Field &value, int64_t least = 1) {
  const auto entries = value.List();
  if (entries.size() > kMaxDimensions) throw value.Fail("at most 8 dimensions");
  Shape shape;
  Wide count = 1;
  for (const auto &entry : entries) {
    shape.push_back(entry.Integer(least, kMaxLength));
    count = std::min(count, Wide{1} << 90) * shape.back();  // of 8 entries: no overflow, and a zero stays one
  }
  if (count > kMaxGraphElements) throw value.Fail("at most " + std::to_string(kMaxGraphElements) + " elements");
  return shape;
}

int64_t Count(const Shape &shape) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

// The number that a member's key is. It must be spelt as usual: "00" would be "0" a second time.
int64_t Index(const std::string &key, const Field &value, size_t count) {
  const bool digits = !key.empty() && key.size() <= 9 && key.find_first_not_of("0123456789") == key.npos;
  const int64_t index = digits && (key[0] != '0' || key == "0") ? std::stoll(key) : -1;
  if (index < 0 || index >= static_cast<int64_t>(count)) {
    throw value.Refusal(": expected a key below " + std::to_string(count) + ", found " + Shown(key));
  }
  return index;
}

References<int64_t> ParseReferences(const Field &value, size_t count) {
  References<int64_t> result;
  value.ForEachMember([&](const std::string &key, const Field &field) {
    const int64_t index = Index(key, field, count);
    result.emplace_back(index, field.Text());
  });
  return result;
}

References<std::string> ParseTexts(const Field &value) {
  References<std::string> result;
  value.ForEachMember([&](const std::string &key, const Field &field) { result.emplace_back(key, field.Text()); });
  return result;
}

References<std::string> ParseDigests(const Field &value) {
  References<std::string> result;
  value.ForEachMember([&](const std::string &key, const Field &field) {
    const std::string digest = field.Text();
    if (digest.size() != kDigestLength || digest.find_first_not_of("0123456789abcdef") != digest.npos) {
      throw field.Fail(std::to_string(kDigestLength) + " hexadecimal digits");
    }
    result.emplace_back(key, digest);
  });
  return result;
}

std::vector<std::pair<std::string, double>> ParseNumbers(const Field &value, double low, double high) {
  std::vector<std::pair<std::string, double>> result;
  value.ForEachMember([&](const std::string &key, const Field &field) {
    result.emplace_back(key, field.Number(low, high));
  });
  return result;
}

// Reads the manifest's parts into `manifest`, in an order in which each refers to earlier ones.
class Parser {
 public:
  Parser(const Json &document, const std::string &source) : root_(&document, "manifest", &source), source_(source) {}

  Manifest Parse();

 private:
  Field root_;
  const std::string &source_;
  Manifest manifest_;
  Widths full_widths_;

  Expression ParseExpression(const Field &value, int bits) const;
  Term ParseTerm(const Field &value) const;
  std::vector<Expression> ParseExpressions(const Field &value, int bits) const;
  Group ParseGroup(const Field &value) const;
  Quadrature ParseQuadrature(const Field &value) const;
  Segment ParseSegment(const Field &value) const;
  Weight ParseWeight(const Field &value) const;
  GraphTensor ParseTensor(const Field &value) const;
  Attribute ParseAttribute(const Field &value) const;
  GraphNode ParseNode(const Field &value) const;
  Port ParsePort(const Field &value) const;
  Port ParseInput(const Field &value) const;
  Size ParseSize(const Field &value) const;
  void ParseSizes();
  void ParseCurve(const Field &value);
  void CheckGraph() const;

  int64_t LastGroup() const { return static_cast<int64_t>(group_count_) - 1; }
  size_t group_count_ = 0, quadrature_count_ = 0, weight_count_ = 0, tensor_count_ = 0;
};

template <typename Named>
void CheckUnique(const std::vector<Named> &entries, const Field &value) {
  std::unordered_set<std::string> seen;
  for (const auto &entry : entries) {
    if (!seen.insert(entry.name).second) throw value.Refusal(": the name " + Quoted(entry.name) + " occurs twice");
  }
}

// An expression whose value has at most `bits` bits at any width.
Expression Parser::ParseExpression(const Field &value, int bits) const {
  Expression expression, negative, positive;
  if (value.value().kind == Json::kInteger || value.value().kind == Json::kBigInteger) {
    expression.push_back({value.Integer(-kMaxCoefficient, kMaxCoefficient), {}});
  } else {
    for (const auto &term : value.List()) expression.push_back(ParseTerm(term));
  }
  // Widths are at most full: the terms of one sign, at full widths, are the extremes.
  for (const auto &term : expression) (term.coefficient < 0 ? negative : positive).push_back(term);
  const Wide limit = Wide{1} << bits;
  if (Evaluate(negative, full_widths_) < -limit || Evaluate(positive, full_widths_) >= limit) {
    throw value.Fail("an expression whose value fits " + std::to_string(bits + 1) + " bits at every width");
  }
  return expression;
}

Term Parser::ParseTerm(const Field &value) const {
  const auto entries = value.NonEmptyList();
  if (entries.size() - 1 > kMaxFactors) throw value.Fail("at most " + std::to_string(kMaxFactors) + " factors");
  Term term = {entries[0].Integer(-kMaxCoefficient, kMaxCoefficient), {}};
  for (size_t i = 1; i < entries.size(); i++) term.groups.push_back(entries[i].Integer(0, LastGroup()));
  return term;
}

std::vector<Expression> Parser::ParseExpressions(const Field &value, int bits) const {
  std::vector<Expression> result;
  for (const auto &entry : value.List()) result.push_back(ParseExpression(entry, bits));
  return result;
}

Group Parser::ParseGroup(const Field &value) const {
  Axis axis;
  axis.size = value["size"].Integer(1, kMaxWidth);
  axis.kernel = static_cast<Kernel>(value["kernel"].Choice(kKernels));
  axis.quadrature = static_cast<Rule>(value["quadrature"].Choice(kRules));
  const auto a = value.Get("a");
  axis.a = a ? a->Number(-4.0, 4.0) : kCubicA;
  std::vector<std::string> members;
  for (const auto &member : value["members"].List()) members.push_back(member.Text());
  return {value["name"].Text(), axis, std::move(members)};
}

Quadrature Parser::ParseQuadrature(const Field &value) const {
  const std::string name = value["name"].Text();
  return {name, value["group"].Integer(0, LastGroup())};
}

Segment Parser::ParseSegment(const Field &value) const {
  const auto group = value.Get("group"), quadrature = value.Get("quadrature");
  Segment segment = {{}, 1, 1, {}};
  if (group) segment.group = group->Integer(0, LastGroup());
  if (const auto outer = value.Get("outer")) segment.outer = outer->Integer(1, kMaxWidth);
  if (const auto inner = value.Get("inner")) segment.inner = inner->Integer(1, kMaxLength);
  if (quadrature) segment.quadrature = quadrature->Integer(0, static_cast<int64_t>(quadrature_count_) - 1);
  if (segment.quadrature && manifest_.quadratures[*segment.quadrature].group != segment.group) {
    throw value.Fail("a quadrature over the segment's own group");
  }
  return segment;
}

Weight Parser::ParseWeight(const Field &value) const {
  std::vector<Dimension> dims;
  for (const auto &dimension : value["dims"].List()) {
    dims.emplace_back();
    for (const auto &segment : dimension.NonEmptyList()) dims.back().push_back(ParseSegment(segment));
  }
  if (dims.size() > kMaxDimensions) throw value["dims"].Fail("at most 8 dimensions");
  return {value["name"].Text(), std::move(dims)};
}

GraphTensor Parser::ParseTensor(const Field &value) const {
  GraphTensor tensor = {value["name"].Text(), {}, {}, {}};
  if (const auto weight = value.Get("weight")) {
    tensor.weight = weight->Integer(0, static_cast<int64_t>(weight_count_) - 1);
  } else if (const auto values = value.Get("values")) {
    tensor.values = ParseExpressions(*values, kInt32);
    tensor.shape = ParseShape(value["shape"], 0);
    if (Count(tensor.shape) != static_cast<int64_t>(tensor.values->size())) {
      throw value["shape"].Fail("a shape of " + std::to_string(tensor.values->size()) + " elements");
    }
  } else if (const auto dims = value.Get("dims")) {
    tensor.shape = ParseShape(*dims);
  }
  return tensor;
}

Attribute Parser::ParseAttribute(const Field &value) const {
  const auto entries = value.List(3);
  const Field &content = entries[2];
  Attribute attribute = {0, kAttributeTypes[entries[1].Choice(kAttributeTypes)], false};
  const std::string &type = attribute.type;
  if (type == "bool") {
    attribute.value = content.Boolean();
  } else if (type == "float") {
    attribute.value = content.Number();
  } else if (type == "string") {
    attribute.value = content.Text();
  } else if (type == "floats") {
    std::vector<double> numbers;
    for (const auto &entry : content.List()) numbers.push_back(entry.Number());
    attribute.value = std::move(numbers);
  } else if (type == "longs") {
    attribute.value = ParseExpressions(content, kInt64);
  } else {
    attribute.value = ParseExpression(content, type == "byte" ? kInt8 : type == "int" ? kInt32 : kInt64);
  }
  attribute.slot = entries[0].Integer(0, 255);
  return attribute;
}

GraphNode Parser::ParseNode(const Field &value) const {
  GraphNode node;
  std::set<int64_t> slots;
  for (const auto &attribute : value["attributes"].List()) node.attributes.push_back(ParseAttribute(attribute));
  for (const auto &attribute : node.attributes) slots.insert(attribute.slot);
  if (slots.size() < node.attributes.size()) throw value["attributes"].Fail("attributes in different slots");
  const int64_t last = static_cast<int64_t>(tensor_count_) - 1;
  node.name = value["name"].Text();
  node.primitive = value["primitive"].Integer(1, 255);
  for (const auto &index : value["inputs"].List()) node.inputs.push_back(index.Integer(0, last));
  for (const auto &index : value["outputs"].List()) node.outputs.push_back(index.Integer(0, last));
  return node;
}

Port Parser::ParsePort(const Field &value) const {
  const auto preprocessing = value.Get("preprocessing");
  if (preprocessing && preprocessing->value().kind != Json::kObject) throw preprocessing->Fail("an object");
  Port port;
  port.name = value["name"].Text();
  port.tensor = value["tensor"].Integer(0, static_cast<int64_t>(tensor_count_) - 1);
  port.shape = ParseShape(value["shape"]);
  // The engine knows inputs and outputs by their tensors' names.
  const std::string &name = manifest_.tensors[port.tensor].name;
  if (port.name != name) throw value["name"].Fail("the name of its tensor, " + Quoted(name));
  return port;
}

Port Parser::ParseInput(const Field &value) const {
  Port port = ParsePort(value);
  if (port.shape.empty() || port.shape[0] != 1) throw value["shape"].Fail("a shape with batch 1");
  const GraphTensor &tensor = manifest_.tensors[port.tensor];
  const Shape dims = tensor.weight || tensor.values ? Shape() : tensor.shape;
  if (dims != port.EngineShape()) {
    std::vector<std::string> sizes;
    for (const int64_t size : dims) sizes.push_back(std::to_string(size));
    throw value["shape"].Fail("the shape of its tensor, [" + Join(sizes, ", ") + "] in the engine's layout");
  }
  return port;
}

Size Parser::ParseSize(const Field &value) const {
  Size size;
  const auto widths = value["widths"].List(group_count_);
  for (size_t i = 0; i < widths.size(); i++) size.widths.push_back(widths[i].Integer(1, full_widths_[i]));
  const auto corrections = value.Get("corrections"), grids = value.Get("grids");
  size.size = value["size"].Number(kSmallest, 1.0);
  size.tables = ParseReferences(value["tables"], quadrature_count_);
  size.overrides = ParseReferences(value["overrides"], weight_count_);
  if (corrections) size.corrections = ParseReferences(*corrections, weight_count_);
  if (grids) size.grids = ParseReferences(*grids, group_count_);
  const double infinity = std::numeric_limits<double>::infinity();
  size.measured = ParseNumbers(value["measured"], -infinity, infinity);
  size.check = ParseTexts(value["check"]);
  for (const auto &entry : size.corrections) {
    if (Lookup(size.overrides, entry.first)) throw corrections->Fail("no weight that is overridden");
  }
  return size;
}

void Parser::ParseSizes() {
  const Field value = root_["sizes"];
  const auto entries = value.List();
  if (entries.size() > kMaxSizes) throw value.Fail("at most " + std::to_string(kMaxSizes) + " sizes");
  auto &sizes = manifest_.sizes;
  for (const auto &entry : entries) sizes.push_back(ParseSize(entry));
  const auto not_larger = [](const Size &a, const Size &b) { return a.size >= b.size; };
  const bool increasing = std::adjacent_find(sizes.begin(), sizes.end(), not_larger) == sizes.end();
  if (!increasing || sizes.empty() || sizes.back().size != 1.0) throw value.Fail("increasing sizes that end with 1");
  const Size &full = sizes.back();
  if (full.widths != full_widths_) throw value.Fail("full widths at size 1");
  if (full.IsCalibrated()) throw value.Fail("no tables, overrides, corrections or grids at size 1");
}

void Parser::ParseCurve(const Field &value) {
  if (const auto metrics = value.Get("metrics")) {
    for (const auto &metric : metrics->List()) metric.Text();
  }
  if (const auto count = value.Get("n")) manifest_.images = count->Integer(0, kMaxLength);
  if (const auto safe = value.Get("safe_from")) manifest_.safe_from = safe->Number(kSmallest, 1.0);
}

Manifest Parser::Parse() {
  const int64_t version = root_["format_version"].Integer(1, kMaxLength);
  if (version != kFormatVersion) {
    throw BundleError(source_ + ": bundle format version " + std::to_string(version) + "; this runtime reads version " +
                      std::to_string(kFormatVersion) + ": update innlite or export the bundle again");
  }
  const auto groups = root_["groups"].List();
  group_count_ = groups.size();
  for (const auto &group : groups) manifest_.groups.push_back(ParseGroup(group));
  full_widths_ = manifest_.FullWidths();
  const auto quadratures = root_["quadratures"].List();
  quadrature_count_ = quadratures.size();
  for (const auto &quadrature : quadratures) manifest_.quadratures.push_back(ParseQuadrature(quadrature));
  const auto weights = root_["weights"].List();
  weight_count_ = weights.size();
  for (const auto &weight : weights) manifest_.weights.push_back(ParseWeight(weight));
  const auto tensors = root_["tensors"].List();
  tensor_count_ = tensors.size();
  for (const auto &tensor : tensors) manifest_.tensors.push_back(ParseTensor(tensor));
  CheckUnique(manifest_.weights, root_["weights"]);
  CheckUnique(manifest_.groups, root_["groups"]);
  ParseSizes();
  manifest_.macs = ParseExpression(root_["macs"], kInt64);
  for (const auto &size : manifest_.sizes) {
    if (Evaluate(manifest_.macs, size.widths) < 0) {
      throw root_["macs"].Fail("an expression that is at least 0 at every size");
    }
  }
  manifest_.name = root_["name"].Text();
  manifest_.producer = ParseTexts(root_["producer"]);
  for (const auto &port : root_["inputs"].NonEmptyList()) manifest_.inputs.push_back(ParseInput(port));
  for (const auto &port : root_["outputs"].NonEmptyList()) manifest_.outputs.push_back(ParsePort(port));
  for (const auto &label : root_["labels"].List()) manifest_.labels.push_back(label.Text());
  for (const auto &node : root_["nodes"].List()) manifest_.nodes.push_back(ParseNode(node));
  manifest_.align = root_["align"].Integer(1, kMaxWidth);
  manifest_.one_image = root_.Get("one_image") ? root_["one_image"].Boolean() : false;
  manifest_.schedule = kSchedules[root_["schedule"].Choice(kSchedules)];
  manifest_.presets = ParseNumbers(root_["presets"], kSmallest, 1.0);
  ParseCurve(root_["curve"]);
  manifest_.check_seed = root_["check_seed"].Integer(0, INT64_MAX);
  const auto differs = root_.Get("source_difference");
  manifest_.source_difference = differs ? differs->Number(0.0, 1.0) : 0.0;
  manifest_.digests = ParseDigests(root_["digests"]);
  if (manifest_.schedule != "uniform" && !manifest_.IsCalibrated()) {
    throw root_["schedule"].Fail("uniform, as no size has calibrated data");
  }
  CheckGraph();
  manifest_.one_image = manifest_.one_image || SharesMemory(manifest_);
  return std::move(manifest_);
}

// Every tensor is written once before it is read, and nodes write the outputs.
void Parser::CheckGraph() const {
  enum State : char { kUnknown, kGiven, kWritten };
  std::vector<State> states;
  for (const auto &tensor : manifest_.tensors) states.push_back(tensor.weight || tensor.values ? kGiven : kUnknown);
  for (const auto &port : manifest_.inputs) {
    if (states[port.tensor] != kUnknown) {
      throw BundleError(source_ + ": input " + Quoted(port.name) + ": expected a variable of its own");
    }
    states[port.tensor] = kGiven;
  }
  for (const auto &node : manifest_.nodes) {
    const std::string where = source_ + ": node " + Quoted(node.name);
    if (node.outputs.empty()) throw BundleError(where + ": expected at least one output");
    for (const int64_t index : node.inputs) {
      if (states[index] == kUnknown) {
        throw BundleError(where + " reads tensor " + std::to_string(index) + ", which nothing has written yet");
      }
    }
    for (const int64_t index : node.outputs) {
      if (states[index] != kUnknown) {
        throw BundleError(where + " writes tensor " + std::to_string(index) + " a second time");
      }
      states[index] = kWritten;
    }
  }
  for (const auto *ports : {&manifest_.inputs, &manifest_.outputs}) {
    std::set<std::string> names;
    for (const auto &port : *ports) names.insert(port.name);
    if (names.size() < ports->size()) {
      throw BundleError(source_ + ": expected " + (ports == &manifest_.inputs ? "inputs" : "outputs") +
                        " of different names");
    }
  }
  for (const auto &port : manifest_.outputs) {
    if (states[port.tensor] != kWritten) {
      throw BundleError(source_ + ": output " + Quoted(port.name) + ": no node writes its tensor " +
                        std::to_string(port.tensor));
    }
  }
}

}  // namespace

Manifest ParseManifest(const Json &document, const std::string &source) { return Parser(document, source).Parse(); }

}  // namespace inn
