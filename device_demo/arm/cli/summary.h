// What `inn-device info` shows of a bundle.
#ifndef INN_SUMMARY_H_
#define INN_SUMMARY_H_

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bundle.h"

namespace inn {

// A bundle's contents and its measured curve.
nlohmann::ordered_json Describe(const std::shared_ptr<const Bundle> &bundle);

std::string FormatSummary(const nlohmann::ordered_json &summary);

// An integer for JSON.
int64_t Number(Wide value);

}  // namespace inn

#endif  // INN_SUMMARY_H_
