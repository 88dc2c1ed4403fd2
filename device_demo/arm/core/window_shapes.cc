// Shape rules of what slides windows over images.
#include "shape_checks.h"

namespace inn {

namespace {

constexpr Wide kMaxDistantWindows = 1024;

// A window that slides along a dimension.
struct Span {
  Wide size, kernel, stride, dilation, before, after;
};

// How many windows there are; each must see a part of the image, or the engine reads or writes outside its memory.
Wide Windows(const Span &s) {
  const Wide padded = s.size + s.before + s.after, room = padded - ((s.kernel - 1) * s.dilation + 1);
  Expect("kernel", "a window within " + Decimal(padded) + " with its padding", Decimal(s.kernel), room >= 0);
  const Wide count = room / s.stride + 1, leading = RoundedUp(s.before, s.stride);
  bool seen = leading <= count && (count - 1) * s.stride - s.before < s.size;
  if (s.dilation <= s.size) {  // the first window is the farthest
    seen = seen && RoundedUp(s.before, s.dilation) < s.kernel;
  } else {
    seen = seen && leading <= kMaxDistantWindows;
    for (Wide start = -s.before; seen && start < 0; start += s.stride) {
      const Wide taps = RoundedUp(-start, s.dilation);
      seen = taps < s.kernel && start + taps * s.dilation < s.size;
    }
  }
  Expect("padding", "windows that see a part of the image", ListOf({s.before, s.after}), seen);
  return count;
}

WideShape Spans(const Operands &node, const char *strides, const WideShape &dilations, const char *pads) {
  const WideShape &shape = node.shapes[0], &kernel = node.attributes.at("kernel_size"),
                  &stride = node.attributes.at(strides), &pad = node.attributes.at(pads);
  WideShape counts;
  for (size_t d = 0; d < 2; d++) {
    counts.push_back(Windows({shape[d + 1], kernel[d], stride[d], dilations[d], pad[2 * d], pad[2 * d + 1]}));
  }
  return counts;
}

void ExpectBias(const Operands &node, Wide outputs) {
  if (node.shapes.size() > 2) ExpectEqual("bias", WideShape{outputs}, node.shapes[2]);
}

}  // namespace

WideShape Convolution(const Operands &node) {
  const WideShape &shape = Image(node), &kernel = node.attributes.at("kernel_size");
  const Wide channels = shape[3], group = node.attributes.at("group")[0];
  const Wide outputs = node.attributes.at("out_channel")[0];
  ExpectEqual("in_channel", channels, node.attributes.at("in_channel")[0]);
  Expect("group", "a divisor of " + Decimal(channels) + " and " + Decimal(outputs), Decimal(group),
         channels % group == 0 && outputs % group == 0);
  ExpectEqual("weight", WideShape{outputs, kernel[0], kernel[1], channels / group}, node.shapes[1]);
  ExpectBias(node, outputs);
  // MindSpore Lite 2.0 reads beyond its memory.
  const bool alone = group == 1 || (group == channels && group == outputs) || !node.batched;
  Expect("one_image", "true, with groups", "false", alone);
  const WideShape counts = Spans(node, "stride", node.attributes.at("dilation"), "pad_list");
  return {shape[0], counts[0], counts[1], outputs};
}

WideShape Deconvolution(const Operands &node) {
  const WideShape &shape = Image(node), &kernel = node.attributes.at("kernel_size"),
                  &strides = node.attributes.at("stride"), &dilations = node.attributes.at("dilation"),
                  &pads = node.attributes.at("pad_list"), &more = node.attributes.at("output_paddings");
  const Wide channels = shape[3], group = node.attributes.at("group")[0];
  const Wide outputs = node.attributes.at("out_channel")[0];
  ExpectEqual("in_channel", channels, node.attributes.at("in_channel")[0]);
  Expect("group", "1, or " + Decimal(channels) + " channels each by itself", Decimal(group),
         group == 1 || group == channels);
  if (group > 1) {
    ExpectEqual("out_channel", channels, outputs);
    ExpectEqual("dilation", WideShape{1, 1}, dilations);
  }
  ExpectEqual("weight", WideShape{channels, kernel[0], kernel[1], outputs / group}, node.shapes[1]);
  ExpectBias(node, outputs);
  WideShape lengths;
  for (size_t d = 0; d < 2; d++) {
    const Wide most = std::max(strides[d], dilations[d]), before = pads[2 * d], after = pads[2 * d + 1];
    Expect("output_paddings", "less than " + Decimal(most), Decimal(more[d]), more[d] < most);
    lengths.push_back((shape[d + 1] - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 + more[d] - before - after);
    Expect("pad_list", "an output of 1 or more", Decimal(lengths[d]), lengths[d] > 0);
  }
  return {shape[0], lengths[0], lengths[1], outputs};
}

WideShape Pool(const Operands &node) {
  const WideShape &shape = Image(node), ones = {1, 1};
  const auto &attributes = node.attributes;
  const auto global = attributes.find("global");
  if (global != attributes.end() && global->second[0] != 0) {
    const bool plain = attributes.at("kernel_size") == ones && attributes.at("strides") == ones &&
                       attributes.at("pad") == WideShape{0, 0, 0, 0};
    Expect("global", "kernel_size and strides of 1, no pad", "others", plain);
    return {shape[0], 1, 1, shape[3]};
  }
  const WideShape counts = Spans(node, "strides", ones, "pad");
  return {shape[0], counts[0], counts[1], shape[3]};
}

}  // namespace inn
