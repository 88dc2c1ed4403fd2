// The table of primitives: what nodes may say, checked before the engine sees them. It is the Python runtime's,
// runtime/inn_runtime/format/primitives.json, which is compiled in.
#ifndef INN_PRIMITIVES_H_
#define INN_PRIMITIVES_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "manifest.h"

namespace inn {

extern const char kPrimitivesJson[];

// What an attribute may be: its slot and type, how many entries a vector has, values or a range of them.
struct AttributeRule {
  std::string name;
  int64_t slot;
  std::string type;
  std::optional<size_t> length;
  std::vector<std::string> texts;                     // of strings
  std::optional<std::vector<double>> values;          // of numbers and booleans
  std::optional<std::pair<int64_t, int64_t>> range;
  bool optional = false;
};

// A row of the table; `inputs` are kinds without their ? and +. `moves` is said of what may leave its values
// where they are: the output can be the input's memory.
struct PrimitiveRule {
  std::string name, shape;
  std::vector<std::string> inputs;
  size_t least_inputs = 0;
  size_t outputs = 1;
  bool repeats = false, moves = false;
  std::vector<AttributeRule> attributes;

  const AttributeRule *Find(int64_t slot) const;
};

// The rule of a primitive, or null.
const PrimitiveRule *FindRule(int64_t primitive);

// The rule that a node is under, after a check of what does not depend on widths; null where a primitive of
// `allowed` has none. `where` begins messages. Throws BundleError.
const PrimitiveRule *RuleOf(const GraphNode &node, const std::vector<GraphTensor> &tensors,
                            const std::set<int64_t> &allowed, const std::string &where);

// Whether an output of the graph may lie where an input does, because all on the way only moves values.
// MindSpore Lite 2.0 frees such memory twice when it is resized to another batch.
bool SharesMemory(const Manifest &manifest);

// Whether an attribute is the same at all widths.
bool IsFixed(const Attribute &attribute);

// An attribute's value at some widths, checked: integers, booleans and floats as numbers, of a text none.
// Throws BundleError.
std::vector<Wide> ValueAt(const AttributeRule &rule, const Attribute &attribute, const Widths &widths,
                          const std::string &where);

}  // namespace inn

#endif  // INN_PRIMITIVES_H_
