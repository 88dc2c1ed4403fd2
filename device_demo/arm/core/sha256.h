// SHA-256 (FIPS 180-4).
#ifndef INN_SHA256_H_
#define INN_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace inn {

class Sha256 {
 public:
  void Update(const void *data, size_t size);
  // The digest in hexadecimal; nothing may be added afterwards.
  std::string Finish();

 private:
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};  // the first size_ % 64 bytes wait for the rest
  uint64_t size_ = 0;
};

}  // namespace inn

#endif  // INN_SHA256_H_
