// What lies over the film: heat map or probability, the crop that was looked at, and outlines.

import * as api from "./api.js";
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { cropOf } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
// Where the page puts a lesion's number, as a share of the film's longer side.
const NUMBER_SHARE = 1 / 26;
const now = { found: null, heat: null, flat: false, outlines: null, turn: 0, fail: () => {} };
const knob = (name) => byId(`${name}-switch`);
const isOn = (name) => knob(name).getAttribute("aria-checked") === "true";

export function start(fail) {
  now.fail = fail;
  for (const name of ["heat", "crop", "raw", "clean"]) {
    knob(name).addEventListener("click", () => turn(name, !isOn(name)));
  }
  byId("heat-fade").addEventListener("input", fade);
}

export function close() {
  now.turn += 1;
  if (now.heat) URL.revokeObjectURL(now.heat);
  Object.assign(now, { found: null, heat: null, flat: false, outlines: null });
  byId("heat").removeAttribute("src");
  for (const name of ["heat", "crop", "raw", "clean"]) show(name, false);
  for (const name of ["crop", "raw", "clean"]) byId(`mark-${name}`).replaceChildren();
  byId("controls").hidden = true;
}

// A case is on the screen: offer the layers that it has; its outlines are drawn at once.
export function open(found) {
  close();
  now.found = found;
  const masks = Boolean(found.links.segmentation);
  const crop = cropOf(found.predictions[0]);
  byId("marks").setAttribute("viewBox", `0 0 ${found.film.width} ${found.film.height}`);
  knob("heat").hidden = !found.links.explanation;
  knob("crop").hidden = !crop;
  knob("raw").hidden = !masks;
  knob("clean").hidden = !masks;
  byId("controls").hidden = !found.links.explanation && !crop && !masks;
  if (crop) drawCrop(crop);
  if (masks) turn("clean", true);
  redraw();
}

export function redraw() {
  if (!now.found) return;
  const masks = Boolean(now.found.links.segmentation);
  byId("heat-name").textContent = t(masks ? "layer.probability" : "heat.switch");
  byId("heat").alt = t(masks ? "layer.probability" : "heat.alt");
  drawNote();
}

async function turn(name, on) {
  const here = now.turn;
  if (on && name !== "crop" && !(await loaded(name, here))) return;
  if (here === now.turn) show(name, on);
}

function show(name, on) {
  knob(name).setAttribute("aria-checked", String(on));
  byId(name === "heat" ? "heat" : `mark-${name}`).toggleAttribute("hidden", !on);
  byId("heat-fade").disabled = !["heat", "raw", "clean"].some(isOn);
  fade();
  drawNote();
}

// Maps and outlines are fetched only when somebody asks for them.
async function loaded(name, here) {
  const there = name === "heat" ? now.heat : now.outlines;
  if (there) return true;
  knob(name).setAttribute("aria-busy", "true");
  try {
    await (name === "heat" ? loadHeat(here) : loadOutlines(here));
    return here === now.turn;
  } catch (error) {
    if (here === now.turn) now.fail(error);
    return false;
  } finally {
    knob(name).removeAttribute("aria-busy");
  }
}

async function loadHeat(here) {
  const { explanation, segmentation } = now.found.links;
  // A probability map is never flat in the sense of pointing nowhere.
  const told = segmentation ? { sign: 1 } : await api.json(`${explanation}?as=json`);
  const layer = await api.blob(explanation);
  if (here !== now.turn) return;
  now.heat = URL.createObjectURL(layer);
  now.flat = told.sign === 0;
  byId("heat").src = now.heat;
}

async function loadOutlines(here) {
  const told = await api.json(now.found.links.segmentation);
  if (here !== now.turn) return;
  now.outlines = told;
  const { width, height } = now.found.film;
  byId("mark-raw").replaceChildren(...told.raw_outline.map((region) => path(region)));
  byId("mark-clean").replaceChildren(...told.lesions.flatMap((lesion, index) =>
    [...prompt(lesion), path(lesion.outline), number(lesion, index + 1, Math.max(width, height) * NUMBER_SHARE)]));
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function path(polygons) {
  const d = polygons.map((points) => `M${points.map((p) => p.join(" ")).join("L")}Z`).join("");
  return shape("path", { d, "fill-rule": "evenodd" });
}

// The box that was asked about, where there was one.
function prompt(lesion) {
  if (!lesion.prompt) return [];
  const [x0, y0, x1, y1] = lesion.prompt;
  return [shape("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 })];
}

function number(lesion, value, size) {
  const [x0, y0] = lesion.box;
  const node = shape("text", { x: x0, y: Math.max(size, y0 - size / 4), "font-size": size });
  node.textContent = String(value);
  return node;
}

function drawCrop({ x0, y0, x1, y1 }) {
  byId("mark-crop").replaceChildren(shape("rect", { x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
}

function fade() {
  const opacity = byId("heat-fade").value / 100;
  byId("heat").style.opacity = opacity;
  // A line needs more than a veil to be seen; the slider still takes it away.
  for (const name of ["raw", "clean"]) byId(`mark-${name}`).style.opacity = Math.min(1, opacity * 1.8);
}

function drawNote() {
  const masks = Boolean(now.found?.links.segmentation);
  const notes = [];
  if (isOn("heat")) notes.push(t(masks ? "layer.probability.note" : now.flat ? "heat.flat" : "heat.note"));
  if (isOn("crop")) notes.push(t("layer.crop.note"));
  if (isOn("raw")) notes.push(t("layer.raw.note"));
  const boxes = now.found?.predictions[0].score_of === "box";
  if (isOn("clean")) notes.push(t(boxes ? "layer.boxes.note" : "layer.clean.note"));
  byId("heat-note").textContent = notes.join(" ");
}
