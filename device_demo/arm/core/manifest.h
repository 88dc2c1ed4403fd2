// The bundle's manifest (docs/reference/bundle-format.md); manifest_parser.h reads it.
#ifndef INN_MANIFEST_H_
#define INN_MANIFEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text.h"

namespace inn {

using Widths = std::vector<int64_t>;

// One summand of an expression: coefficient · Π width(group).
struct Term {
  int64_t coefficient;
  std::vector<int64_t> groups;
};

using Expression = std::vector<Term>;

// Value of an expression. Each term is cut off at ±2^100, far beyond what any use of it can take.
Wide Evaluate(const Expression &expression, const Widths &widths);

enum class Kernel { kSelection, kNearest, kLinear, kCubic };
enum class Rule { kNone, kTrapezoid };

// Names as in the manifest, in the order of the enumerations.
extern const std::vector<std::string> kKernels, kRules;

// One channel group's continuous axis.
struct Axis {
  int64_t size;  // N, the number of control points
  Kernel kernel;
  Rule quadrature;
  double a;  // of the cubic kernel
};

struct Group {
  std::string name;
  Axis axis;
  std::vector<std::string> members;
};

// A stretch of one weight dimension, of length outer · width(group) · inner, or inner without a group. One
// with a quadrature is integrated over; one without is sampled.
struct Segment {
  std::optional<int64_t> group;
  int64_t outer, inner;
  std::optional<int64_t> quadrature;

  Wide Length(const Widths &widths) const;
};

using Dimension = std::vector<Segment>;

// A weight tensor of the lowered graph; its control grid is the bundle tensor weight/NAME.
struct Weight {
  std::string name;
  std::vector<Dimension> dims;

  WideShape ShapeAt(const Widths &widths) const;
};

// A tensor of the lowered graph: a weight, an int32 constant, or a variable.
struct GraphTensor {
  std::string name;
  std::optional<int64_t> weight;
  std::optional<std::vector<Expression>> values;
  Shape shape;  // of the constant, or what is known of the variable's
};

struct Attribute {
  int64_t slot;
  std::string type;
  std::variant<bool, double, std::string, Expression, std::vector<Expression>, std::vector<double>> value;
};

struct GraphNode {
  std::string name;
  int64_t primitive;
  std::vector<Attribute> attributes;
  std::vector<int64_t> inputs, outputs;
};

// An input or output of the network, in the source model's layout (NCHW), at batch 1.
struct Port {
  std::string name;
  int64_t tensor;
  Shape shape;

  Shape EngineShape() const;  // four dimensions are NHWC there
};

// The one of this name, or null.
const Port *FindPort(const std::vector<Port> &ports, const std::string &name);

// Names of bundle tensors by what they belong to, in the manifest's order.
template <typename Key>
using References = std::vector<std::pair<Key, std::string>>;

// A size for which the bundle holds calibrated data, and its measured place on the curve.
struct Size {
  double size;
  Widths widths;
  References<int64_t> tables, overrides, corrections, grids;  // by quadrature, weight, weight, group
  std::vector<std::pair<std::string, double>> measured;
  References<std::string> check;  // by output

  // Whether it has data of its own.
  bool IsCalibrated() const;
};

struct Quadrature {
  std::string name;
  int64_t group;
};

struct Manifest {
  std::string name;
  References<std::string> producer;
  std::vector<Port> inputs, outputs;
  std::vector<std::string> labels;
  std::vector<Group> groups;
  std::vector<Quadrature> quadratures;
  std::vector<Weight> weights;
  std::vector<GraphTensor> tensors;
  std::vector<GraphNode> nodes;
  Expression macs;
  bool one_image;
  double source_difference;  // of the full size from the source file, relative
  int64_t align;
  std::string schedule;
  std::vector<Size> sizes;
  std::vector<std::pair<std::string, double>> presets;
  std::optional<int64_t> images;  // that the curve was measured on
  std::optional<double> safe_from;
  int64_t check_seed;
  References<std::string> digests;

  Widths FullWidths() const;
  // Whether only the sizes listed can be built: they have data of their own.
  bool IsCalibrated() const;
};

// What belongs to `key`, or null.
template <typename Key>
const std::string *Lookup(const References<Key> &references, const Key &key) {
  for (const auto &[candidate, name] : references) {
    if (candidate == key) return &name;
  }
  return nullptr;
}

}  // namespace inn

#endif  // INN_MANIFEST_H_
