#include "manifest.h"

#include <algorithm>

namespace inn {

namespace {

constexpr Wide kMost = Wide{1} << 100;

}  // namespace

const std::vector<std::string> kKernels = {"selection", "nearest", "linear", "cubic"};
const std::vector<std::string> kRules = {"none", "trapezoid"};

Wide Evaluate(const Expression &expression, const Widths &widths) {
  Wide total = 0;
  for (const auto &term : expression) {
    Wide product = term.coefficient;
    for (const int64_t group : term.groups) {
      product = std::clamp(product * widths[group], -kMost, kMost);  // widths have at most 22 bits
    }
    total += product;
  }
  return total;
}

Wide Segment::Length(const Widths &widths) const {
  return group ? Wide{outer} * widths[*group] * inner : Wide{inner};
}

WideShape Weight::ShapeAt(const Widths &widths) const {
  WideShape shape;
  for (const auto &dimension : dims) {
    shape.push_back(0);
    for (const auto &segment : dimension) shape.back() += segment.Length(widths);
  }
  return shape;
}

Shape Port::EngineShape() const {
  if (shape.size() != 4) return shape;
  return {shape[0], shape[2], shape[3], shape[1]};
}

const Port *FindPort(const std::vector<Port> &ports, const std::string &name) {
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const Port &port) { return port.name == name; });
  return found == ports.end() ? nullptr : &*found;
}

Widths Manifest::FullWidths() const {
  Widths widths;
  for (const auto &group : groups) widths.push_back(group.axis.size);
  return widths;
}

bool Size::IsCalibrated() const {
  return !tables.empty() || !overrides.empty() || !corrections.empty() || !grids.empty();
}

bool Manifest::IsCalibrated() const {
  return std::any_of(sizes.begin(), sizes.end(), [](const Size &size) { return size.IsCalibrated(); });
}

}  // namespace inn
