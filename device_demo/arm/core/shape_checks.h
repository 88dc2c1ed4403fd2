// What the shape rules of shapes.cc and window_shapes.cc share.
#ifndef INN_SHAPE_CHECKS_H_
#define INN_SHAPE_CHECKS_H_

#include <algorithm>
#include <set>
#include <string>

#include "shapes.h"

namespace inn {

inline void Expect(const std::string &what, const std::string &expected, const std::string &found, bool good) {
  if (!good) throw Misfit(what + ": expected " + expected + ", found " + found);
}

inline void ExpectEqual(const std::string &what, Wide expected, Wide found) {
  Expect(what, Decimal(expected), Decimal(found), expected == found);
}

inline void ExpectEqual(const std::string &what, const WideShape &expected, const WideShape &found) {
  Expect(what, ListOf(expected), ListOf(found), expected == found);
}

inline std::string Input(size_t position) { return "input " + std::to_string(position); }

inline Wide Product(const WideShape &shape) {  // tensors have been bounded
  Wide count = 1;
  for (const Wide size : shape) count *= size;
  return count;
}

// Of constants, which may be anything: cut off where it could overflow.
inline Wide BoundedProduct(const WideShape &values) {
  Wide count = 1;
  for (const Wide value : values) count = std::min(count * value, Wide{1} << 90);
  return count;
}

inline Wide RoundedUp(Wide value, Wide divisor) { return (value + divisor - 1) / divisor; }

inline const WideShape &Numbers(const Operands &node, size_t position) {
  Expect(Input(position), "a vector", ListOf(node.shapes[position]), node.shapes[position].size() == 1);
  return node.integers[position];
}

inline const WideShape &Image(const Operands &node) {
  Expect("input 0", "4 dimensions", ListOf(node.shapes[0]), node.shapes[0].size() == 4);
  return node.shapes[0];
}

inline const WideShape &NotScalar(const Operands &node) {
  Expect("input 0", "1 dimension or more", ListOf(node.shapes[0]), !node.shapes[0].empty());
  return node.shapes[0];
}

inline size_t Axis(Wide axis, size_t rank) {
  const Wide count = static_cast<Wide>(rank);
  Expect("axis", Decimal(-count) + " to " + Decimal(count - 1), Decimal(axis), -count <= axis && axis < count);
  return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

inline void ExpectAxes(const WideShape &axes, size_t rank, bool some) {
  const std::set<Wide> different(axes.begin(), axes.end());
  const bool within = axes.empty() || (*different.begin() >= 0 && *different.rbegin() < static_cast<Wide>(rank));
  Expect("axes", "different ones, 0 to " + Decimal(static_cast<Wide>(rank) - 1), ListOf(axes),
         some && within && different.size() == axes.size());
}

// In window_shapes.cc.
WideShape Convolution(const Operands &node);
WideShape Deconvolution(const Operands &node);
WideShape Pool(const Operands &node);

}  // namespace inn

#endif  // INN_SHAPE_CHECKS_H_
