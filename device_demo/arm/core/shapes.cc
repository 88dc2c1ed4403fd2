#include "shapes.h"

#include <algorithm>
#include <iterator>

#include "shape_checks.h"

namespace inn {

namespace {

constexpr size_t kMaxTransposed = 6;  // dimensions that the engine can turn; it crashes at 8
constexpr Wide kLstmWidth = 8;
constexpr Wide kAlignCorners = 1;

using Rule = WideShape (*)(const Operands &);

WideShape Same(const Operands &node) { return node.shapes[0]; }

WideShape SameImage(const Operands &node) { return Image(node); }

WideShape Softmax(const Operands &node) {
  Axis(node.attributes.at("axis")[0], node.shapes[0].size());
  return node.shapes[0];
}

WideShape Broadcast(const Operands &node) {
  const WideShape &first = node.shapes[0], &second = node.shapes[1];
  const size_t rank = std::max(first.size(), second.size());
  WideShape a(rank - first.size(), 1), b(rank - second.size(), 1), result;
  a.insert(a.end(), first.begin(), first.end());
  b.insert(b.end(), second.begin(), second.end());
  bool good = true;
  for (size_t d = 0; d < rank; d++) {
    good = good && (a[d] == b[d] || a[d] == 1 || b[d] == 1);
    result.push_back(std::max(a[d], b[d]));
  }
  Expect("input 1", "a shape like " + ListOf(first), ListOf(second), good);
  return result;
}

// The engine gives it the first input's shape, whatever the second is.
WideShape Power(const Operands &node) {
  ExpectEqual("input 1, broadcast", node.shapes[0], Broadcast(node));
  return node.shapes[0];
}

WideShape Concat(const Operands &node) {
  const WideShape &first = NotScalar(node);
  const size_t axis = Axis(node.attributes.at("axis")[0], first.size());
  WideShape result = first;
  result[axis] = 0;
  for (size_t i = 0; i < node.shapes.size(); i++) {
    const WideShape &shape = node.shapes[i];
    WideShape expected = first;
    if (axis < shape.size()) {
      expected[axis] = shape[axis];
    } else {
      expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(axis));
    }
    ExpectEqual(Input(i), expected, shape);
    result[axis] += shape[axis];
  }
  return result;
}

WideShape Flatten(const Operands &node) {
  const WideShape &shape = NotScalar(node);
  return {shape[0], Product({shape.begin() + 1, shape.end()})};
}

WideShape Gather(const Operands &node) {
  WideShape shape = node.shapes[0];
  const WideShape &indices = Numbers(node, 1), &axes = Numbers(node, 2);
  Expect("axis", "1 number", ListOf(axes), axes.size() == 1);
  const size_t axis = Axis(axes[0], shape.size());
  Expect("indices", "1 or more", "0", !indices.empty());
  for (const Wide index : indices) {
    Expect("index", "0 to " + Decimal(shape[axis] - 1), Decimal(index), 0 <= index && index < shape[axis]);
  }
  shape[axis] = static_cast<Wide>(indices.size());
  return shape;
}

// (…, m, k) times (k, n) or (n, k), or as many of these; plus n.
WideShape MatMul(const Operands &node) {
  const WideShape &first = node.shapes[0], &second = node.shapes[1];
  Expect("input 0", "2 dimensions or more", ListOf(first), first.size() > 1);
  const bool turned = node.attributes.at("transpose_b")[0] != 0;
  const Wide outputs = second.size() > 1 ? second[second.size() - (turned ? 2 : 1)] : 1;
  WideShape expected(first.begin(), second.size() == 2 ? first.begin() : first.end() - 2), result = first;
  expected.push_back(turned ? outputs : first.back());
  expected.push_back(turned ? first.back() : outputs);
  ExpectEqual("input 1", expected, second);
  if (node.shapes.size() > 2) ExpectEqual("bias", WideShape{outputs}, node.shapes[2]);
  result.back() = outputs;
  return result;
}

WideShape LayerNorm(const Operands &node) {
  const WideShape &shape = NotScalar(node);
  for (size_t i = 1; i < node.shapes.size(); i++) ExpectEqual(Input(i), WideShape{shape.back()}, node.shapes[i]);
  return shape;
}

WideShape InstanceNorm(const Operands &node) {
  Image(node);
  return LayerNorm(node);
}

WideShape PRelu(const Operands &node) {
  const WideShape &shape = NotScalar(node), &slope = node.shapes[1];
  const Wide count = node.attributes.at("channel_shared")[0] != 0 ? 1 : shape.back();
  Expect("slope", Decimal(count) + " values", ListOf(slope),
         !slope.empty() && slope[0] == count && BoundedProduct(slope) == count);
  return shape;
}

WideShape Pad(const Operands &node) {
  WideShape shape = node.shapes[0];
  const WideShape &pads = node.integers[1];
  ExpectEqual("pads", WideShape{static_cast<Wide>(shape.size()), 2}, node.shapes[1]);
  for (size_t d = 0; d < shape.size(); d++) {
    const Wide before = pads[2 * d], after = pads[2 * d + 1];
    const Wide most = node.attributes.at("padding_mode")[0] != 0 ? shape[d] - 1 : kMaxElements;
    Expect("pads", "0 to " + Decimal(most), ListOf({before, after}),
           0 <= before && before <= most && 0 <= after && after <= most);
    shape[d] += before + after;
  }
  return shape;
}

WideShape Reduce(const Operands &node) {
  WideShape shape = node.shapes[0];
  const WideShape &axes = Numbers(node, 1);
  ExpectAxes(axes, shape.size(), !axes.empty());
  for (const Wide axis : axes) shape[static_cast<size_t>(axis)] = 1;
  return shape;
}

WideShape Reshape(const Operands &node) {
  WideShape wanted = Numbers(node, 1);
  Expect("shape", "at most " + std::to_string(kMaxRank) + " dimensions", std::to_string(wanted.size()),
         wanted.size() <= kMaxRank);
  const auto open = std::count(wanted.begin(), wanted.end(), Wide{-1});
  const bool good = std::all_of(wanted.begin(), wanted.end(), [](Wide n) { return n > 0 || n == -1; }) && open <= 1;
  Expect("shape", "lengths from 1, and -1 at most once", ListOf(wanted), good);
  WideShape lengths;
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(lengths), [](Wide n) { return n > 0; });
  const Wide count = Product(node.shapes[0]), known = BoundedProduct(lengths);
  Expect("shape", "a shape of " + Decimal(count) + " elements", ListOf(wanted),
         open ? count % known == 0 : count == known);
  std::replace(wanted.begin(), wanted.end(), Wide{-1}, count / known);
  return wanted;
}

