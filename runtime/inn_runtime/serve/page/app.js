// The page: a picture, a size, the network's answers, its curves.

import { draw } from "./chart.js";

const $ = (id) => document.getElementById(id);
const LIVE_SIDE = 640; // pixels of a camera picture's longer side

let model; // what /api/model says
let picture = null; // {sample: number} or {blob: Blob}
let chosen = 0; // index of the size in use
const latencies = new Map(); // size → {p50, p95, model_bytes, …}

// ------------------------------------------------------------------ server
async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The device does not answer. Is inn serve still running?");
  }
  const result = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(result.error ?? `The device answered ${response.status}.`);
  return result;
}

function report(error) {
  $("problem").textContent = error ? error.message : "";
  $("problem").hidden = !error;
}

// ------------------------------------------------------------------ formatting
const milliseconds = (value) => `${value < 10 ? value.toFixed(2) : value.toPrecision(3)} ms`;
const megabytes = (value) => `${(value / 1e6).toFixed(2)} MB`;
const percent = (value) => `${(100 * value).toFixed(1)} %`;

function count(value) {
  const units = [[1e9, " G"], [1e6, " M"], [1e3, " k"]];
  const [unit, name] = units.find(([least]) => value >= least) ?? [1, ""];
  return `${(value / unit).toPrecision(3)}${name}`;
}

function setFacts(list, facts) {
  list.replaceChildren(...facts.map(([name, value]) => {
    const row = document.createElement("div");
    const term = Object.assign(document.createElement("dt"), { textContent: name });
    const detail = Object.assign(document.createElement("dd"), { textContent: value });
    row.append(term, detail);
    return row;
  }));
}

// ------------------------------------------------------------------ size
function setSize(index) {
  chosen = index;
  const size = model.sizes[index];
  const full = model.sizes[model.sizes.length - 1];
  $("slider").value = index;
  $("slider").setAttribute("aria-valuetext", `size ${size.size} ${size.name}`);
  $("size").textContent = size.size;
  $("size-name").textContent = size.name + (size.safe ? "" : " – measured to collapse at this size");
  for (const button of $("presets").children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.index) === index));
  }
  const facts = [
    ["parameters", `${count(size.parameters)} (${percent(size.parameters / full.parameters)})`],
    ["FLOPs", `${count(size.flops)} (${percent(size.flops / full.flops)})`],
  ];
  for (const [metric, value] of Object.entries(size.measured)) facts.push([metric, quality(metric)(value)]);
  setFacts($("facts"), facts);
  drawCurves();
  ask();
}

// ------------------------------------------------------------------ answers
let asking = false;
let askAgain = false;

/** Ask about the picture in use; what changes meanwhile is asked about once, afterwards. */
async function ask() {
  if (!picture) return;
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  const query = new URLSearchParams({ size: model.sizes[chosen].size });
  const options = { method: "POST" };
  if (picture.blob) options.body = picture.blob;
  else query.set("sample", picture.sample);
  try {
    show(await request(`api/answer?${query}`, options));
    report(null);
  } catch (error) {
    $("pair").hidden = true;
    $("verdict").textContent = "No answer.";
    $("verdict").className = "quiet";
    report(error);
  }
  asking = false;
  if (askAgain) {
    askAgain = false;
    ask();
  }
}

function show(answer) {
  for (const entry of [answer.chosen, answer.full]) latencies.set(entry.size, entry);
  $("pair").hidden = false;
  $("chosen-title").textContent = `Size ${answer.chosen.size}`;
  for (const side of ["chosen", "full"]) {
    const entry = answer[side];
    $(side).replaceChildren(...(entry.classes ?? []).map(bar));
    setFacts($(`${side}-facts`), [
      ["p50", milliseconds(entry.p50)],
      ["p95", milliseconds(entry.p95)],
      ["runs", entry.runs],
      ["model", megabytes(entry.model_bytes)],
      ["resampled in", milliseconds(entry.resample)],
      ["built in", milliseconds(entry.build)],
    ]);
  }
  const faster = answer.full.p50 / answer.chosen.p50;
  const speed = faster >= 1.05 ? `, ${faster.toFixed(1)} times as fast` : "";
  if (answer.chosen.size === answer.full.size) {
    $("verdict").className = "quiet";
    $("verdict").textContent = "This is the full network itself.";
  } else if (answer.kind === "classes") {
    $("verdict").className = answer.agree ? "agree" : "differ";
    $("verdict").textContent = answer.agree
      ? `✓ The same answer as the full network${speed}.`
      : `✗ Not the full network's answer${speed}.`;
  } else {
    $("verdict").className = "quiet";
    $("verdict").textContent = `The output differs from the full network's by ${answer.psnr.toFixed(1)} dB (PSNR)${speed}.`;
  }
  drawCurves();
}

