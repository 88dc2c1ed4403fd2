#include "summary.h"

#include <algorithm>
#include <set>

#include "model.h"

namespace inn {

namespace {

using nlohmann::ordered_json;

constexpr size_t kShown = 5;  // labels, and kernels that are stored otherwise than most

std::string CostName(const std::string &schedule) {
  return schedule == "flops" ? "FLOPs" : schedule == "params" ? "parameters" : schedule;
}

std::string PadRight(const std::string &text, size_t width) {
  const size_t length = Decode(text).size();
  return text + std::string(width > length ? width - length : 0, ' ');
}

std::string PadLeft(const std::string &text, size_t width) {
  const size_t length = Decode(text).size();
  return std::string(width > length ? width - length : 0, ' ') + text;
}

// Columns as wide as their widest cell; the first is left-aligned, the others right-aligned.
std::string FormatTable(const std::vector<std::vector<std::string>> &rows) {
  std::vector<size_t> widths(rows[0].size(), 0);
  for (const auto &row : rows) {
    for (size_t i = 0; i < row.size(); i++) widths[i] = std::max(widths[i], Decode(row[i]).size());
  }
  std::vector<std::string> lines;
  for (const auto &row : rows) {
    std::string line = PadRight(row[0], widths[0]);
    for (size_t i = 1; i < row.size(); i++) line += "  " + PadLeft(row[i], widths[i]);
    lines.push_back(line.substr(0, line.find_last_not_of(' ') + 1));
  }
  return Join(lines, "\n");
}

std::string Megaflops(int64_t macs) {
  const std::string text = Fixed(2.0 * static_cast<double>(macs) / 1e6, 2);
  const size_t point = text.find('.');
  return Grouped(std::stoll(text.substr(0, point))) + text.substr(point);
}

std::string Measured(const std::string &metric, const ordered_json &measured) {
  if (!measured.contains(metric)) return "-";
  const double value = measured[metric];
  if (metric == "psnr") return Fixed(value, 2) + " dB";
  return metric == "accuracy" || metric == "agreement" ? Fixed(100 * value, 2) + " %" : General(value);
}

std::string Curve(const ordered_json &sizes) {
  std::vector<std::string> metrics;
  for (const auto &entry : sizes) {
    for (const auto &[metric, value] : entry["measured"].items()) {
      const bool cost = metric == "parameters" || metric == "macs";
      if (!cost && std::find(metrics.begin(), metrics.end(), metric) == metrics.end()) metrics.push_back(metric);
    }
  }
  std::vector<std::vector<std::string>> rows = {{"size", "", "parameters", "MFLOPs"}};
  rows[0].insert(rows[0].end(), metrics.begin(), metrics.end());
  for (const auto &entry : sizes) {
    const int64_t macs = entry["macs"];
    std::vector<std::string> row = {entry["name"], General(entry["size"]), Grouped(int64_t{entry["parameters"]}),
                                    Megaflops(macs)};
    for (const auto &metric : metrics) row.push_back(Measured(metric, entry["measured"]));
    rows.push_back(row);
  }
  return FormatTable(rows);
}

template <typename Value>
ordered_json Object(const std::vector<std::pair<std::string, Value>> &members) {
  ordered_json object = ordered_json::object();
  for (const auto &[key, value] : members) object[key] = value;
  return object;
}

ordered_json Shapes(const std::vector<Port> &ports) {
  ordered_json object = ordered_json::object();
  for (const auto &port : ports) object[port.name] = port.shape;
  return object;
}

// How kernels are stored, most of them first, and which; vectors, as biases are, are always float32.
ordered_json Storage(const Bundle &bundle) {
  std::vector<std::pair<std::string, std::vector<std::string>>> stored;
  for (const auto &weight : bundle.manifest().weights) {
    if (weight.dims.size() < 2) continue;
    const std::string kind = bundle.Storage("weight/" + weight.name);
    auto found = std::find_if(stored.begin(), stored.end(), [&](const auto &entry) { return entry.first == kind; });
    if (found == stored.end()) found = stored.insert(found, {kind, {}});
    found->second.push_back(weight.name);
  }
  std::stable_sort(stored.begin(), stored.end(),
                   [](const auto &a, const auto &b) { return a.second.size() > b.second.size(); });
  return Object(stored);
}

// The first few of the names.
std::string FormatSome(std::vector<std::string> names) {
  const std::string more = names.size() > kShown ? ", …" : "";
  names.resize(std::min(names.size(), kShown));
  return Join(names, ", ") + more;
}

std::string FormatStorage(const ordered_json &stored) {
  std::vector<std::string> parts;
  for (const auto &[kind, names] : stored.items()) {
    const std::string others = parts.empty() ? "" : " (" + FormatSome(names) + ")";
    parts.push_back(std::to_string(names.size()) + " in " + kind + others);
  }
  return Join(parts, ", ");
}

}  // namespace

int64_t Number(Wide value) {
  return static_cast<int64_t>(std::clamp(value, Wide{INT64_MIN}, Wide{INT64_MAX}));
}

ordered_json Describe(const std::shared_ptr<const Bundle> &bundle) {
  const Manifest &manifest = bundle->manifest();
  std::set<std::string> kernels, rules;
  for (const auto &group : manifest.groups) {
    kernels.insert(kKernels[static_cast<size_t>(group.axis.kernel)]);
    rules.insert(kRules[static_cast<size_t>(group.axis.quadrature)]);
  }
  const bool corrected = std::any_of(manifest.sizes.begin(), manifest.sizes.end(), [](const Size &size) {
    return !size.tables.empty() || !size.overrides.empty() || !size.corrections.empty();
  });
  std::vector<std::string> shown_rules(rules.begin(), rules.end());
  if (corrected) {
    shown_rules = {"calibrated"};
  } else if (manifest.IsCalibrated()) {
    for (auto &rule : shown_rules) rule += " (tuned nodes)";
  }
  ordered_json sizes = ordered_json::array();
  for (const auto &size : manifest.sizes) {
    const Model model(bundle, size.size);
    const auto preset = std::find_if(manifest.presets.rbegin(), manifest.presets.rend(),
                                     [&](const auto &entry) { return entry.second == size.size; });
    sizes.push_back({{"name", preset == manifest.presets.rend() ? "" : preset->first},
                     {"size", size.size},
                     {"widths", size.widths},
                     {"parameters", Number(model.parameters())},
                     {"macs", Number(model.macs())},
                     {"measured", Object(size.measured)}});
  }
  ordered_json groups = ordered_json::array();
  for (const auto &group : manifest.groups) {
    groups.push_back({{"name", group.name}, {"size", group.axis.size}, {"members", group.members}});
  }
  ordered_json summary = {{"name", manifest.name},
                          {"file", bundle->source()},
                          {"bytes", bundle->bytes()},
                          {"sha256", bundle->FileDigest()},
                          {"producer", Object(manifest.producer)},
                          {"inputs", Shapes(manifest.inputs)},
                          {"outputs", Shapes(manifest.outputs)},
                          {"labels", manifest.labels},
                          {"groups", groups},
                          {"kernel", Join({kernels.begin(), kernels.end()}, ", ")},
                          {"quadrature", Join(shown_rules, ", ")},
                          {"align", manifest.align},
                          {"storage", Storage(*bundle)},
                          {"schedule", manifest.schedule},
                          {"n", nullptr},
                          {"safe_from", nullptr},
                          {"source_difference", manifest.source_difference},
                          {"sizes", sizes}};
  if (manifest.images) summary["n"] = *manifest.images;
  if (manifest.safe_from) summary["safe_from"] = *manifest.safe_from;
  return summary;
}

std::string FormatSummary(const ordered_json &summary) {
  std::vector<std::string> lines = {summary["name"]};
  const auto add = [&](const std::string &key, const std::string &value) {
    lines.push_back(PadRight(key, 10) + value);
  };
  const std::string file = summary["file"], quadrature = summary["quadrature"];
  add("file", file + ", " + Fixed(static_cast<double>(summary["bytes"].get<uint64_t>()) / 1e6, 2) + " MB");
  add("sha256", summary["sha256"]);
  std::vector<std::string> made;
  for (const auto &[key, value] : summary["producer"].items()) {
    if (key != "options") made.push_back((key == "date" ? "" : key + " ") + value.get<std::string>());
  }
  add("made by", Join(made, ", "));
  if (summary["producer"].contains("options")) add("options", summary["producer"]["options"]);
  for (const std::string kind : {"input", "output"}) {
    for (const auto &[name, shape] : summary[kind + "s"].items()) {
      std::vector<std::string> sizes;
      for (const int64_t size : shape) sizes.push_back(std::to_string(size));
      add(kind, name + "  " + Join(sizes, " x "));
    }
  }
  const std::vector<std::string> labels = summary["labels"];
  if (!labels.empty()) add("labels", std::to_string(labels.size()) + ": " + FormatSome(labels));
  add("resized", std::to_string(summary["groups"].size()) + " channel groups, " +
                     (quadrature.empty() ? "no" : quadrature) + " quadrature, widths in multiples of " +
                     summary["align"].dump());
  if (!summary["storage"].empty()) add("kernels", FormatStorage(summary["storage"]));
  if (summary["schedule"] != "uniform") {
    add("schedule", "each size takes the " + CostName(summary["schedule"]) +
                        " of that uniform width; widths differ by group");
  }
  if (!summary["n"].is_null() && summary["n"] != 0) add("measured", "on " + summary["n"].dump() + " images");
  if (summary["source_difference"] != 0.0) {
    char shown[16];
    std::snprintf(shown, sizeof shown, "%.1e", summary["source_difference"].get<double>());
    add("source", std::string("full size agrees to ") + shown + " of the outputs' scale");
  }
  if (!summary["safe_from"].is_null()) add("safe", "from size " + General(summary["safe_from"]) + " up");
  return Join(lines, "\n") + "\n\n" + Curve(summary["sizes"]);
}

}  // namespace inn
