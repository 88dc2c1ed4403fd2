#include "resample.h"

#include <Eigen/Core>
#include <algorithm>
#include <utility>

namespace inn {

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Strided = Eigen::OuterStride<>;

// What happens to a segment: nothing, the first n are kept, n are sums of some of the N, or a product with a
// matrix (N, n). A matrix is as large as a table of the bundle, never as large as N and n may be.
struct Operation {
  enum Kind { kNothing, kKeep, kSum, kMultiply } kind = kNothing;
  int64_t width = 0;
  Taps taps{};
  Matrix matrix{};
};

// B = B0 + table.
Matrix Calibrated(const Axis &axis, const At &at, const Tensor &table) {
  Matrix matrix = Eigen::Map<const Matrix>(table.values.data(), table.shape[0], table.shape[1]);
  const Taps prior = PriorTaps(axis, at);
  for (size_t i = 0; i < prior.points.size(); i++) {
    matrix(prior.points[i], i % prior.width) += static_cast<float>(prior.factors[i]);
  }
  return matrix;
}

Operation OperationOf(const Segment &segment, const Discretisation &discretisation) {
  Operation operation;
  if (!segment.group) return operation;
  const Axis &axis = discretisation.axes[*segment.group];
  const At at = discretisation.Place(*segment.group);
  operation.width = at.width;
  if (segment.quadrature) {
    const Tensor table = discretisation.table(*segment.quadrature);
    if (!table.values.empty()) {
      operation.kind = Operation::kMultiply;
      operation.matrix = Calibrated(axis, at, table);
      return operation;
    }
  }
  if (!at.IsGrid() && at.width == axis.size) return operation;
  const bool plain = !segment.quadrature || axis.quadrature == Rule::kNone;
  if (!at.IsGrid() && axis.kernel == Kernel::kSelection && plain) {
    operation.kind = Operation::kKeep;
  } else {
    operation.kind = Operation::kSum;
    operation.taps = segment.quadrature ? PriorTaps(axis, at) : SamplingTaps(axis, at);
  }
  return operation;
}

// Where a segment lies in a weight of which one dimension is resized: `leads` stretches in the source,
// `source_step` floats apart, become as many in the target. Each is `outer` blocks of (N, rest) floats.
struct Stretch {
  const float *source;
  float *target;
  int64_t leads, source_step, target_step, outer, rest;
};

void Sum(const Taps &taps, const float *source, float *target, int64_t rest) {
  std::fill_n(target, taps.width * rest, 0.0f);
  for (size_t i = 0; i < taps.points.size(); i++) {
    const auto factor = static_cast<float>(taps.factors[i]);
    const float *from = source + taps.points[i] * rest;
    float *to = target + static_cast<int64_t>(i % taps.width) * rest;
    for (int64_t k = 0; k < rest; k++) to[k] += from[k] * factor;
  }
}

// One block (N, 1) of every lead at once: (leads, N) · (N, n).
void MultiplyRows(const Matrix &matrix, const Stretch &stretch) {
  for (int64_t o = 0; o < stretch.outer; o++) {
    const Eigen::Map<const Matrix, 0, Strided> source(stretch.source + o * matrix.rows(), stretch.leads,
                                                      matrix.rows(), Strided(stretch.source_step));
    Eigen::Map<Matrix, 0, Strided> target(stretch.target + o * matrix.cols(), stretch.leads, matrix.cols(),
                                          Strided(stretch.target_step));
    target.noalias() = source * matrix;
  }
}

void Apply(const Operation &operation, int64_t full, const Stretch &stretch) {
  const int64_t rest = stretch.rest;
  const bool changes = operation.kind != Operation::kNothing;
  const int64_t width = changes ? operation.width : full;
  if (operation.kind == Operation::kMultiply && rest == 1) return MultiplyRows(operation.matrix, stretch);
  for (int64_t block = 0; block < stretch.leads * stretch.outer; block++) {
    const int64_t lead = block / stretch.outer, o = block % stretch.outer;
    const float *source = stretch.source + lead * stretch.source_step + o * full * rest;
    float *target = stretch.target + lead * stretch.target_step + o * width * rest;
    if (operation.kind == Operation::kMultiply) {
      Eigen::Map<Matrix>(target, width, rest).noalias() =
          operation.matrix.transpose() * Eigen::Map<const Matrix>(source, full, rest);
    } else if (operation.kind == Operation::kSum) {
      Sum(operation.taps, source, target, rest);
    } else {
      std::copy_n(source, width * rest, target);
    }
  }
}

Tensor ResizeDimension(const Tensor &weight, size_t d, const Dimension &segments,
                       const std::vector<const Operation *> &operations, const Discretisation &discretisation) {
  // Of each segment: its N or fixed length, and what it is resized to.
  const auto outer = [](const Segment &segment) { return segment.group ? segment.outer : 1; };
  const auto inner = [](const Segment &segment) { return segment.group ? segment.inner : 1; };
  std::vector<std::pair<int64_t, int64_t>> lengths;
  int64_t resized = 0;
  for (size_t i = 0; i < segments.size(); i++) {
    const Segment &segment = segments[i];
    const int64_t full = segment.group ? discretisation.axes[*segment.group].size : segment.inner;
    const int64_t width = operations[i]->kind == Operation::kNothing ? full : operations[i]->width;
    lengths.emplace_back(outer(segment) * full * inner(segment), outer(segment) * width * inner(segment));
    resized += lengths.back().second;
  }
  const int64_t leads = CountOf(Shape(weight.shape.begin(), weight.shape.begin() + d));
  const int64_t after = CountOf(Shape(weight.shape.begin() + d + 1, weight.shape.end()));
  Tensor result = {weight.shape, std::vector<float>(leads * resized * after)};
  result.shape[d] = resized;
  const float *source = weight.values.data();
  float *target = result.values.data();
  for (size_t i = 0; i < segments.size(); i++) {
    const Segment &segment = segments[i];
    const Stretch stretch = {source, target, leads, weight.shape[d] * after, resized * after, outer(segment),
                             inner(segment) * after};
    Apply(*operations[i], lengths[i].first / (outer(segment) * inner(segment)), stretch);
    source += lengths[i].first * after;
    target += lengths[i].second * after;
  }
  return result;
}

}  // namespace

At Discretisation::Place(int64_t group) const {
  const auto grid = grids.find(group);
  return grid == grids.end() ? At{widths[group], {}, {}} : grid->second;
}

Tensor Resize(Tensor weight, const std::vector<Dimension> &dims, const Discretisation &discretisation) {
  // Sampled dimensions first: they shrink the tensor before the matrix products of the others.
  std::vector<size_t> order;
  for (const bool integrated : {false, true}) {
    for (size_t d = 0; d < dims.size(); d++) {
      const bool has = std::any_of(dims[d].begin(), dims[d].end(), [](const Segment &s) { return s.quadrature; });
      if (has == integrated) order.push_back(d);
    }
  }
  // Segments of one group and quadrature share their operation.
  std::map<std::pair<std::optional<int64_t>, std::optional<int64_t>>, Operation> operations;
  for (const size_t d : order) {
    std::vector<const Operation *> used;
    bool changes = false;
    for (const auto &segment : dims[d]) {
      const std::pair key(segment.group, segment.quadrature);
      if (!operations.count(key)) operations[key] = OperationOf(segment, discretisation);
      used.push_back(&operations[key]);
      changes |= used.back()->kind != Operation::kNothing;
    }
    if (changes) weight = ResizeDimension(weight, d, dims[d], used, discretisation);
  }
  return weight;
}

}  // namespace inn
