#include "graph_rules.h"

#include <algorithm>
#include <optional>

#include "error.h"
#include "shapes.h"

namespace inn {

namespace {

constexpr size_t kMaxVisits = 1 << 16;

// A shape that the engine can count in 32 bits.
WideShape Bounded(const WideShape &shape, const std::string &where) {
  Wide count = 1;
  bool good = shape.size() <= kMaxRank;
  for (const Wide size : shape) {
    good = good && size <= kMaxElements;
    count = good ? std::min(count * size, kMaxElements + 1) : count;
  }
  if (!good || count > kMaxElements) {
    throw BundleError(where + ": expected a tensor of at most " + std::to_string(kMaxRank) + " dimensions and " +
                      Decimal(kMaxElements) + " elements, found " + ListOf(shape));
  }
  return shape;
}

WideShape WideOf(const Shape &shape) { return WideShape(shape.begin(), shape.end()); }

WideShape ValuesAt(const std::vector<Expression> &values, const Widths &widths) {
  WideShape result;
  for (const auto &value : values) result.push_back(Evaluate(value, widths));
  return result;
}

}  // namespace

GraphRules::GraphRules(const Manifest &manifest, std::string source, const std::set<int64_t> &allowed)
    : manifest_(manifest), source_(std::move(source)) {
  for (const auto &node : manifest.nodes) {
    const std::string where = source_ + ": node " + Quoted(node.name);
    rules_.push_back(RuleOf(node, manifest.tensors, allowed, where));
    if (rules_.back() == nullptr) continue;
    for (const auto &attribute : node.attributes) {
      if (IsFixed(attribute)) ValueAt(*rules_.back()->Find(attribute.slot), attribute, {}, where);
    }
  }
}

void GraphRules::CheckSizes() const {
  size_t checked = 0;
  for (auto size = manifest_.sizes.rbegin(); size != manifest_.sizes.rend(); ++size) {
    if (++checked > 1 && checked * rules_.size() > kMaxVisits) break;
    Check(size->widths);
  }
}

GraphRules::Shapes GraphRules::GivenShapes(const Widths &widths, int64_t batch) const {
  Shapes shapes(manifest_.tensors.size());
  for (size_t i = 0; i < shapes.size(); i++) {
    const GraphTensor &tensor = manifest_.tensors[i];
    if (tensor.weight) shapes[i] = manifest_.weights[*tensor.weight].ShapeAt(widths);
    if (tensor.values) shapes[i] = WideOf(tensor.shape);
  }
  for (const auto &port : manifest_.inputs) {
    WideShape shape = WideOf(port.EngineShape());
    shape[0] = batch;
    shapes[port.tensor] = Bounded(shape, source_ + ": input " + Quoted(port.name));
  }
  return shapes;
}

void GraphRules::Check(const Widths &widths, int64_t batch) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (good_.count({widths, batch})) return;
  Shapes shapes = GivenShapes(widths, batch);
  for (size_t i = 0; i < manifest_.nodes.size(); i++) {
    const Shapes written = ShapesAfter(i, shapes, widths, batch);
    for (size_t o = 0; o < written.size(); o++) {
      const int64_t output = manifest_.nodes[i].outputs[o];
      const auto &shape = written[o];
      const WideShape declared = WideOf(manifest_.tensors[output].shape);
      if (!declared.empty() && batch == 1 && shape && declared != *shape) {
        throw BundleError(source_ + ": node " + Quoted(manifest_.nodes[i].name) + ": output: expected " +
                          ListOf(declared) + ", found " + ListOf(*shape));
      }
      shapes[output] = shape;
    }
  }
  // Of what is resized, outputs say the full size.
  const bool full = batch == 1 && widths == manifest_.FullWidths();
  for (const auto &port : manifest_.outputs) {
    const auto &found = shapes[port.tensor];
    if (full && found && *found != WideOf(port.shape)) {
      throw BundleError(source_ + ": output " + Quoted(port.name) + ": expected " + ListOf(WideOf(port.shape)) +
                        ", found " + ListOf(*found));
    }
  }
  good_.insert({widths, batch});
}

// Of what a node writes; nothing where that is not known, after a primitive without a rule.
GraphRules::Shapes GraphRules::ShapesAfter(size_t index, const Shapes &shapes, const Widths &widths,
                                           int64_t batch) const {
  const GraphNode &node = manifest_.nodes[index];
  const PrimitiveRule *rule = rules_[index];
  Shapes written(node.outputs.size());
  if (rule == nullptr) return written;
  const std::string where = source_ + ": node " + Quoted(node.name);
  Operands operands;
  operands.batched = batch > 1 || !manifest_.one_image;
  for (const auto &attribute : node.attributes) {
    const AttributeRule &wanted = *rule->Find(attribute.slot);
    operands.attributes[wanted.name] = ValueAt(wanted, attribute, widths, where);
  }
  for (const int64_t input : node.inputs) {
    if (!shapes[input]) return written;
    const auto &values = manifest_.tensors[input].values;
    operands.shapes.push_back(*shapes[input]);
    operands.integers.push_back(values ? ValuesAt(*values, widths) : WideShape());
  }
  try {
    const auto found = ShapesOf(rule->shape, operands);
    for (size_t o = 0; o < found.size(); o++) written[o] = Bounded(found[o], where);
    return written;
  } catch (const Misfit &error) {
    throw BundleError(where + ": " + rule->name + ": " + error.what());
  }
}

}  // namespace inn
