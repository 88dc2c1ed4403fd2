#include "primitives.h"

#include <algorithm>

#include "error.h"
#include "json.h"

namespace inn {

namespace {

double NumberOf(const Json &value) {
  if (value.kind == Json::kBoolean) return value.boolean;
  return value.kind == Json::kInteger ? static_cast<double>(value.integer) : value.number;
}

AttributeRule ParseAttributeRule(const std::string &name, const Json &row) {
  AttributeRule rule;
  rule.name = name;
  rule.slot = row.Find("slot")->integer;
  rule.type = row.Find("type")->text();
  if (const Json *length = row.Find("length")) rule.length = length->integer;
  if (const Json *optional = row.Find("optional")) rule.optional = optional->boolean;
  if (const Json *range = row.Find("range")) rule.range = {range->items()[0].integer, range->items()[1].integer};
  if (const Json *values = row.Find("values")) {
    rule.values.emplace();
    for (const auto &value : values->items()) {
      if (value.kind == Json::kText) {
        rule.texts.push_back(value.text());
      } else {
        rule.values->push_back(NumberOf(value));
      }
    }
  }
  return rule;
}

PrimitiveRule ParseRule(const std::string &name, const Json &row) {
  PrimitiveRule rule;
  rule.name = name;
  rule.shape = row.Find("shape")->text();
  rule.moves = row.Find("moves") != nullptr;
  if (const Json *outputs = row.Find("outputs")) rule.outputs = static_cast<size_t>(outputs->integer);
  for (const auto &input : row.Find("inputs")->items()) {
    std::string kind = input.text();
    rule.least_inputs += kind.back() != '?';
    rule.repeats = kind.back() == '+';
    if (kind.back() == '?' || kind.back() == '+') kind.pop_back();
    rule.inputs.push_back(kind);
  }
  const Json &attributes = *row.Find("attributes");
  for (size_t i = 0; i < attributes.items().size(); i++) {
    rule.attributes.push_back(ParseAttributeRule(attributes.keys()[i], attributes.items()[i]));
  }
  return rule;
}

std::map<int64_t, PrimitiveRule> ParseTable() {
  std::map<int64_t, PrimitiveRule> table;
  const Json document = ParseJson(kPrimitivesJson);
  for (size_t i = 0; i < document.items().size(); i++) {
    const Json &row = document.items()[i];
    table[row.Find("number")->integer] = ParseRule(document.keys()[i], row);
  }
  return table;
}

std::string KindOf(const GraphTensor &tensor) {
  return tensor.weight ? "weight" : tensor.values ? "integers" : "variable";
}

std::vector<std::string> KindsOf(const std::string &kind) {
  if (kind == "float") return {"variable", "weight"};
  return {kind};
}

void CheckInputs(const PrimitiveRule &rule, const GraphNode &node, const std::vector<GraphTensor> &tensors,
                 const std::string &where) {
  const size_t most = rule.inputs.size(), count = node.inputs.size();
  if (count < rule.least_inputs || (count > most && !rule.repeats)) {
    std::vector<std::string> counts;
    for (size_t i = rule.least_inputs; i <= most; i++) counts.push_back(std::to_string(i));
    const std::string wanted = rule.repeats ? std::to_string(most) + " or more" : Join(counts, " or ");
    throw BundleError(where + ": " + rule.name + ": expected " + wanted + " inputs, found " + std::to_string(count));
  }
  if (node.outputs.size() != rule.outputs) {
    throw BundleError(where + ": " + rule.name + ": expected " + std::to_string(rule.outputs) +
                      (rule.outputs == 1 ? " output" : " outputs") + ", found " + std::to_string(node.outputs.size()));
  }
  std::vector<std::string> kinds;
  for (const int64_t index : node.inputs) kinds.push_back(KindOf(tensors[index]));
  if (std::find(kinds.begin(), kinds.end(), "variable") == kinds.end()) {  // the engine would wait for it for ever
    throw BundleError(where + ": " + rule.name + ": expected a variable among its inputs, found none");
  }
  for (size_t i = 0; i < count; i++) {
    const auto wanted = KindsOf(rule.inputs[std::min(i, most - 1)]);
    if (std::find(wanted.begin(), wanted.end(), kinds[i]) == wanted.end()) {
      throw BundleError(where + ": input " + std::to_string(i) + ": expected " + Join(wanted, " or ") + ", found " +
                        kinds[i]);
    }
  }
}

// A number of the table or of an attribute as the manifest writes it.
std::string Plain(double value, const std::string &type) {
  if (type == "bool") return value != 0 ? "true" : "false";
  return type == "float" || type == "floats" ? Exact(value) : Decimal(static_cast<Wide>(value));
}

std::string ShownValues(const std::vector<Wide> &values, const std::string &type) {
  const bool list = type == "longs";
  if (type == "bool") return values[0] != 0 ? "true" : "false";
  std::vector<std::string> parts;
  for (size_t i = 0; i < values.size() && i < 6; i++) parts.push_back(Decimal(values[i]));
  if (values.size() > 6) parts.push_back("...");
  return list ? "[" + Join(parts, ", ") + "]" : parts[0];
}

// What a value should have been, nothing where it is good.
std::string Expected(const AttributeRule &rule, const std::vector<Wide> &values) {
  if (rule.length && values.size() != *rule.length) return std::to_string(*rule.length) + " entries";
  if (rule.values) {
    const auto known = [&](Wide value) {
      return std::any_of(rule.values->begin(), rule.values->end(),
                         [&](double one) { return static_cast<Wide>(one) == value; });
    };
    if (!std::all_of(values.begin(), values.end(), known)) {
      std::vector<std::string> texts;
      for (const double value : *rule.values) texts.push_back(Plain(value, rule.type == "float" ? "long" : rule.type));
      return "one of " + Join(texts, ", ");
    }
  }
  if (rule.range) {
    const auto within = [&](Wide value) { return rule.range->first <= value && value <= rule.range->second; };
    if (!std::all_of(values.begin(), values.end(), within)) {
      return std::to_string(rule.range->first) + " to " + std::to_string(rule.range->second);
    }
  }
  return "";
}

}  // namespace

const AttributeRule *PrimitiveRule::Find(int64_t slot) const {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const AttributeRule &rule) { return rule.slot == slot; });
  return found == attributes.end() ? nullptr : &*found;
}

