#include "axes.h"

#include <algorithm>
#include <cmath>

namespace inn {

namespace {

// Cubic convolution kernel at |distance| (Keys 1981).
double Cubic(double distance, double a) {
  const double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? a * (((d - 5) * d + 8) * d - 4) : 0.0;
}

double Linear(double distance) { return std::max(0.0, 1.0 - std::abs(distance)); }

}  // namespace

std::vector<double> Nodes(const Axis &axis, const At &at) {
  if (at.IsGrid()) return at.nodes;
  const double last = static_cast<double>(axis.size - 1);
  if (axis.kernel != Kernel::kSelection && at.width == 1) return {last / 2};
  const double step = axis.kernel == Kernel::kSelection ? 1.0 : last / static_cast<double>(at.width - 1);
  std::vector<double> nodes(at.width);
  for (int64_t j = 0; j < at.width; j++) nodes[j] = static_cast<double>(j) * step;
  if (axis.kernel != Kernel::kSelection) nodes.back() = last;
  return nodes;
}

Taps SamplingTaps(const Axis &axis, const At &at) {
  const auto nodes = Nodes(axis, at);
  const bool one = axis.kernel == Kernel::kSelection || axis.kernel == Kernel::kNearest;
  Taps result = {one ? 1 : 4, static_cast<int64_t>(nodes.size()), {}, {}};
  for (int t = 0; t < result.taps; t++) {
    for (const double node : nodes) {
      const double point = one ? std::floor(node + 0.5) : std::floor(node) + (t - 1);
      const double distance = node - point;
      result.points.push_back(std::clamp<int64_t>(static_cast<int64_t>(point), 0, axis.size - 1));
      result.factors.push_back(one                              ? 1.0
                               : axis.kernel == Kernel::kCubic ? Cubic(distance, axis.a)
                                                                : Linear(distance));
    }
  }
  return result;
}

std::vector<double> QuadratureWeights(const Axis &axis, const At &at) {
  if (at.IsGrid()) return at.weights;
  if (axis.quadrature == Rule::kNone) return std::vector<double>(at.width, 1.0);
  if (at.width == 1) return {static_cast<double>(std::max<int64_t>(1, axis.size - 1))};
  std::vector<double> weights(at.width, static_cast<double>(axis.size - 1) / static_cast<double>(at.width - 1));
  weights.front() /= 2;
  weights.back() /= 2;
  return weights;
}

Taps PriorTaps(const Axis &axis, const At &at) {
  Taps result = SamplingTaps(axis, at);
  const auto full = QuadratureWeights(axis, {axis.size, {}, {}}), weights = QuadratureWeights(axis, at);
  for (size_t i = 0; i < result.points.size(); i++) {
    result.factors[i] = result.factors[i] / full[result.points[i]] * weights[i % result.width];
  }
  return result;
}

}  // namespace inn
