#include "plan.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "error.h"
#include "json.h"

namespace inn {

namespace {

constexpr double kLargest = 1.5;  // beyond the full size, where there are functions to sample more densely

// Half up to `align`, at least one unit; up to size 1 no wider than `full`.
int64_t RoundWidth(double size, int64_t full, int64_t align) {
  const double units = std::floor(size * static_cast<double>(full) / static_cast<double>(align) + 0.5);
  const int64_t width = std::max<int64_t>(1, static_cast<int64_t>(units)) * align;
  return size <= 1 ? std::min(full, width) : width;
}

// A number spelt in decimal, or NaN.
double ParseNumber(const std::string &text) {
  char *end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const bool good = !text.empty() && text.find_first_not_of("0123456789+-.eE") == text.npos && *end == '\0';
  return good ? value : NAN;
}

Plan Resolve(const Manifest &manifest, double requested, const std::string &shown) {
  const bool calibrated = manifest.IsCalibrated();
  const bool interpolates = std::all_of(manifest.groups.begin(), manifest.groups.end(), [](const Group &group) {
    return group.axis.kernel != Kernel::kSelection;
  });
  const double most = interpolates && !calibrated ? kLargest : 1.0;
  if (!(0.0 < requested && requested <= most)) {
    std::vector<std::string> presets;
    for (const auto &[name, value] : manifest.presets) presets.push_back(name + " (" + General(value) + ")");
    throw UsageError("size " + shown + ": expected a number in (0, " + General(most) + "] or one of " +
                     Join(presets, ", "));
  }
  Plan plan = {requested, requested, "", {}, nullptr};
  for (const auto &[name, value] : manifest.presets) {
    if (value == requested && plan.preset.empty()) plan.preset = name;
  }
  const double smallest = manifest.sizes.front().size;
  if (calibrated && requested < smallest) {
    throw UsageError("size " + General(requested) + ": the smallest size of this bundle is " + General(smallest));
  }
  if (calibrated || requested == 1.0) {
    for (const auto &size : manifest.sizes) {
      if (size.size <= requested) plan.calibrated = &size;
    }
    plan.size = plan.calibrated->size;
    plan.widths = plan.calibrated->widths;
    return plan;
  }
  for (const auto &group : manifest.groups) {
    plan.widths.push_back(RoundWidth(requested, group.axis.size, manifest.align));
  }
  for (const auto &size : manifest.sizes) {
    if (size.size == requested) plan.calibrated = &size;
  }
  return plan;
}

}  // namespace

Plan MakePlan(const Manifest &manifest, const std::string &size) {
  for (const auto &[name, value] : manifest.presets) {
    if (name == size) return Resolve(manifest, value, Shown(size));
  }
  return Resolve(manifest, ParseNumber(size), Shown(size));
}

Plan MakePlan(const Manifest &manifest, double size) { return Resolve(manifest, size, Exact(size)); }

}  // namespace inn
