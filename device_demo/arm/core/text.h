// Values in messages, written as the Python runtime writes them, so that both say the same.
#ifndef INN_TEXT_H_
#define INN_TEXT_H_

#include <cstdint>
#include <string>
#include <vector>

namespace inn {

// Wide enough for the length of any dimension that a manifest can describe.
using Wide = __int128;
using WideShape = std::vector<Wide>;
using Shape = std::vector<int64_t>;

// UTF-8 as code points; a byte that is not UTF-8 becomes U+DC80 to U+DCFF.
std::u32string Decode(const std::string &text);
std::string Encode(const std::u32string &text);

// Whether a terminal shows the character as it is. Characters that Unicode has not assigned count as shown.
bool IsPrintable(char32_t character);
bool IsPrintable(const std::u32string &text);

// A text in quotes, with escapes for what cannot be shown.
std::string Quoted(const std::string &text);
std::u32string Quoted(const std::u32string &text);

// A number with up to six digits ("%g"), and with as many as tell it from every other.
std::string General(double value);
std::string Exact(double value);

std::string Decimal(Wide value);
// As above with a comma between thousands.
std::string Grouped(Wide value);
// "%.*f"
std::string Fixed(double value, int digits);

// "(1, 2)", "(1,)", "()"
std::string Tuple(const WideShape &shape);
std::string Tuple(const Shape &shape);

std::string Join(const std::vector<std::string> &parts, const std::string &separator);

}  // namespace inn

#endif  // INN_TEXT_H_