WideShape Resize(const Operands &node) {
  WideShape shape = Image(node);
  const WideShape &sizes = Numbers(node, 1);
  const bool good = sizes.size() == 2 && std::all_of(sizes.begin(), sizes.end(), [](Wide size) {
                      return 0 < size && size <= kMaxElements;
                    });
  Expect("sizes", "a height and a width", ListOf(sizes), good);
  const bool corners = node.attributes.at("coordinate_transform_mode")[0] == kAlignCorners;
  Expect("sizes", "2 or more, with aligned corners", ListOf(sizes), !corners || std::min(sizes[0], sizes[1]) > 1);
  shape[1] = sizes[0];
  shape[2] = sizes[1];
  return shape;
}

WideShape DepthToSpace(const Operands &node) {
  const WideShape &shape = Image(node);
  const Wide block = node.attributes.at("block_size")[0], area = block * block;
  Expect("input 0", "channels in blocks of " + Decimal(area), Decimal(shape[3]), shape[3] % area == 0);
  return {shape[0], shape[1] * block, shape[2] * block, shape[3] / area};
}

WideShape SpaceToDepth(const Operands &node) {
  const WideShape &shape = Image(node);
  const Wide block = node.attributes.at("block_size")[0];
  Expect("input 0", "multiples of " + Decimal(block), ListOf({shape[1], shape[2]}),
         shape[1] % block == 0 && shape[2] % block == 0);
  return {shape[0], shape[1] / block, shape[2] / block, shape[3] * block * block};
}

