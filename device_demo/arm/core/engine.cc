#include "engine.h"

#include <dlfcn.h>
#include <elf.h>
#include <fenv.h>
#include <sys/stat.h>

#include <Eigen/Core>
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "error.h"
#include "inn_engine.h"

namespace inn {

// The C interface's functions.
struct EngineFunctions {
  decltype(&inn_engine_abi) abi;
  decltype(&inn_engine_last_error) last_error;
  decltype(&inn_model_create) create;
  decltype(&inn_model_destroy) destroy;
  decltype(&inn_model_count) count;
  decltype(&inn_model_describe) describe;
  decltype(&inn_model_data) data;
  decltype(&inn_model_resize) resize;
  decltype(&inn_model_run) run;
};

namespace {

constexpr int kMaxThreads = 1024;  // the engine starts them at once

// The least set of libraries, each after those it needs; libdnnl is of x86-64 only. The last is opened by the
// main library, from its own folder.
constexpr const char *kLibraries[] = {
    "libmindspore_glog.so.0",         "libopencv_core.so.4.5",
    "libopencv_imgproc.so.4.5",       "libopencv_imgcodecs.so.4.5",
    "libmindspore_core.so",           "libmslite_converter_plugin.so",
    "libmindspore_converter.so",      "libdnnl.so.2",
    "libmindspore-extendrt_python.so", "libmsplugin-ge-litert_python.so",
};

// mindspore::DataType
enum DataType { kBool = 30, kInt8 = 32, kInt32 = 34, kInt64 = 35, kUInt8 = 37, kFloat16 = 42, kFloat32 = 43 };

// MindSpore Lite, compiled with -ffast-math, sets the thread that loads it to take subnormal numbers for zero.
class FloatEnvironmentKept {
 public:
  FloatEnvironmentKept() { fegetenv(&environment_); }
  ~FloatEnvironmentKept() { fesetenv(&environment_); }

 private:
  fenv_t environment_;
};

// What keeps a file from being a whole ELF library; empty where nothing does. The loader maps what is missing, and
// the process ends as it touches it.
std::string Defect(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  Elf64_Ehdr header = {};
  stream.read(reinterpret_cast<char *>(&header), sizeof header);
  if (!stream || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) {
    return path + " is no 64-bit ELF library";
  }
  struct stat state = {};
  uint64_t end = header.e_shoff + uint64_t{header.e_shentsize} * header.e_shnum;
  bool good = stat(path.c_str(), &state) == 0 && header.e_phentsize == sizeof(Elf64_Phdr);
  stream.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (int i = 0; good && i < header.e_phnum; i++) {
    Elf64_Phdr segment = {};
    good = static_cast<bool>(stream.read(reinterpret_cast<char *>(&segment), sizeof segment));
    end = std::max(end, segment.p_offset + segment.p_filesz);
  }
  return good && end <= static_cast<uint64_t>(state.st_size) ? "" : path + " is truncated or damaged";
}

void *Open(const std::string &path) {
  const std::string defect = path.find('/') == path.npos ? "" : Defect(path);  // a mere name is the system's to find
  if (!defect.empty()) throw EngineError("MindSpore Lite cannot be loaded: " + defect);
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) throw EngineError(std::string("MindSpore Lite cannot be loaded: ") + dlerror());
  return handle;
}

template <typename Function>
void Bind(void *library, const char *name, Function *function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function == nullptr) throw EngineError(std::string("the engine's C interface: no function ") + name);
}

EngineError LastError(const EngineFunctions &functions) {
  return EngineError(std::string("MindSpore Lite: ") + functions.last_error() +
                     "; its log (GLOG_v=2 in the environment) says more");
}

// The version that the wheel's Python package names.
std::string FindVersion(const std::string &folder) {
  std::ifstream stream(folder + "/../version.py");
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  const size_t name = text.find("__version__");
  const size_t start = name == text.npos ? name : text.find_first_of("'\"", name);
  if (start == text.npos) return "unknown";
  return text.substr(start + 1, text.find(text[start], start + 1) - start - 1);
}

template <typename Number>
void Convert(const void *data, std::vector<float> *values) {
  using Source = Eigen::Map<const Eigen::Array<Number, Eigen::Dynamic, 1>, Eigen::Unaligned>;
  const auto count = static_cast<Eigen::Index>(values->size());
  Eigen::Map<Eigen::ArrayXf>(values->data(), count) =
      Source(static_cast<const Number *>(data), count).template cast<float>();
}

size_t BytesOf(int dtype) {
  switch (dtype) {
    case kBool: case kInt8: case kUInt8: return 1;
    case kFloat16: return 2;
    case kInt32: case kFloat32: return 4;
    case kInt64: return 8;
    default: return 0;
  }
}

std::string List(const Shape &shape) {
  const std::string tuple = Tuple(shape);
  const size_t end = tuple.size() - (shape.size() == 1 ? 2 : 1);
  return "[" + tuple.substr(1, end - 1) + "]";
}

}  // namespace

