#include "commands.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "arrays.h"
#include "bench.h"
#include "error.h"
#include "files.h"
#include "summary.h"

namespace inn {

namespace {

using nlohmann::ordered_json;
using NamedTensor = std::pair<std::string, Tensor>;

constexpr double kSelfCheckTolerance = 1e-3;
constexpr char kVariable[] = "INNLITE_MINDSPORE_LITE", kFolder[] = "mindspore_lite";
constexpr char kMainLibrary[] = "libmindspore-extendrt_python.so", kInterface[] = "libinn_engine.so";

void PrintJson(const ordered_json &document) { Print(document.dump(1, ' ', true) + "\n"); }

void Warn(const std::string &text) { std::fprintf(stderr, "%s\n", text.c_str()); }

std::string Strip(const std::string &text) {
  const size_t start = text.find_first_not_of(" \t\n");
  return start == text.npos ? "" : text.substr(start, text.find_last_not_of(" \t\n") - start + 1);
}

bool Exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

std::string ProgramFolder() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  const std::string program(path, std::max<ssize_t>(length, 0));
  return program.substr(0, program.rfind('/') + 1);
}

// MindSpore Lite's libraries where the environment says, or else beside this program.
std::shared_ptr<Engine> LoadEngine() {
  const char *given = std::getenv(kVariable);
  const std::string here = ProgramFolder();
  std::vector<std::string> folders = {here + kFolder};
  if (given != nullptr && *given != '\0') folders = {given, std::string(given) + "/" + kFolder};
  for (const auto &folder : folders) {
    if (Exists(folder + "/lib/" + kMainLibrary)) return Engine::Load(here + kInterface, folder + "/lib");
  }
  if (folders.size() > 1) {
    throw EngineError(std::string(kVariable) + ": expected a folder with lib/" + kMainLibrary + ", found " + given);
  }
  throw EngineError("MindSpore Lite is missing: expected the folder " + folders[0] + "; or set " + kVariable +
                    " to another");
}

// Nobody's model is to be lost to a slip in -o.
void RefuseOverwriting(const Arguments &arguments, const std::vector<std::string> &inputs) {
  struct stat output, input;
  const std::string &path = arguments.Text("output");
  if (path.empty() || stat(path.c_str(), &output) != 0 || !S_ISREG(output.st_mode)) return;
  for (const auto &name : inputs) {
    if (stat(arguments.Text(name).c_str(), &input) != 0) continue;
    if (input.st_dev == output.st_dev && input.st_ino == output.st_ino) {
      throw UsageError(path + ": is read as an input: expected another file to write");
    }
  }
}

std::shared_ptr<const Bundle> OpenBundle(const Arguments &arguments) {
  return std::make_shared<const Bundle>(arguments.Text("bundle"), arguments.Integers("allow-primitive"));
}

// The network at a size; says so where that is not the size asked for, or not a good one.
Model ModelAt(const std::shared_ptr<const Bundle> &bundle, const std::string &size, bool strict = false) {
  Model model(bundle, Strip(size));
  const Plan &plan = model.plan();
  if (plan.size < plan.requested) {
    Warn("size " + General(plan.requested) + " is not calibrated; using " + General(plan.size) + ", the next below");
  }
  if (!model.IsSafe()) {
    const std::string text = "size " + General(plan.size) + ": the network was measured to collapse below size " +
                             General(*bundle->manifest().safe_from) + " (inn info)";
    if (strict) throw UsageError(text);
    Warn("warning: " + text);
  }
  return model;
}

// ---------------------------------------------------------------------- info
void Info(const Arguments &arguments) {
  const ordered_json summary = Describe(OpenBundle(arguments));
  if (arguments.Flag("json")) {
    PrintJson(summary);
  } else {
    Print(FormatSummary(summary) + "\n");
  }
}

// ---------------------------------------------------------------------- verify
// Largest difference of an output from what the bundle expects, over the scale of that; at most `tolerance`.
double SelfCheck(const std::string &where, const Tensor &expected, const Tensor &found, double tolerance) {
  if (found.shape != expected.shape) {
    throw EngineError(where + ": expected shape " + Tuple(expected.shape) + ", found " + Tuple(found.shape));
  }
  double scale = 1e-6, difference = 0;
  for (size_t i = 0; i < found.values.size(); i++) {
    const double distance = std::abs(double{found.values[i]} - double{expected.values[i]});
    scale = std::max(scale, std::abs(double{expected.values[i]}));
    if (!(distance <= difference)) difference = distance;  // a NaN stays
  }
  difference /= scale;
  if (!(difference <= tolerance)) {
    char shown[16];
    std::snprintf(shown, sizeof shown, "%.1e", difference);
    throw EngineError(where + " differs from the self-check by " + shown + " of its scale, expected at most " +
                      General(tolerance));
  }
  return difference;
}

void Verify(const Arguments &arguments) {
  const auto bundle = OpenBundle(arguments);
  const Manifest &manifest = bundle->manifest();
  const bool json = arguments.Flag("json");
  const int threads = arguments.Integer("threads");
  for (const auto &entry : manifest.digests) bundle->Verify(entry.first);
  if (!json) Print(std::to_string(manifest.digests.size()) + " tensors: digests match, values are finite\n");
  std::map<std::string, Tensor> inputs;
  for (const auto &port : manifest.inputs) inputs[port.name] = Noise(manifest.check_seed + inputs.size(), port.shape);
  ordered_json checks = ordered_json::array();
  for (const auto &size : manifest.sizes) {
    if (size.check.empty()) continue;
    Session session(LoadEngine(), Model(bundle, size.size), threads);
    const auto outputs = session.Run(inputs);
    for (const auto &[name, key] : size.check) {
      const std::string of_size = "size " + General(size.size) + ": output " + Quoted(name);
      const size_t output = FindPort(manifest.outputs, name) - manifest.outputs.data();
      // At full size the source file's outputs are expected, from which storage takes its share.
      const double tolerance = kSelfCheckTolerance + (size.size == 1.0 ? manifest.source_difference : 0.0);
      const double difference =
          SelfCheck(bundle->source() + ": " + of_size, bundle->Read(key), outputs[output], tolerance);
      checks.push_back({{"size", size.size}, {"output", name}, {"difference", difference}});
      char shown[16];
      std::snprintf(shown, sizeof shown, "%.1e", difference);
      if (!json) Print(of_size + " agrees to " + shown + " of its scale\n");
    }
  }
  if (json) {
    PrintJson({{"tensors", manifest.digests.size()}, {"checks", checks}});
  } else if (checks.empty()) {
    Print("the bundle holds no expected outputs to check the engine with\n");
  }
}

// ---------------------------------------------------------------------- resample
void Resample(const Arguments &arguments) {
  RefuseOverwriting(arguments, {"bundle"});
  const auto bundle = OpenBundle(arguments);
  const Model model = ModelAt(bundle, arguments.Text("size"), arguments.Flag("strict"));
  const ModelBytes bytes = model.Pack();
  const std::string &output = arguments.Text("output");
  WriteAtomically(output, bytes.data(), bytes.size());
  if (!arguments.Flag("json")) {
    const double macs = static_cast<double>(model.macs());
    Print(output + ": size " + General(model.size()) + ", " + Grouped(model.parameters()) + " parameters, " +
          Fixed(2 * macs / 1e6, 2) + " MFLOPs, " + Fixed(static_cast<double>(bytes.size()) / 1e6, 2) + " MB\n");
    return;
  }
  ordered_json widths = ordered_json::object();
  const auto &groups = bundle->manifest().groups;
  for (size_t i = 0; i < groups.size(); i++) widths[groups[i].name] = model.plan().widths[i];
  PrintJson({{"output", output},
             {"size", model.size()},
             {"name", model.name()},
             {"bytes", bytes.size()},
             {"parameters", Number(model.parameters())},
             {"macs", Number(model.macs())},
             {"widths", widths}});
}

// ---------------------------------------------------------------------- run
// The inputs by name; the array of an .npy file is the only input.
std::map<std::string, Tensor> ReadInputs(const std::string &path, const std::vector<Port> &ports) {
  auto arrays = ReadArrays(path);
  const auto single = arrays.find("");
  if (single == arrays.end()) {
    arrays.erase("labels");
  } else if (ports.size() == 1) {
    arrays[ports[0].name] = single->second;
    if (!ports[0].name.empty()) arrays.erase("");
  } else {
    std::vector<std::string> names;
    for (const auto &port : ports) names.push_back(port.name);
    throw UsageError("inputs: expected a mapping with the names " + Join(names, ", ") + ", found one array");
  }
  std::map<std::string, Tensor> inputs;
  for (auto &[name, array] : arrays) {
    if (FindPort(ports, name) != nullptr && array.dtype.compare(0, 5, "float") != 0) {
      throw UsageError("input " + Quoted(name) + ": expected float32 values, found " + array.dtype);
    }
    inputs[name] = std::move(array.tensor);
  }
  return inputs;
}

// One row of scores: the best classes first.
std::string TopClasses(const float *scores, size_t count, size_t top, const std::vector<std::string> &labels) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<std::string> parts;
  for (size_t i = 0; i < std::min(top, count); i++) {
    char score[32];
    std::snprintf(score, sizeof score, "%.4g", double{scores[order[i]]});
    parts.push_back((order[i] < labels.size() ? labels[order[i]] : std::to_string(order[i])) + " " + score);
  }
  return Join(parts, "  ");
}

