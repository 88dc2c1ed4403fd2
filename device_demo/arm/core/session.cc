#include "session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "error.h"

namespace inn {

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// NCHW to NHWC; other tensors stay as they are.
Tensor ToEngineLayout(const Tensor &tensor) {
  if (tensor.shape.size() != 4) return tensor;
  const int64_t batch = tensor.shape[0], channels = tensor.shape[1], pixels = tensor.shape[2] * tensor.shape[3];
  Tensor result = {{batch, tensor.shape[2], tensor.shape[3], channels}, std::vector<float>(tensor.values.size())};
  for (int64_t n = 0; n < batch; n++) {
    const float *source = tensor.values.data() + n * channels * pixels;
    float *target = result.values.data() + n * channels * pixels;
    for (int64_t c = 0; c < channels; c++) {
      for (int64_t p = 0; p < pixels; p++) target[p * channels + c] = source[c * pixels + p];
    }
  }
  return result;
}

std::string Names(const std::vector<Port> &ports) {
  std::vector<std::string> names;
  for (const auto &port : ports) names.push_back(port.name);
  return Join(names, ", ");
}

void CheckShape(const Port &port, const Tensor &tensor) {
  const Shape &found = tensor.shape;
  const bool good = found.size() == port.shape.size() && found[0] > 0 &&
                    std::equal(found.begin() + 1, found.end(), port.shape.begin() + 1);
  if (good) return;
  std::vector<std::string> expected = {"batch"};
  for (size_t d = 1; d < port.shape.size(); d++) expected.push_back(std::to_string(port.shape[d]));
  throw UsageError("input " + Quoted(port.name) + ": expected shape (" + Join(expected, ", ") + "), found " +
                   Tuple(found));
}

void CheckFinite(const std::map<std::string, Tensor> &inputs) {
  for (const auto &[name, tensor] : inputs) {
    const auto found = std::find_if(tensor.values.begin(), tensor.values.end(),
                                    [](float value) { return !std::isfinite(value); });
    if (found == tensor.values.end()) continue;
    throw UsageError("input " + Quoted(name) + ": expected finite float32 values, found " + General(*found) +
                     " (allow_nonfinite lets it through)");
  }
}

Tensor Image(const Tensor &batch, int64_t index) {
  Tensor image = {batch.shape, {}};
  image.shape[0] = 1;
  const auto start = batch.values.begin() + index * CountOf(image.shape);
  image.values.assign(start, start + CountOf(image.shape));
  return image;
}

}  // namespace

Session::Session(std::shared_ptr<Engine> engine, const Model &model, int threads)
    : engine_(std::move(engine)), threads_(threads), bundle_(model.bundle()) {
  Resize(model);
}

void Session::Resize(const Model &model) {
  const auto start = Clock::now();
  const ModelBytes bytes = model.Pack();
  const double resample_seconds = Since(start);
  auto built = std::make_unique<EngineModel>(engine_, bytes.data(), bytes.size(), threads_);
  const std::lock_guard<std::mutex> lock(mutex_);
  built_ = std::move(built);
  batch_ = 1;
  widths_ = model.plan().widths;
  model_bytes_ = bytes.size();
  resample_seconds_ = resample_seconds;
  build_seconds_ = Since(start) - resample_seconds;
}

std::vector<Tensor> Session::Run(const std::map<std::string, Tensor> &inputs, bool allow_nonfinite) {
  int64_t batch = 0;
  std::vector<Tensor> tensors = EngineInputs(inputs, &batch);
  if (!allow_nonfinite) CheckFinite(inputs);
  const std::lock_guard<std::mutex> lock(mutex_);
  // With several threads, MindSpore Lite 2.0 shares a batch out between them where a convolution has few outputs,
  // and answers garbage.
  const bool one_by_one = bundle_->manifest().one_image || threads_ > 1;
  if (!one_by_one || batch == 1) return RunBatch(std::move(tensors), batch);
  std::vector<Tensor> joined;
  for (int64_t index = 0; index < batch; index++) {
    std::vector<Tensor> images;
    for (const auto &tensor : tensors) images.push_back(Image(tensor, index));
    const auto outputs = RunBatch(std::move(images), 1);
    if (joined.empty()) {
      joined = outputs;
      continue;
    }
    for (size_t i = 0; i < outputs.size(); i++) {
      joined[i].shape[0] += outputs[i].shape[0];
      joined[i].values.insert(joined[i].values.end(), outputs[i].values.begin(), outputs[i].values.end());
    }
  }
  return joined;
}

std::vector<Tensor> Session::EngineInputs(const std::map<std::string, Tensor> &inputs, int64_t *batch) const {
  const auto &ports = bundle_->manifest().inputs;
  std::vector<std::string> unknown;
  for (const auto &[name, tensor] : inputs) {
    if (FindPort(ports, name) == nullptr) unknown.push_back(name);
  }
  if (!unknown.empty()) {
    throw UsageError("inputs: expected the names " + Names(ports) + ", found " + Join(unknown, ", "));
  }
  std::vector<Tensor> result;
  for (const auto &port : ports) {
    const auto found = inputs.find(port.name);
    if (found == inputs.end()) throw UsageError("input " + Quoted(port.name) + " is missing");
    CheckShape(port, found->second);
    const int64_t count = found->second.shape[0];
    if (*batch > 0 && count != *batch) {
      throw UsageError("input " + Quoted(port.name) + ": expected batch " + std::to_string(*batch) + ", found " +
                       std::to_string(count));
    }
    *batch = count;
    result.push_back(ToEngineLayout(found->second));
  }
  return result;
}

std::vector<Tensor> Session::RunBatch(std::vector<Tensor> inputs, int64_t batch) {
  const auto &manifest = bundle_->manifest();
  // The engine may list inputs and outputs in another order: they are known by name.
  std::vector<Tensor> ordered;
  std::vector<Shape> shapes;
  for (const auto &spec : built_->inputs()) {
    for (size_t i = 0; i < inputs.size(); i++) {
      if (manifest.inputs[i].name == spec.name) ordered.push_back(std::move(inputs[i]));
    }
  }
  if (ordered.size() != inputs.size()) throw EngineError("the engine's model has other inputs than the bundle");
  for (const auto &tensor : ordered) shapes.push_back(tensor.shape);
  if (batch != batch_) {
    bundle_->graph_rules().Check(widths_, batch);
    built_->Resize(shapes);
    batch_ = batch;
  }
  auto found = built_->Run(ordered);
  const auto specs = built_->outputs();
  std::vector<Tensor> outputs;
  for (const auto &port : manifest.outputs) {
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const auto &s) { return s.name == port.name; });
    if (spec == specs.end()) throw EngineError("the engine's model lacks the output " + Quoted(port.name));
    outputs.push_back(std::move(found[spec - specs.begin()]));
  }
  return outputs;
}

Tensor Noise(uint64_t seed, const Shape &shape) {
  Tensor tensor = {shape, std::vector<float>(CountOf(shape))};
  uint64_t state = seed;
  for (float &value : tensor.values) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    z ^= z >> 31;
    value = static_cast<float>(z >> 40) / 8388608.0f - 1.0f;
  }
  return tensor;
}

}  // namespace inn