const PrimitiveRule *FindRule(int64_t primitive) {
  static const std::map<int64_t, PrimitiveRule> table = ParseTable();
  const auto found = table.find(primitive);
  return found == table.end() ? nullptr : &found->second;
}

const PrimitiveRule *RuleOf(const GraphNode &node, const std::vector<GraphTensor> &tensors,
                            const std::set<int64_t> &allowed, const std::string &where) {
  const PrimitiveRule *rule = FindRule(node.primitive);
  if (rule == nullptr) {
    if (allowed.count(node.primitive)) return nullptr;
    throw BundleError(where + ": primitive " + std::to_string(node.primitive) +
                      " is not known to this runtime, and not allowed");
  }
  CheckInputs(*rule, node, tensors, where);
  std::set<int64_t> found;
  for (const auto &attribute : node.attributes) {
    const AttributeRule *wanted = rule->Find(attribute.slot);
    if (wanted == nullptr) {
      throw BundleError(where + ": " + rule->name + " has no attribute in slot " + std::to_string(attribute.slot));
    }
    if (attribute.type != wanted->type) {
      throw BundleError(where + ": " + wanted->name + ": expected type " + wanted->type + ", found " +
                        attribute.type);
    }
    found.insert(attribute.slot);
  }
  for (const auto &wanted : rule->attributes) {
    if (!wanted.optional && !found.count(wanted.slot)) throw BundleError(where + ": " + wanted.name + " is missing");
  }
  return rule;
}

bool SharesMemory(const Manifest &manifest) {
  std::set<int64_t> moved;
  const auto is_moved = [&](int64_t index) { return moved.count(index) > 0; };
  for (const auto &port : manifest.inputs) moved.insert(port.tensor);
  for (const auto &node : manifest.nodes) {
    const PrimitiveRule *rule = FindRule(node.primitive);
    if ((rule == nullptr || rule->moves) && std::any_of(node.inputs.begin(), node.inputs.end(), is_moved)) {
      moved.insert(node.outputs.begin(), node.outputs.end());
    }
  }
  return std::any_of(manifest.outputs.begin(), manifest.outputs.end(),
                     [&](const Port &port) { return is_moved(port.tensor); });
}

bool IsFixed(const Attribute &attribute) {
  const auto fixed = [](const Expression &value) {
    return std::all_of(value.begin(), value.end(), [](const Term &term) { return term.groups.empty(); });
  };
  if (const auto *value = std::get_if<Expression>(&attribute.value)) return fixed(*value);
  const auto *values = std::get_if<std::vector<Expression>>(&attribute.value);
  return values == nullptr || std::all_of(values->begin(), values->end(), fixed);
}

std::vector<Wide> ValueAt(const AttributeRule &rule, const Attribute &attribute, const Widths &widths,
                          const std::string &where) {
  std::vector<Wide> values;
  std::string expected, found;
  if (rule.type == "string") {
    const auto &text = std::get<std::string>(attribute.value);
    if (rule.values && std::find(rule.texts.begin(), rule.texts.end(), text) == rule.texts.end()) {
      expected = "one of " + Join(rule.texts, ", ");
      found = Shown(text);
    }
  } else if (rule.type == "float") {
    const double value = std::get<double>(attribute.value);
    if (rule.values && std::find(rule.values->begin(), rule.values->end(), value) == rule.values->end()) {
      std::vector<std::string> texts;
      for (const double one : *rule.values) texts.push_back(Plain(one, "long"));
      expected = "one of " + Join(texts, ", ");
      found = Exact(value);
    }
  } else {
    if (rule.type == "bool") {
      values.push_back(std::get<bool>(attribute.value));
    } else if (rule.type == "longs") {
      for (const auto &entry : std::get<std::vector<Expression>>(attribute.value)) {
        values.push_back(Evaluate(entry, widths));
      }
    } else {
      values.push_back(Evaluate(std::get<Expression>(attribute.value), widths));
    }
    expected = Expected(rule, values);
    if (!expected.empty()) found = ShownValues(values, rule.type);
  }
  if (!expected.empty()) throw BundleError(where + ": " + rule.name + ": expected " + expected + ", found " + found);
  return values;
}

}  // namespace inn