function bar({ label, share }) {
  const item = document.createElement("li");
  const fill = Object.assign(document.createElement("div"), { className: "bar" });
  fill.style.width = `${100 * share}%`;
  const name = Object.assign(document.createElement("span"), { textContent: label, title: label });
  item.append(fill, name, Object.assign(document.createElement("span"), { textContent: percent(share) }));
  return item;
}

// ------------------------------------------------------------------ picture
let shownUrl = "";

function usePicture(next, url) {
  picture = next;
  if (shownUrl.startsWith("blob:")) URL.revokeObjectURL(shownUrl);
  shownUrl = url;
  if (url) $("preview").src = url;
  $("preview").hidden = !url;
  $("no-picture").hidden = true;
  for (const button of $("samples").children) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.index) === next.sample));
  }
  ask();
}

function useFile(file) {
  if (!file) return;
  stopCamera();
  if (file.size > model.max_bytes) {
    report(new Error(`The picture has ${megabytes(file.size)}; at most ${megabytes(model.max_bytes)} are taken.`));
    return;
  }
  usePicture({ blob: file }, URL.createObjectURL(file));
}

// ------------------------------------------------------------------ camera
let stream = null;

async function startCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    report(new Error(`The camera cannot be used: ${error.message}.`));
    return;
  }
  $("camera").setAttribute("aria-pressed", "true");
  $("video").srcObject = stream;
  await $("video").play();
  $("video").hidden = false;
  $("preview").hidden = true;
  $("no-picture").hidden = true;
  const canvas = document.createElement("canvas");
  while (stream) {
    const { videoWidth: width, videoHeight: height } = $("video");
    const scale = Math.min(1, LIVE_SIDE / Math.max(width, height));
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.getContext("2d").drawImage($("video"), 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
    if (!stream) break;
    picture = { blob };
    await ask();
    await new Promise((done) => setTimeout(done, 100));
  }
}

function stopCamera() {
  if (!stream) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  $("video").srcObject = null;
  $("video").hidden = true;
  $("camera").setAttribute("aria-pressed", "false");
  $("preview").hidden = !shownUrl;
}

// ------------------------------------------------------------------ curves
const quality = (metric) => (metric === "psnr" ? (value) => `${value.toFixed(1)} dB` : percent);

function drawCurves() {
  const metrics = Object.keys(model.sizes[0].measured);
  const at = model.sizes[chosen].size;
  const unsafe = model.sizes.filter((size) => !size.safe);
  draw($("quality"), {
    series: metrics.map((metric) => ({
      name: metric,
      points: model.sizes
        .filter((size) => metric in size.measured)
        .map((size) => ({ x: size.size, y: size.measured[metric] })),
    })),
    at,
    shade: unsafe.length ? model.sizes[unsafe.length].size : null,
    zero: false,
    format: metrics[0] === "psnr" ? (y) => `${y} dB` : (y) => `${+(100 * y).toFixed(1)} %`,
    empty: "The bundle holds no measurements.",
  });
  const timed = model.sizes.filter((size) => latencies.has(size.size));
  draw($("latency"), {
    series: [{
      name: "p50",
      points: timed.map(({ size }) => ({ x: size, y: latencies.get(size).p50, high: latencies.get(size).p95 })),
    }],
    at,
    shade: null,
    zero: true,
    format: (y) => String(y),
    empty: "Not measured yet.",
  });
  fillTable(metrics);
}

function fillTable(metrics) {
  const table = $("table");
  table.replaceChildren();
  const heads = table.createTHead().insertRow();
  for (const name of ["size", "parameters", "FLOPs", ...metrics, "p50", "p95", "model"]) {
    heads.append(Object.assign(document.createElement("th"), { textContent: name, scope: "col" }));
  }
  const body = table.createTBody();
  for (const size of model.sizes) {
    const timed = latencies.get(size.size);
    const cells = [
      `${size.size} ${size.name}`, size.parameters.toLocaleString("en"), count(size.flops),
      ...metrics.map((metric) => (metric in size.measured ? quality(metric)(size.measured[metric]) : "–")),
      ...(timed ? [milliseconds(timed.p50), milliseconds(timed.p95), megabytes(timed.model_bytes)] : ["–", "–", "–"]),
    ];
    const row = body.insertRow();
    for (const text of cells) row.insertCell().textContent = text;
  }
}

