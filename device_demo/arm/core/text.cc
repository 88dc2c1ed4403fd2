#include "text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace inn {

namespace {

// Control and format characters, separators other than the blank, halves of surrogate pairs, private use.
constexpr char32_t kUnprintable[][2] = {
    {0x00, 0x1f},       {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},     {0x61c, 0x61c},
    {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},     {0x1680, 0x1680},
    {0x180e, 0x180e},   {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},   {0x3000, 0x3000},
    {0xd800, 0xf8ff},   {0xfeff, 0xfeff},   {0xfff9, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe00ff},
    {0xe01f0, 0x10ffff},
};

std::string Format(const char *format, int digits, double value) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, format, digits, value);
  return buffer;
}

std::u32string Escape(char32_t c) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, c <= 0xff ? "\\x%02x" : c <= 0xffff ? "\\u%04x" : "\\U%08x",
                static_cast<unsigned>(c));
  return Decode(buffer);
}

template <typename Integer>
std::string TupleOf(const std::vector<Integer> &shape) {
  std::vector<std::string> parts;
  for (const auto size : shape) parts.push_back(Decimal(size));
  return "(" + Join(parts, ", ") + (parts.size() == 1 ? ",)" : ")");
}

}  // namespace

std::u32string Decode(const std::string &text) {
  std::u32string result;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80 ? 1 : byte >= 0xc2 && byte < 0xe0 ? 2 : (byte & 0xf0) == 0xe0 ? 3
                        : byte >= 0xf0 && byte < 0xf5 ? 4 : 0;
    char32_t code = length == 1 ? byte : byte & (0x7f >> length);
    bool good = length > 0 && i + length <= text.size();
    for (size_t k = 1; good && k < length; k++) {
      good = (text[i + k] & 0xc0) == 0x80;
      code = code << 6 | (text[i + k] & 0x3f);
    }
    result += good ? code : 0xdc00 + byte;
    i += good ? length : 1;
  }
  return result;
}

std::string Encode(const std::u32string &text) {
  std::string result;
  for (const char32_t c : text) {
    if (c < 0x80) {
      result += static_cast<char>(c);
    } else if (c >= 0xdc80 && c <= 0xdcff) {  // a byte that `Decode` found
      result += static_cast<char>(c - 0xdc00);
    } else {
      const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
      result += static_cast<char>((0xff00 >> (more + 1) & 0xff) | c >> (6 * more));
      for (int k = more - 1; k >= 0; k--) result += static_cast<char>(0x80 | (c >> (6 * k) & 0x3f));
    }
  }
  return result;
}

bool IsPrintable(char32_t character) {
  return std::none_of(std::begin(kUnprintable), std::end(kUnprintable),
                      [&](const auto &range) { return range[0] <= character && character <= range[1]; });
}

bool IsPrintable(const std::u32string &text) {
  return std::all_of(text.begin(), text.end(), [](char32_t c) { return IsPrintable(c); });
}

std::u32string Quoted(const std::u32string &text) {
  const bool has_single = text.find(U'\'') != text.npos, has_double = text.find(U'"') != text.npos;
  const char32_t quote = has_single && !has_double ? U'"' : U'\'';
  std::u32string result(1, quote);
  for (const char32_t c : text) {
    if (c == quote || c == U'\\') {
      result += {U'\\', c};
    } else if (c == U'\n' || c == U'\r' || c == U'\t') {
      result += {U'\\', c == U'\n' ? U'n' : c == U'\r' ? U'r' : U't'};
    } else {
      result += IsPrintable(c) ? std::u32string(1, c) : Escape(c);
    }
  }
  return result + quote;
}

std::string Quoted(const std::string &text) { return Encode(Quoted(Decode(text))); }

std::string General(double value) { return Format("%.*g", 6, value); }

std::string Fixed(double value, int digits) { return Format("%.*f", digits, value); }

std::string Exact(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string text(buffer, end);
  const size_t mark = text.find('e');
  if (mark == text.npos) return text;  // not finite
  const int exponent = std::atoi(text.c_str() + mark + 1);
  if (exponent < -4 || exponent >= 16) return text;
  const int digits = static_cast<int>(mark) - (value < 0) - (text.find('.') != text.npos);
  return Fixed(value, std::max(1, digits - 1 - exponent));
}

std::string Decimal(Wide value) {
  std::string digits;
  const bool negative = value < 0;
  do {
    digits += static_cast<char>('0' + std::abs(static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  if (negative) digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string Grouped(Wide value) {
  std::string text = Decimal(value);
  const int first = value < 0;
  for (int i = static_cast<int>(text.size()) - 3; i > first; i -= 3) text.insert(i, ",");
  return text;
}

std::string Tuple(const WideShape &shape) { return TupleOf(shape); }

std::string Tuple(const Shape &shape) { return TupleOf(shape); }

std::string Join(const std::vector<std::string> &parts, const std::string &separator) {
  std::string result;
  for (size_t i = 0; i < parts.size(); i++) result += (i ? separator : "") + parts[i];
  return result;
}

}  // namespace inn
