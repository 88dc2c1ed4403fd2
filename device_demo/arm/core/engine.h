// MindSpore Lite through its C interface (runtime/native/inn_engine.h), loaded when it is first needed: a
// program that only resamples needs none of it, and a missing or foreign library is an error, not the end.
#ifndef INN_ENGINE_LOADER_H_
#define INN_ENGINE_LOADER_H_

#include <memory>
#include <string>
#include <vector>

#include "bundle.h"

struct inn_model;

namespace inn {

// What is known about an input or output of a built model, in the engine's own layout.
struct TensorSpec {
  std::string name;
  Shape shape;  // of an output: those of the latest run; before the first it may be empty
  int dtype;    // MindSpore's number
};

struct EngineFunctions;

// The loaded engine. Everything made from it keeps it.
class Engine {
 public:
  // `interface` is the compiled C interface, a path or, where the loader knows it, a name; `folder` holds
  // MindSpore Lite's libraries ("": the loader finds them). Throws EngineError.
  static std::shared_ptr<Engine> Load(const std::string &interface, const std::string &folder = "");

  const EngineFunctions &functions() const { return *functions_; }
  const std::string &version() const { return version_; }

 private:
  std::shared_ptr<EngineFunctions> functions_;
  std::string version_;
};

// A model that the engine has built. One call at a time.
class EngineModel {
 public:
  // Throws UsageError: not 1 to 1024 threads; EngineError: the engine refuses the bytes.
  EngineModel(std::shared_ptr<Engine> engine, const void *data, size_t size, int threads);
  ~EngineModel();
  EngineModel(const EngineModel &) = delete;
  EngineModel &operator=(const EngineModel &) = delete;

  std::vector<TensorSpec> inputs() const { return Specs(0); }
  std::vector<TensorSpec> outputs() const { return Specs(1); }
  // Give every input, in the model's order, a new shape.
  void Resize(const std::vector<Shape> &shapes);
  // Run on one float32 tensor per input, in the model's order, of exactly its shape. The outputs in the
  // model's order, as float32.
  std::vector<Tensor> Run(const std::vector<Tensor> &inputs);

 private:
  std::shared_ptr<Engine> engine_;
  inn_model *model_;

  std::vector<TensorSpec> Specs(int side) const;
  Tensor Output(size_t index, const TensorSpec &spec) const;
};

}  // namespace inn

#endif  // INN_ENGINE_LOADER_H_