async function measureAll() {
  $("measure").disabled = true;
  try {
    for (const { size } of model.sizes) {
      latencies.set(size, await request(`api/latency?${new URLSearchParams({ size })}`, { method: "POST" }));
      drawCurves();
    }
  } catch (error) {
    report(error);
  }
  $("measure").disabled = false;
}

async function findBest(event) {
  event.preventDefault();
  const budget = $("milliseconds").value;
  const button = event.submitter ?? $("budget").querySelector("button");
  button.disabled = true;
  $("found").textContent = "Measuring …";
  try {
    const { size, measured } = await request(`api/best?${new URLSearchParams({ ms: budget })}`, { method: "POST" });
    for (const entry of measured) latencies.set(entry.size, entry);
    const found = latencies.get(size);
    $("found").textContent = `Size ${size}: ${milliseconds(found.p50)} (p95 ${milliseconds(found.p95)}).`;
    setSize(model.sizes.findIndex((entry) => entry.size === size));
  } catch (error) {
    $("found").textContent = error.message;
  }
  button.disabled = false;
}

// ------------------------------------------------------------------ start
function addSamples() {
  for (let index = 0; index < model.samples; index++) {
    const url = `api/samples/${index}`;
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.dataset.index = index;
    button.setAttribute("aria-label", `Sample ${index + 1}`);
    button.append(Object.assign(document.createElement("img"), { src: url, alt: "", loading: "lazy" }));
    button.addEventListener("click", () => {
      stopCamera();
      usePicture({ sample: index }, url);
    });
    $("samples").append(button);
  }
}

function addPresets() {
  model.sizes.forEach(({ name }, index) => {
    if (!name) return;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.dataset.index = index;
    button.addEventListener("click", () => setSize(index));
    $("presets").append(button);
  });
}

function listen() {
  $("slider").addEventListener("input", () => setSize(Number($("slider").value)));
  for (const id of ["file", "photo"]) {
    $(id).addEventListener("change", () => {
      useFile($(id).files[0]);
      $(id).value = ""; // so that the same file can be chosen again
    });
  }
  $("preview").addEventListener("load", () => {
    $("preview").classList.toggle("pixels", $("preview").naturalWidth < 100);
  });
  $("preview").addEventListener("error", () => { $("preview").hidden = true; });
  $("frame").addEventListener("dragover", (event) => {
    event.preventDefault();
    $("frame").classList.add("over");
  });
  $("frame").addEventListener("dragleave", () => $("frame").classList.remove("over"));
  $("frame").addEventListener("drop", (event) => {
    event.preventDefault();
    $("frame").classList.remove("over");
    useFile(event.dataTransfer.files[0]);
  });
  $("photo-button").hidden = !matchMedia("(pointer: coarse)").matches;
  $("camera").hidden = !navigator.mediaDevices?.getUserMedia; // browsers offer it on localhost and over HTTPS alone
  $("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
  $("measure").addEventListener("click", () => {
    report(null); // not when it is done: by then there may be something else to say
    measureAll();
  });
  $("budget").addEventListener("submit", findBest);
  addEventListener("resize", drawCurves);
}

async function start() {
  model = await request("api/model");
  document.title = `${model.name} – INN-Lite`;
  $("name").textContent = model.name;
  const { channels, height, width } = model.input;
  const kind = channels === 1 ? "grey" : "RGB";
  $("device").textContent =
    `${model.device} · ${model.engine}, ${model.threads} thread${model.threads === 1 ? "" : "s"} · ${width} × ${height} ${kind}`;
  const metrics = Object.keys(model.sizes[0].measured);
  const only = metrics.length === 1 ? ` (${metrics[0]})` : ""; // several are named in the chart
  $("quality-caption").textContent = `Measured at export${only} on ${model.images_measured} images, against size`;
  $("slider").max = model.sizes.length - 1;
  addPresets();
  addSamples();
  listen();
  const middle = model.sizes.findIndex(({ name }) => name === "small");
  setSize(middle >= 0 ? middle : model.sizes.length - 1);
  if (model.samples) usePicture({ sample: 0 }, "api/samples/0");
  await measureAll();
}

start().catch(report);