void PrintOutput(const NamedTensor &output, size_t top, const std::vector<std::string> &labels) {
  const auto &[name, tensor] = output;
  if (tensor.shape.size() != 2) {
    const auto [least, most] = std::minmax_element(tensor.values.begin(), tensor.values.end());
    Print(name + ": shape " + Tuple(tensor.shape) + ", from " + General(double{*least}) + " to " +
          General(double{*most}) + "\n");
    return;
  }
  for (int64_t row = 0; row < tensor.shape[0]; row++) {
    const float *scores = tensor.values.data() + row * tensor.shape[1];
    Print(name + "[" + std::to_string(row) + "]: " + TopClasses(scores, tensor.shape[1], top, labels) + "\n");
  }
}

// A tensor as nested lists.
ordered_json Nested(const Tensor &tensor, size_t dimension = 0, size_t start = 0) {
  if (dimension == tensor.shape.size()) return tensor.values[start];
  const Shape rest(tensor.shape.begin() + static_cast<std::ptrdiff_t>(dimension) + 1, tensor.shape.end());
  ordered_json list = ordered_json::array();
  for (int64_t i = 0; i < tensor.shape[dimension]; i++) {
    list.push_back(Nested(tensor, dimension + 1, start + i * CountOf(rest)));
  }
  return list;
}