std::shared_ptr<Engine> Engine::Load(const std::string &interface, const std::string &folder) {
  // The engine looks its log level up again long after loading; 4 is the only one at which a refused model
  // prints nothing.
  setenv("GLOG_v", "4", 0);
  const FloatEnvironmentKept kept;
  struct stat state;
  for (const char *name : kLibraries) {
    // The libraries find each other by name among those already loaded.
    const std::string path = folder + "/" + name;
    if (!folder.empty() && stat(path.c_str(), &state) == 0) Open(path);
  }
  void *library = Open(interface);
  auto functions = std::make_shared<EngineFunctions>();
  Bind(library, "inn_engine_abi", &functions->abi);
  Bind(library, "inn_engine_last_error", &functions->last_error);
  Bind(library, "inn_model_create", &functions->create);
  Bind(library, "inn_model_destroy", &functions->destroy);
  Bind(library, "inn_model_count", &functions->count);
  Bind(library, "inn_model_describe", &functions->describe);
  Bind(library, "inn_model_data", &functions->data);
  Bind(library, "inn_model_resize", &functions->resize);
  Bind(library, "inn_model_run", &functions->run);
  const int abi = functions->abi();
  if (abi != INN_ENGINE_ABI) {
    throw EngineError("the engine's C interface: expected ABI " + std::to_string(INN_ENGINE_ABI) + ", found " +
                      std::to_string(abi));
  }
  auto engine = std::make_shared<Engine>();
  engine->functions_ = std::move(functions);
  engine->version_ = FindVersion(folder);
  return engine;
}

EngineModel::EngineModel(std::shared_ptr<Engine> engine, const void *data, size_t size, int threads)
    : engine_(std::move(engine)) {
  if (threads < 1 || threads > kMaxThreads) {
    throw UsageError("threads: expected an integer from 1 to " + std::to_string(kMaxThreads) + ", found " +
                     std::to_string(threads));
  }
  model_ = engine_->functions().create(data, size, threads);
  if (model_ == nullptr) throw LastError(engine_->functions());
}

EngineModel::~EngineModel() { engine_->functions().destroy(model_); }

std::vector<TensorSpec> EngineModel::Specs(int side) const {
  const EngineFunctions &functions = engine_->functions();
  std::vector<TensorSpec> specs;
  const size_t count = functions.count(model_, static_cast<inn_side>(side));
  for (size_t index = 0; index < count; index++) {
    inn_tensor tensor;
    if (functions.describe(model_, static_cast<inn_side>(side), index, &tensor) != 0) throw LastError(functions);
    specs.push_back({tensor.name, Shape(tensor.shape, tensor.shape + tensor.rank), tensor.dtype});
  }
  return specs;
}

void EngineModel::Resize(const std::vector<Shape> &shapes) {
  Shape sizes;
  for (const auto &shape : shapes) sizes.insert(sizes.end(), shape.begin(), shape.end());
  if (engine_->functions().resize(model_, sizes.data()) != 0) throw LastError(engine_->functions());
}

std::vector<Tensor> EngineModel::Run(const std::vector<Tensor> &tensors) {
  const EngineFunctions &functions = engine_->functions();
  const auto specs = inputs();
  for (size_t index = 0; index < specs.size(); index++) {
    const Tensor &tensor = tensors.at(index);
    size_t bytes = 0;
    if (specs[index].dtype != kFloat32 || specs[index].shape != tensor.shape) {
      throw EngineError("input " + Quoted(specs[index].name) + ": expected shape " + List(specs[index].shape) +
                        ", found float32 " + List(tensor.shape));
    }
    void *data = functions.data(model_, INN_INPUTS, index, &bytes);
    if (data == nullptr) throw LastError(functions);
    if (bytes != 4 * tensor.values.size()) {
      throw EngineError("tensor " + Quoted(specs[index].name) + ": expected " +
                        std::to_string(4 * tensor.values.size()) + " bytes, the engine has " + std::to_string(bytes));
    }
    std::memcpy(data, tensor.values.data(), bytes);
  }
  if (functions.run(model_) != 0) throw LastError(functions);
  std::vector<Tensor> results;
  const auto found = outputs();
  for (size_t index = 0; index < found.size(); index++) results.push_back(Output(index, found[index]));
  return results;
}

Tensor EngineModel::Output(size_t index, const TensorSpec &spec) const {
  const EngineFunctions &functions = engine_->functions();
  size_t bytes = 0;
  const void *data = functions.data(model_, INN_OUTPUTS, index, &bytes);
  if (data == nullptr) throw LastError(functions);
  const int64_t count = CountOf(spec.shape);
  const size_t expected = count * BytesOf(spec.dtype);
  if (count > 0 && expected == 0) {
    throw EngineError("tensor " + Quoted(spec.name) + ": MindSpore's data type " + std::to_string(spec.dtype) +
                      " is not supported");
  }
  if (count < 0 || bytes != expected) {
    throw EngineError("tensor " + Quoted(spec.name) + ": expected " + std::to_string(expected) +
                      " bytes, the engine has " + std::to_string(bytes));
  }
  Tensor tensor = {spec.shape, std::vector<float>(count)};
  switch (spec.dtype) {
    case kFloat32: Convert<float>(data, &tensor.values); break;
    case kFloat16: Convert<Eigen::half>(data, &tensor.values); break;
    case kInt64: Convert<int64_t>(data, &tensor.values); break;
    case kInt32: Convert<int32_t>(data, &tensor.values); break;
    case kInt8: Convert<int8_t>(data, &tensor.values); break;
    default: Convert<uint8_t>(data, &tensor.values);
  }
  return tensor;
}

}  // namespace inn
