#include "bench.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>

#include "error.h"

namespace inn {

namespace {

using Clock = std::chrono::steady_clock;

void CheckLeast(const std::string &name, int value, int least) {
  if (value < least) {
    throw UsageError(name + ": expected at least " + std::to_string(least) + ", found " + std::to_string(value));
  }
}

// Milliseconds of each of `count` runs.
std::vector<double> Timed(Session *session, const std::map<std::string, Tensor> &inputs, int count) {
  std::vector<double> times;
  for (int i = 0; i < count; i++) {
    const auto start = Clock::now();
    session->Run(inputs);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return times;
}

double Mean(const std::vector<double> &values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Between the two nearest of the sorted values.
double Percentile(const std::vector<double> &sorted, double percent) {
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::string ReadText(const std::string &path) {
  std::ifstream stream(path);
  return std::string((std::istreambuf_iterator<char>(stream)), {});
}

std::string Strip(const std::string &text) {
  const std::string blanks(" \t\n\0", 4);
  const size_t start = text.find_first_not_of(blanks);
  return start == text.npos ? "" : text.substr(start, text.find_last_not_of(blanks) - start + 1);
}

std::string ProcessorName() {
  const std::string board = Strip(ReadText("/proc/device-tree/model"));
  if (!board.empty()) return board;
  std::ifstream stream("/proc/cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    const size_t colon = line.find(':');
    const std::string key = Strip(line.substr(0, colon));
    if (key == "model name" || key == "Hardware") return colon == line.npos ? "" : Strip(line.substr(colon + 1));
  }
  return "";
}

}  // namespace

BenchResult Bench(const std::shared_ptr<Engine> &engine, const Model &model, const BenchOptions &options) {
  CheckLeast("runs", options.runs, 1);
  CheckLeast("warmup", options.warmup, 0);
  CheckLeast("batch", options.batch, 1);
  std::map<std::string, Tensor> inputs;
  for (const auto &port : model.bundle()->manifest().inputs) {
    Shape shape = port.shape;
    shape[0] = options.batch;
    inputs[port.name] = Noise(0, shape);
  }
  Session session(engine, model, options.threads);
  const double first = Timed(&session, inputs, 1)[0];
  const auto warm = Timed(&session, inputs, options.warmup);
  auto times = Timed(&session, inputs, options.runs);
  std::sort(times.begin(), times.end());
  const double mean = Mean(times);
  double squares = 0;
  for (const double time : times) squares += (time - mean) * (time - mean);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  BenchResult result;
  result.name = model.name();
  result.size = model.size();
  result.device = DeviceName();
  result.engine_version = session.engine_version();
  result.options = options;
  result.model_bytes = session.model_bytes();
  result.parameters = model.parameters();
  result.macs = model.macs();
  result.resample = session.resample_seconds() * 1e3;
  result.build = session.build_seconds() * 1e3;
  result.first = first;
  if (!warm.empty()) result.warmup_mean = Mean(warm);
  result.min = times.front();
  result.mean = mean;
  result.p50 = Percentile(times, 50);
  result.p95 = Percentile(times, 95);
  result.max = times.back();
  result.std = std::sqrt(squares / static_cast<double>(times.size()));
  result.peak_memory = int64_t{usage.ru_maxrss} * 1024;
  return result;
}

std::string DeviceName() {
  cpu_set_t cores;
  struct utsname system;
  const int count = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
  const std::string machine = uname(&system) == 0 ? system.machine : "unknown";
  const std::string kind = machine + ", " + std::to_string(count) + (count == 1 ? " core" : " cores");
  const std::string name = ProcessorName();
  return name.empty() ? kind : name + " (" + kind + ")";
}

}  // namespace inn
