// Line charts of one or two series against size, as SVG.

const NAMESPACE = "http://www.w3.org/2000/svg";
const LONGEST_BAR = 1.5; // times the highest point: an outlier must not flatten the line
const MARGIN = { left: 46, right: 14, top: 12, bottom: 30 };

function element(parent, name, attributes, text) {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

/** About `count` round numbers from at most `low` to at least `high`. */
export function ticks(low, high, count = 4) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = power * [1, 2, 5, 10].find((factor) => span / (power * factor) <= count);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(last - first, 1) + 1 }, (_, i) => +((first + i) * step).toPrecision(12));
}

/**
 * @param {SVGElement} svg
 * @param {{series: {name: string, points: {x: number, y: number, high?: number}[]}[], at: number,
 *   shade: ?number, zero: boolean, format: (y: number) => string, empty: string}} chart
 *   `at`: the size in use; `shade`: sizes below it are shaded; `zero`: whether the axis begins at 0
 */
export function draw(svg, { series, at, shade, zero, format, empty }) {
  svg.replaceChildren();
  const width = svg.clientWidth || 400;
  const height = svg.clientHeight || 220;
  const shown = series.filter((one) => one.points.length);
  const all = shown.flatMap((one) => one.points);
  if (!all.length) {
    element(svg, "text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, empty);
    return;
  }
  const lines = all.map((point) => point.y);
  const highest = Math.max(...lines, ...all.map((point) => Math.min(point.high ?? point.y, LONGEST_BAR * Math.max(...lines))));
  const levels = ticks(zero ? 0 : Math.min(...lines), highest);
  const [bottom, top] = [levels[0], levels[levels.length - 1]];
  const most = Math.max(1, ...all.map((point) => point.x));
  const x = (size) => MARGIN.left + (size / most) * (width - MARGIN.left - MARGIN.right);
  const y = (value) =>
    height - MARGIN.bottom - ((value - bottom) / (top - bottom)) * (height - MARGIN.top - MARGIN.bottom);

  if (shade) {
    element(svg, "rect", {
      class: "shade", x: x(0), y: MARGIN.top, width: x(shade) - x(0), height: y(bottom) - MARGIN.top,
    });
  }
  for (const level of levels) {
    element(svg, "line", { class: "grid", x1: x(0), x2: x(most), y1: y(level), y2: y(level) });
    element(svg, "text", { x: MARGIN.left - 6, y: y(level) + 4, "text-anchor": "end" }, format(level));
  }
  for (const size of [0, 0.25, 0.5, 0.75, 1]) {
    element(svg, "text", { x: x(size), y: height - 10, "text-anchor": "middle" }, size);
  }
  element(svg, "line", { class: "here", x1: x(at), x2: x(at), y1: MARGIN.top, y2: y(bottom) });
  shown.forEach((one, index) => {
    const group = element(svg, "g", { class: index ? "second" : "first" });
    const path = one.points.map((point, i) => `${i ? "L" : "M"}${x(point.x)} ${y(point.y)}`).join("");
    element(group, "path", { class: "line", d: path });
    for (const point of one.points) {
      if (point.high !== undefined) {
        element(group, "line", { class: "spread", x1: x(point.x), x2: x(point.x), y1: y(point.y), y2: y(Math.min(point.high, top)) });
      }
      element(group, "circle", { class: "dot", cx: x(point.x), cy: y(point.y), r: 3.5 });
      if (point.x === at) element(group, "circle", { class: "ring", cx: x(point.x), cy: y(point.y), r: 6.5 });
    }
    if (shown.length > 1) {
      const label = { x: x(most) - 4, y: y(bottom) - 10 - 16 * (shown.length - 1 - index), "text-anchor": "end" };
      element(group, "text", label, `${index ? "- -" : "—"} ${one.name}`);
    }
  });
}
