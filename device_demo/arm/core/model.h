// A network at one size: what it costs, and its .ms bytes.
#ifndef INN_MODEL_H_
#define INN_MODEL_H_

#include <memory>
#include <string>

#include "bundle.h"
#include "ms_writer.h"
#include "plan.h"
#include "resample.h"

namespace inn {

// Cheap to make: weights are sampled when its bytes are asked for.
class Model {
 public:
  // `size` is a preset's name or a number. Throws UsageError.
  Model(std::shared_ptr<const Bundle> bundle, const std::string &size);
  Model(std::shared_ptr<const Bundle> bundle, double size);

  const std::shared_ptr<const Bundle> &bundle() const { return bundle_; }
  const Plan &plan() const { return plan_; }
  double size() const { return plan_.size; }
  // The preset's name, or the size as a number.
  std::string name() const;
  // Whether the measured curve says that this size still stands in for the original network.
  bool IsSafe() const;
  // Number of weights and biases.
  Wide parameters() const;
  // Multiply-accumulates of one image's convolutions and matrix products.
  Wide macs() const;

  // The .ms model; the same bundle, size and machine give the same bytes. Throws BundleError.
  ModelBytes Pack() const;

 private:
  std::shared_ptr<const Bundle> bundle_;
  Plan plan_;

  Discretisation Discretise() const;
  // Throws BundleError where it is not finite.
  Tensor WeightAt(int64_t index, const Discretisation &discretisation) const;
  Tensor Computed(int64_t index, const Discretisation &discretisation) const;
};

}  // namespace inn

#endif  // INN_MODEL_H_
