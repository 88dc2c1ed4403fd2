// Shape rules of primitives: shapes in, the output's shape out. They are the Python runtime's
// (runtime/inn_runtime/format/shapes.py), and stricter than the engine, which checks little and then reads and
// writes where the shapes would lead.
#ifndef INN_SHAPES_H_
#define INN_SHAPES_H_

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "text.h"

namespace inn {

constexpr size_t kMaxRank = 8;
constexpr Wide kMaxElements = (Wide{1} << 29) - 1;  // of a tensor: the engine counts its bytes in 32 bits

// Shapes or attributes that do not fit each other; says what was expected and what was found.
class Misfit : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What a node computes with, at some widths.
struct Operands {
  std::vector<WideShape> shapes;                          // of its inputs
  std::vector<WideShape> integers;                        // the values of its inputs that are constants
  std::map<std::string, std::vector<Wide>> attributes;    // optional ones may be missing
  bool batched;                                           // whether it runs on more than one image at a time
};

// The shapes of what a node writes. `rule` is a name of the table. Throws Misfit.
std::vector<WideShape> ShapesOf(const std::string &rule, const Operands &node);

// "[1, 2]"
std::string ListOf(const WideShape &shape);

}  // namespace inn

#endif  // INN_SHAPES_H_
