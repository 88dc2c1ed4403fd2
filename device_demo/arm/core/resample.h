// Resampling a weight: W' = S_out · W · B_in.
#ifndef INN_RESAMPLE_H_
#define INN_RESAMPLE_H_

#include <functional>
#include <map>

#include "axes.h"
#include "bundle.h"

namespace inn {

// One size of a network.
struct Discretisation {
  std::vector<Axis> axes;  // of every channel group, and its width
  Widths widths;
  std::map<int64_t, At> grids;  // nodes and weights that a group has of its own
  // The calibrated correction B - B0 (N, n) of a quadrature, or no values where the rule B0 applies.
  std::function<Tensor(int64_t)> table;

  At Place(int64_t group) const;
};

// A weight at a size; `dims` gives the structure of each of its dimensions.
Tensor Resize(Tensor weight, const std::vector<Dimension> &dims, const Discretisation &discretisation);

}  // namespace inn

#endif  // INN_RESAMPLE_H_