WideShape Slice(const Operands &node) {
  WideShape shape = node.shapes[0];
  const WideShape &begins = Numbers(node, 1), &ends = Numbers(node, 2), &axes = Numbers(node, 3),
                  &strides = Numbers(node, 4);
  WideShape counts;
  for (const auto *values : {&begins, &ends, &axes, &strides}) counts.push_back(static_cast<Wide>(values->size()));
  Expect("begin, end, axes, strides", "equally many", ListOf(counts),
         counts[0] > 0 && std::count(counts.begin(), counts.end(), counts[0]) == 4);
  ExpectAxes(axes, shape.size(), true);
  for (size_t i = 0; i < axes.size(); i++) {
    Wide &length = shape[static_cast<size_t>(axes[i])];
    Expect("begin and end", "a part of 0 to " + Decimal(length), ListOf({begins[i], ends[i]}),
           0 <= begins[i] && begins[i] < ends[i] && ends[i] <= length);
    Expect("stride", "1 to " + Decimal(length), Decimal(strides[i]), 0 < strides[i] && strides[i] <= length);
    length = RoundedUp(ends[i] - begins[i], strides[i]);
  }
  return shape;
}

WideShape Transpose(const Operands &node) {
  const WideShape &shape = node.shapes[0], &order = Numbers(node, 1);
  WideShape sorted = order, all, result;
  std::sort(sorted.begin(), sorted.end());
  for (size_t d = 0; d < shape.size(); d++) all.push_back(static_cast<Wide>(d));
  Expect("order", "each of 0 to " + Decimal(static_cast<Wide>(shape.size()) - 1) + " once", ListOf(order),
         sorted == all);
  Expect("input 0", "at most " + std::to_string(kMaxTransposed) + " dimensions", std::to_string(shape.size()),
         shape.size() <= kMaxTransposed);
  for (const Wide axis : order) result.push_back(shape[static_cast<size_t>(axis)]);
  return result;
}

// (steps, batch, I), W (1, 4 H, I), R (1, 4 H, H), biases (1, 8 H), two states (1, batch, H). The engine's is
// wrong, or crashes, where H is no multiple of 8.
WideShape Lstm(const Operands &node) {
  const WideShape &shape = node.shapes[0];
  Expect("input 0", "3 dimensions", ListOf(shape), shape.size() == 3);
  const Wide inputs = shape[2], width = node.attributes.at("hidden_size")[0];
  Expect("hidden_size", "a multiple of " + Decimal(kLstmWidth), Decimal(width), width % kLstmWidth == 0);
  const Wide declared = node.attributes.at("input_size")[0];
  Expect("input_size", Decimal(inputs), Decimal(declared), declared == inputs);
  const WideShape state = {1, shape[1], width};
  const std::vector<WideShape> expected = {
      {1, 4 * width, inputs}, {1, 4 * width, width}, {1, 8 * width}, state, state};
  for (size_t i = 0; i < expected.size(); i++) ExpectEqual(Input(i + 1), expected[i], node.shapes[i + 1]);
  return {shape[0], shape[1], width};
}

const std::map<std::string, Rule> kShapeRules = {
    {"same", Same},
    {"image", SameImage},
    {"softmax", Softmax},
    {"broadcast", Broadcast},
    {"power", Power},
    {"concat", Concat},
    {"flatten", Flatten},
    {"gather", Gather},
    {"matmul", MatMul},
    {"layer_norm", LayerNorm},
    {"instance_norm", InstanceNorm},
    {"prelu", PRelu},
    {"pad", Pad},
    {"reduce", Reduce},
    {"reshape", Reshape},
    {"resize", Resize},
    {"depth_to_space", DepthToSpace},
    {"space_to_depth", SpaceToDepth},
    {"slice", Slice},
    {"transpose", Transpose},
    {"convolution", Convolution},
    {"deconvolution", Deconvolution},
    {"pool", Pool},
    {"lstm", Lstm},
};

}  // namespace

std::vector<WideShape> ShapesOf(const std::string &rule, const Operands &node) {
  const WideShape first = kShapeRules.at(rule)(node);
  if (rule != "lstm") return {first};
  const WideShape state = {1, first[1], first[2]};  // what has several outputs gives its states behind the first
  return {first, state, state};
}

std::string ListOf(const WideShape &shape) {
  std::vector<std::string> sizes;
  for (const Wide size : shape) sizes.push_back(Decimal(size));
  return "[" + Join(sizes, ", ") + "]";
}

}  // namespace inn
