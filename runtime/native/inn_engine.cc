#include "inn_engine.h"

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "include/api/context.h"
#include "include/api/model.h"
#include "include/api/status.h"
#include "include/api/types.h"

namespace {

using mindspore::MSTensor;
using Shapes = std::vector<std::vector<int64_t>>;

thread_local std::string last_error;

void Fail(const std::string &action, const mindspore::Status &status) {
  std::string text = status.ToString();
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  last_error = action + ": " + (text.empty() ? "no reason given" : text) + " (status " +
               std::to_string(static_cast<int32_t>(status.StatusCode())) + ")";
}

// Runs `body`; whatever it throws becomes the last error, and `failed` the result.
template <typename Result, typename Body>
Result Guard(Result failed, Body body) noexcept {
  try {
    return body();
  } catch (const std::exception &error) {
    last_error = error.what();
  } catch (...) {
    last_error = "unknown C++ exception";
  }
  return failed;
}

// The engine's tensors are handles: copies refer to the same data.
struct Tensors {
  std::vector<MSTensor> handles;
  std::vector<std::string> names;

  void Set(std::vector<MSTensor> tensors) {
    handles = std::move(tensors);
    names.clear();
    for (const auto &tensor : handles) names.push_back(tensor.Name());
  }
};

}  // namespace

struct inn_model {
  mindspore::Model engine;
  Tensors sides[2];

  void Refresh() {
    sides[INN_INPUTS].Set(engine.GetInputs());
    sides[INN_OUTPUTS].Set(engine.GetOutputs());
  }

  int32_t Predict(const mindspore::MSKernelCallBack &before, const mindspore::MSKernelCallBack &after) {
    std::vector<MSTensor> outputs;
    const auto status = engine.Predict(sides[INN_INPUTS].handles, &outputs, before, after);
    if (status.IsError()) {
      Fail("run", status);
      return -1;
    }
    sides[INN_OUTPUTS].Set(std::move(outputs));
    return 0;
  }
};

extern "C" {

int32_t inn_engine_abi(void) { return INN_ENGINE_ABI; }

const char *inn_engine_last_error(void) { return last_error.c_str(); }

inn_model *inn_model_create(const void *data, size_t size, int32_t threads) {
  return Guard<inn_model *>(nullptr, [&]() -> inn_model * {
    auto context = std::make_shared<mindspore::Context>();
    context->SetThreadNum(threads);
    context->MutableDeviceInfo().push_back(std::make_shared<mindspore::CPUDeviceInfo>());
    auto model = std::make_unique<inn_model>();
    const auto status = model->engine.Build(data, size, mindspore::ModelType::kMindIR_Lite, context);
    if (status.IsError()) {
      Fail("build", status);
      return nullptr;
    }
    model->Refresh();
    return model.release();
  });
}

void inn_model_destroy(inn_model *model) {
  Guard(0, [&] {
    delete model;
    return 0;
  });
}

size_t inn_model_count(const inn_model *model, inn_side side) { return model->sides[side].handles.size(); }

int32_t inn_model_describe(const inn_model *model, inn_side side, size_t index, inn_tensor *tensor) {
  return Guard(-1, [&] {
    const auto &tensors = model->sides[side];
    const auto &handle = tensors.handles.at(index);
    const auto &shape = handle.Shape();
    *tensor = {tensors.names[index].c_str(), shape.data(), shape.size(), static_cast<int32_t>(handle.DataType())};
    return 0;
  });
}

void *inn_model_data(inn_model *model, inn_side side, size_t index, size_t *bytes) {
  return Guard<void *>(nullptr, [&]() -> void * {
    auto &handle = model->sides[side].handles.at(index);
    void *data = handle.MutableData();
    if (data == nullptr) last_error = "the engine gave no memory for tensor " + model->sides[side].names[index];
    if (bytes != nullptr) *bytes = handle.DataSize();
    return data;
  });
}

int32_t inn_model_resize(inn_model *model, const int64_t *shapes) {
  return Guard(-1, [&] {
    const auto &inputs = model->sides[INN_INPUTS].handles;
    Shapes former, wanted;
    for (const auto &input : inputs) {
      const size_t rank = input.Shape().size();
      former.push_back(input.Shape());
      wanted.emplace_back(shapes, shapes + rank);
      shapes += rank;
    }
    const auto status = model->engine.Resize(inputs, wanted);
    if (status.IsError()) {
      Fail("resize", status);
      model->engine.Resize(inputs, former);
    }
    model->Refresh();
    return status.IsError() ? -1 : 0;
  });
}

int32_t inn_model_run(inn_model *model) {
  return Guard(-1, [&] { return model->Predict(nullptr, nullptr); });
}

int32_t inn_model_profile(inn_model *model, inn_node_report report, void *user) {
  return Guard(-1, [&] {
    using Clock = std::chrono::steady_clock;
    Clock::time_point start;
    // The engine's own execute_time is 0 on CPU.
    const mindspore::MSKernelCallBack before = [&](const std::vector<MSTensor> &, const std::vector<MSTensor> &,
                                                   const mindspore::MSCallBackParam &) {
      start = Clock::now();
      return true;
    };
    const mindspore::MSKernelCallBack after = [&](const std::vector<MSTensor> &, const std::vector<MSTensor> &,
                                                  const mindspore::MSCallBackParam &node) {
      const std::chrono::duration<double, std::milli> passed = Clock::now() - start;
      report(user, node.node_name.c_str(), node.node_type.c_str(), passed.count());
      return true;
    };
    return model->Predict(before, after);
  });
}

}  // extern "C"
