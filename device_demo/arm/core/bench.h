// Latency of a bundle at several sizes, on this device.
#ifndef INN_BENCH_H_
#define INN_BENCH_H_

#include <optional>
#include <string>

#include "session.h"

namespace inn {

struct BenchOptions {
  int threads = 1, batch = 1, warmup = 10, runs = 100;
};

// Times in milliseconds, sizes in bytes. `first` is the first inference after the build, `warmup_mean` the
// mean of the untimed runs that follow, `min` to `std` describe the timed runs. `peak_memory` is the largest
// resident memory of the process so far.
struct BenchResult {
  std::string name;
  double size;
  std::string device, engine_version;
  BenchOptions options;
  size_t model_bytes;
  Wide parameters, macs;
  double resample, build, first;
  std::optional<double> warmup_mean;
  double min, mean, p50, p95, max, std;
  int64_t peak_memory;
};

// Build the network and time it on seeded noise. Throws UsageError: a count is too small; EngineError.
BenchResult Bench(const std::shared_ptr<Engine> &engine, const Model &model, const BenchOptions &options);

// The board's or processor's name, with cores and architecture, as far as Linux tells.
std::string DeviceName();

}  // namespace inn

#endif  // INN_BENCH_H_
