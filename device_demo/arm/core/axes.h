// Continuous axes: where an axis is sampled, how, and how a consumer integrates over the samples.
//
// A channel group of N channels is one continuous axis on [0, N-1]. Width n samples it at n nodes: S (n, N)
// maps the control grid to the samples, B (N, n) is the quadrature with full input ≈ B · sampled input, so
// that a layer resizes as W' = S_out · W · B_in.
#ifndef INN_AXES_H_
#define INN_AXES_H_

#include <vector>

#include "manifest.h"

namespace inn {

// Where an axis is sampled: a width, for the nodes and weights of the axis's own rule, or, where `nodes` is
// not empty, at nodes of a grid, which have their own weights in the quadrature.
struct At {
  int64_t width;
  std::vector<double> nodes, weights;

  bool IsGrid() const { return !nodes.empty(); }
};

// A sparse matrix: column j has `taps` entries, number t in row points[t · width + j]. Entries of one column
// may share a row; they add up.
struct Taps {
  int taps;
  int64_t width;
  std::vector<int64_t> points;
  std::vector<double> factors;
};

// Positions of the nodes on [0, N-1].
std::vector<double> Nodes(const Axis &axis, const At &at);

// Sᵀ (N, n). Taps beyond the border read the border's value.
Taps SamplingTaps(const Axis &axis, const At &at);

// Weight of each node, (n,). Trapezoid: nodes h apart weigh h · (1/2, 1, …, 1, 1/2).
std::vector<double> QuadratureWeights(const Axis &axis, const At &at);

// B0 (N, n), the quadrature where nothing is known about the data: diag(1/q_N) · Sᵀ · diag(q_n).
Taps PriorTaps(const Axis &axis, const At &at);

}  // namespace inn

#endif  // INN_AXES_H_