void Run(const Arguments &arguments) {
  RefuseOverwriting(arguments, {"bundle", "input"});
  const int top = arguments.Integer("top"), threads = arguments.Integer("threads");
  if (top < 1) throw UsageError("--top: expected at least 1, found " + std::to_string(top));
  const auto bundle = OpenBundle(arguments);
  const Manifest &manifest = bundle->manifest();
  const Model model = ModelAt(bundle, arguments.Text("size"));
  const auto inputs = ReadInputs(arguments.Text("input"), manifest.inputs);
  Session session(LoadEngine(), model, threads);
  const auto tensors = session.Run(inputs, arguments.Flag("allow-nonfinite"));
  std::vector<NamedTensor> outputs;
  for (size_t i = 0; i < tensors.size(); i++) outputs.emplace_back(manifest.outputs[i].name, tensors[i]);
  const std::string &file = arguments.Text("output");
  if (!file.empty()) {
    const std::string content = PackArrays(outputs);
    WriteAtomically(file, content.data(), content.size());
    std::vector<std::string> parts;
    for (const auto &[name, tensor] : outputs) parts.push_back(name + " " + Tuple(tensor.shape));
    Print(file + ": " + Join(parts, ", ") + "\n");
  } else if (arguments.Flag("json")) {
    ordered_json document = ordered_json::object();
    for (const auto &[name, tensor] : outputs) document[name] = Nested(tensor);
    Print(document.dump(-1, ' ', true) + "\n");
  } else {
    for (const auto &output : outputs) PrintOutput(output, top, manifest.labels);
  }
}

