// Running a resized network: arrays in the source model's layout, any batch, live resizing.
#ifndef INN_SESSION_H_
#define INN_SESSION_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine.h"
#include "model.h"

namespace inn {

// A resized network in the engine. One call runs at a time; threads may share a session.
class Session {
 public:
  Session(std::shared_ptr<Engine> engine, const Model &model, int threads = 1);

  // Run on inputs by name, laid out as in the source model (NCHW for images), any batch. The outputs in the
  // manifest's order. Throws UsageError: an input is missing or unknown or has the wrong shape; EngineError.
  std::vector<Tensor> Run(const std::map<std::string, Tensor> &inputs, bool allow_nonfinite = false);

  // Change the network's size; calls in flight finish on the old one, and a failed build changes nothing.
  void Resize(const Model &model);

  const std::string &engine_version() const { return engine_->version(); }
  // Time taken by the latest resampling and packing, and by the engine's build; size of the .ms model.
  double resample_seconds() const { return resample_seconds_; }
  double build_seconds() const { return build_seconds_; }
  size_t model_bytes() const { return model_bytes_; }

 private:
  std::shared_ptr<Engine> engine_;
  const int threads_;
  std::mutex mutex_;
  std::shared_ptr<const Bundle> bundle_;
  std::unique_ptr<EngineModel> built_;
  Widths widths_;
  int64_t batch_ = 1;  // that the engine's model is set to
  double resample_seconds_ = 0, build_seconds_ = 0;
  size_t model_bytes_ = 0;

  // One tensor per input of the engine's model, in its layout, and the batch they have in common.
  std::vector<Tensor> EngineInputs(const std::map<std::string, Tensor> &inputs, int64_t *batch) const;
  std::vector<Tensor> RunBatch(std::vector<Tensor> inputs, int64_t batch);
};

// The input of a bundle's self-check: uniform in [-1, 1), SplitMix64's outputs for `seed`, their upper 24 bits.
Tensor Noise(uint64_t seed, const Shape &shape);

}  // namespace inn

#endif  // INN_SESSION_H_
