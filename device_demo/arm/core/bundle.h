// The `.inn` file: one container with a manifest (docs/reference/bundle-format.md).
#ifndef INN_BUNDLE_H_
#define INN_BUNDLE_H_

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "graph_rules.h"
#include "manifest.h"
#include "store.h"

namespace inn {

// Values of a tensor, C order.
struct Tensor {
  Shape shape;
  std::vector<float> values;
};

int64_t CountOf(const Shape &shape);

// An opened bundle. Its structure has been checked; values of tensors are checked at their first use. Not to
// be used by two threads at once.
class Bundle {
 public:
  // Throws UsageError where the file cannot be read, BundleError where it is no bundle, is damaged or of
  // another version.
  // `allow_primitives` are numbers of primitives that the graph may hold though there is no rule for them.
  explicit Bundle(const std::string &path, const std::set<int64_t> &allow_primitives = {});
  Bundle(const Bundle &) = delete;
  Bundle &operator=(const Bundle &) = delete;

  const std::string &source() const { return store_.path(); }
  const Manifest &manifest() const { return manifest_; }
  // What the graph must keep at every size before the engine sees it.
  const GraphRules &graph_rules() const { return *graph_rules_; }
  uint64_t bytes() const { return store_.bytes(); }
  std::string FileDigest() const { return store_.FileDigest(); }

  // How a tensor is stored: "float32", "float16", or "int" and the number of bits.
  std::string Storage(const std::string &key) const;
  // Values of a tensor that the manifest refers to. Throws BundleError where its bytes are not those of the
  // digest, or its values are not finite.
  Tensor Read(const std::string &key) const;
  // Check one of the manifest's digests, and finiteness.
  void Verify(const std::string &key) const;

 private:
  FileStore store_;
  Manifest manifest_;
  std::unique_ptr<const GraphRules> graph_rules_;
  std::unordered_map<std::string, Shape> shapes_;  // of every tensor's values, but the source network's
  std::unordered_map<std::string, std::string> digests_;
  mutable std::set<std::string> checked_;

  void CheckTensors();
  void CheckDigest(const std::string &key, const std::vector<uint8_t> &content) const;
};

}  // namespace inn

#endif  // INN_BUNDLE_H_