// ---------------------------------------------------------------------- bench
std::string Plural(int count, const std::string &thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

std::string TableLine(const std::vector<std::string> &cells) {
  constexpr int kWidths[] = {-8, 5, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};
  std::string line;
  for (size_t i = 0; i < cells.size(); i++) {
    char cell[64];
    std::snprintf(cell, sizeof cell, "%*s", kWidths[i], cells[i].c_str());
    line += (i ? " " : "") + std::string(cell);
  }
  return line + "\n";
}

std::string FormatTitle(const std::string &name, const BenchResult &result) {
  const BenchOptions &options = result.options;
  return name + " on " + result.device + "\nMindSpore Lite " + result.engine_version + " (native), " +
         Plural(options.threads, "thread") + ", batch " + std::to_string(options.batch) + ", " +
         std::to_string(options.warmup) + " warm-up and " + std::to_string(options.runs) + " timed runs\n" +
         "times in ms; first: first inference; model: .ms file, peak: resident memory, in MB\n\n" +
         TableLine({"size", "", "min", "mean", "p50", "p95", "max", "std", "first", "build", "resample", "model",
                    "peak"});
}

std::string FormatResult(const BenchResult &result) {
  const std::string size = General(result.size);
  std::vector<std::string> cells = {result.name == size ? "" : result.name, size};
  for (const double time : {result.min, result.mean, result.p50, result.p95, result.max, result.std}) {
    cells.push_back(Fixed(time, time < 1000 ? 3 : 0));
  }
  for (const double time : {result.first, result.build, result.resample}) {
    cells.push_back(Fixed(time, time < 1000 ? 2 : 0));
  }
  cells.push_back(Fixed(static_cast<double>(result.model_bytes) / 1e6, 2));
  cells.push_back(Fixed(static_cast<double>(result.peak_memory) / 1e6, 2));
  return TableLine(cells);
}

ordered_json ToJson(const BenchResult &result) {
  const BenchOptions &options = result.options;
  ordered_json document = {{"name", result.name},
                           {"size", result.size},
                           {"weights", "float32"},
                           {"device", result.device},
                           {"engine", "native"},
                           {"engine_version", result.engine_version},
                           {"threads", options.threads},
                           {"batch", options.batch},
                           {"model_bytes", result.model_bytes},
                           {"parameters", Number(result.parameters)},
                           {"macs", Number(result.macs)},
                           {"resample", result.resample},
                           {"build", result.build},
                           {"first", result.first},
                           {"warmup", options.warmup},
                           {"warmup_mean", nullptr},
                           {"runs", options.runs},
                           {"min", result.min},
                           {"mean", result.mean},
                           {"p50", result.p50},
                           {"p95", result.p95},
                           {"max", result.max},
                           {"std", result.std},
                           {"engine_memory", nullptr},
                           {"model_memory", nullptr},
                           {"peak_memory", result.peak_memory},
                           {"nodes", ordered_json::array()},
                           {"compare", ordered_json::array()}};
  if (result.warmup_mean) document["warmup_mean"] = *result.warmup_mean;
  return document;
}

void RunBench(const Arguments &arguments) {
  RefuseOverwriting(arguments, {"bundle"});
  const auto bundle = OpenBundle(arguments);
  const Manifest &manifest = bundle->manifest();
  const bool json = arguments.Flag("json");
  const BenchOptions options = {arguments.Integer("threads"), arguments.Integer("batch"), arguments.Integer("warmup"),
                                arguments.Integer("runs")};
  std::vector<std::string> named;
  for (const auto &entry : manifest.presets) named.push_back(entry.first);
  const std::string &given = arguments.Text("sizes");
  if (!given.empty()) {
    named.clear();
    for (size_t start = 0; start <= given.size();) {
      const size_t stop = std::min(given.find(',', start), given.size());
      named.push_back(given.substr(start, stop - start));
      start = stop + 1;
    }
  }
  if (named.empty()) throw UsageError(bundle->source() + ": the bundle has no presets; give --sizes");
  std::map<double, Model> models;
  for (const auto &size : named) {
    const Model model = ModelAt(bundle, size);
    models.emplace(model.size(), model);
  }
  const auto engine = LoadEngine();
  ordered_json document = ordered_json::array();
  for (const auto &[size, model] : models) {
    const BenchResult result = Bench(engine, model, options);
    if (!json && document.empty()) Print(FormatTitle(manifest.name, result));
    if (!json) Print(FormatResult(result));
    document.push_back(ToJson(result));
  }
  if (json) PrintJson(document);
  const std::string text = document.dump(1, ' ', true) + "\n";
  if (!arguments.Text("output").empty()) WriteAtomically(arguments.Text("output"), text.data(), text.size());
}

const std::string kSizeHelp = "a preset's name or a number in (0, 1]";
const Option kJson = {"--json", "", "print as JSON", ""};
const Option kAllow = {"--allow-primitive", "N[,N]",
                       "let through primitives of MindSpore Lite that there is no rule for", ""};
const Option kThreads = {"--threads", "N", "engine threads (default: 1)", "1"};

}  // namespace

