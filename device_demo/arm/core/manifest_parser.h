// Parsing a bundle's manifest: untrusted JSON in, `Manifest` out, every field checked.
#ifndef INN_MANIFEST_PARSER_H_
#define INN_MANIFEST_PARSER_H_

#include <string>

#include "json.h"
#include "manifest.h"

namespace inn {

constexpr int64_t kFormatVersion = 2;

// `source` is the file's name, used in messages. Throws BundleError, which names the field that is missing,
// of the wrong type or out of range.
Manifest ParseManifest(const Json &document, const std::string &source);

}  // namespace inn

#endif  // INN_MANIFEST_PARSER_H_
