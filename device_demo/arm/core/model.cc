#include "model.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace inn {

Model::Model(std::shared_ptr<const Bundle> bundle, const std::string &size)
    : bundle_(std::move(bundle)), plan_(MakePlan(bundle_->manifest(), size)) {
  bundle_->graph_rules().Check(plan_.widths);
}

Model::Model(std::shared_ptr<const Bundle> bundle, double size)
    : bundle_(std::move(bundle)), plan_(MakePlan(bundle_->manifest(), size)) {
  bundle_->graph_rules().Check(plan_.widths);
}

std::string Model::name() const { return plan_.preset.empty() ? General(plan_.size) : plan_.preset; }

bool Model::IsSafe() const { return plan_.size >= bundle_->manifest().safe_from.value_or(0.0); }

Wide Model::parameters() const {
  Wide total = 0;
  for (const auto &weight : bundle_->manifest().weights) {
    Wide count = 1;
    for (const Wide size : weight.ShapeAt(plan_.widths)) count *= size;
    total += count;
  }
  return total;
}

Wide Model::macs() const { return Evaluate(bundle_->manifest().macs, plan_.widths); }

Discretisation Model::Discretise() const {
  const Manifest &manifest = bundle_->manifest();
  Discretisation result;
  result.widths = plan_.widths;
  for (const auto &group : manifest.groups) result.axes.push_back(group.axis);
  result.table = [bundle = bundle_, calibrated = plan_.calibrated](int64_t quadrature) {
    const std::string *key = calibrated ? Lookup(calibrated->tables, quadrature) : nullptr;
    return key ? bundle->Read(*key) : Tensor();
  };
  if (plan_.calibrated == nullptr) return result;
  for (const auto &[group, key] : plan_.calibrated->grids) {
    const Tensor grid = bundle_->Read(key);
    const auto middle = grid.values.begin() + grid.shape[1];
    const At at = {grid.shape[1], {grid.values.begin(), middle}, {middle, grid.values.end()}};
    const int64_t last = result.axes[group].size - 1;
    const auto [least, most] = std::minmax_element(at.nodes.begin(), at.nodes.end());
    if (*least < 0 || *most > static_cast<double>(last)) {
      throw BundleError(bundle_->source() + ": tensor " + Quoted(key) + ": expected nodes in [0, " +
                        std::to_string(last) + "]");
    }
    result.grids[group] = at;
  }
  return result;
}

Tensor Model::WeightAt(int64_t index, const Discretisation &discretisation) const {
  Tensor weight = Computed(index, discretisation);
  if (!std::all_of(weight.values.begin(), weight.values.end(), [](float value) { return std::isfinite(value); })) {
    throw BundleError(bundle_->source() + ": weight " + Quoted(bundle_->manifest().weights[index].name) + " at size " +
                      General(plan_.size) + " holds values that are not finite");
  }
  return weight;
}

Tensor Model::Computed(int64_t index, const Discretisation &discretisation) const {
  const auto key_in = [&](References<int64_t> Size::*references) {
    return plan_.calibrated ? Lookup(plan_.calibrated->*references, index) : nullptr;
  };
  if (const std::string *finished = key_in(&Size::overrides)) return bundle_->Read(*finished);
  const Weight &weight = bundle_->manifest().weights[index];
  const std::string *correction = key_in(&Size::corrections);
  if (correction == nullptr) return Resize(bundle_->Read("weight/" + weight.name), weight.dims, discretisation);
  Discretisation rules = discretisation;
  rules.table = [](int64_t) { return Tensor(); };
  Tensor result = Resize(bundle_->Read("weight/" + weight.name), weight.dims, rules);
  const Tensor added = bundle_->Read(*correction);
  for (size_t i = 0; i < result.values.size(); i++) result.values[i] += added.values[i];
  return result;
}

ModelBytes Model::Pack() const {
  const Discretisation discretisation = Discretise();
  return PackModel(bundle_->manifest(), plan_.widths,
                   [&](int64_t index) { return WeightAt(index, discretisation); });
}

}  // namespace inn