void Print(const std::string &text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw OutputError{errno};
  }
}

const std::vector<Command> &Commands() {
  static const std::vector<Command> commands = {
      {"info", "show what a bundle holds and its measured curve", {kJson, kAllow}, Info},
      {"verify", "check every tensor, and the engine's outputs at every size", {kJson, kThreads, kAllow}, Verify, true},
      {"resample",
       "write a MindSpore Lite model (.ms) of a size",
       {{"--size", "SIZE", kSizeHelp, "", true},
        {"--output", "FILE.ms", "the .ms file to write", "", true, "-o"},
        {"--strict", "", "refuse sizes at which the network has been measured to collapse", ""},
        kJson,
        kAllow},
       Resample},
      {"run",
       "run the network on arrays",
       {{"--size", "SIZE", kSizeHelp + " (default: full)", "full"},
        {"--input", "FILE.npy", ".npy, or .npz keyed by input name; float32, NCHW, any batch", "", true},
        {"--output", "FILE.npz", "write the outputs there instead of printing them", "", false, "-o"},
        {"--top", "N", "classes to print per image (default: 5)", "5"},
        {"--allow-nonfinite", "", "let NaN and infinity in the input through", ""},
        {"--json", "", "print all outputs as JSON", ""},
        kThreads,
        kAllow},
       Run},
      {"bench",
       "measure latency and memory at several sizes",
       {{"--sizes", "SIZES", "comma-separated, each " + kSizeHelp + " (default: all presets)", ""},
        {"--runs", "N", "timed runs (default: 100)", "100"},
        {"--warmup", "N", "runs before (default: 10)", "10"},
        {"--batch", "N", "images per run (default: 1)", "1"},
        kJson,
        {"--output", "FILE.json", "write the JSON to a file too", "", false, "-o"},
        kThreads,
        kAllow},
       RunBench,
       true},
  };
  return commands;
}

}  // namespace inn
