// Two heat maps beside each other, what each says, and what the clinician thinks of it.

import * as api from "./api.js";
import { byId, element } from "./dom.js";
import { label, language, t } from "./i18n.js";

const VERDICTS = ["helpful", "misleading", "wrong-place"];
const now = { found: null, told: null, chosen: [], maps: new Map(), turn: 0, fail: () => {} };

export function start(fail) {
  now.fail = fail;
  byId("maps").addEventListener("toggle", () => { if (byId("maps").open) load(); });
}

export function close() {
  now.turn += 1;
  Object.assign(now, { found: null, told: null, chosen: [], maps: new Map() });
  byId("maps").open = false;
  byId("maps").hidden = true;
  byId("map-pair").replaceChildren();
}

// A case is on the screen; nothing is fetched before somebody opens the comparison.
export function open(found) {
  close();
  now.found = found;
  byId("maps").hidden = !found.links.explanation;
}

export function redraw() { if (now.told) draw(); }

async function load() {
  if (now.told || !now.found) return;
  const here = now.turn;
  try {
    const told = await api.json(`${now.found.links.explanation}/methods`);
    if (here !== now.turn) return;
    now.told = told;
    const others = offered().filter((m) => m.method !== told.method);
    now.chosen = [told.method, ...others.slice(0, 1).map((m) => m.method)];
    draw();
  } catch (error) { if (here === now.turn) now.fail(error); }
}

function offered() { return now.told.methods.filter((m) => m.available); }

function draw() {
  byId("map-pair").replaceChildren(...now.chosen.map((method, place) => column(method, place)));
}

function column(method, place) {
  const choice = element("select", {}, ...offered().map((m) =>
    element("option", { value: m.method, selected: m.method === method,
      textContent: m.passes ? t("maps.slow", { method: m.method }) : m.method })));
  choice.setAttribute("aria-label", t("maps.method"));
  choice.addEventListener("change", () => { now.chosen[place] = choice.value; draw(); });
  const picture = element("img", { src: address(method, "overlay"), alt: t("heat.alt"), loading: "lazy" });
  const sentence = element("p", { className: "map-sentence" });
  const rating = element("div", { className: "rating", role: "group" });
  const node = element("div", { className: "map-column" }, choice, picture, sentence, rating);
  tell(method, sentence, rating);
  return node;
}

function address(method, form) {
  return `${now.found.links.explanation}?method=${encodeURIComponent(method)}&as=${form}`;
}

// The sentence and the buttons come when the numbers do.
async function tell(method, sentence, rating) {
  const here = now.turn;
  sentence.setAttribute("aria-busy", "true");
  try {
    if (!now.maps.has(method)) now.maps.set(method, api.json(address(method, "json")));
    const told = await now.maps.get(method);
    if (here !== now.turn) return;
    sentence.textContent = told.words.sentence[language()];
    byId("maps-caution").textContent = told.words.caution[language()];
    rating.setAttribute("aria-label", t("maps.rate", { label: label(told.label) }));
    rating.replaceChildren(element("span", { textContent: t("maps.rate") }),
      ...VERDICTS.map((verdict) => button(method, told.label, verdict)));
  } catch (error) {
    now.maps.delete(method);
    if (here === now.turn) now.fail(error);
  } finally { sentence.removeAttribute("aria-busy"); }
}

function button(method, about, verdict) {
  const mine = now.told.ratings.find((r) => r.method === method && r.label === about);
  const node = element("button", { type: "button", className: "button small", textContent: t(`maps.${verdict}`) });
  node.setAttribute("aria-pressed", String(mine?.verdict === verdict));
  node.addEventListener("click", () => rate(method, about, verdict));
  return node;
}

async function rate(method, about, verdict) {
  const here = now.turn;
  try {
    await api.send(`${now.found.links.explanation}/rating`, { method, class: about, verdict });
    if (here !== now.turn) return;
    const others = now.told.ratings.filter((r) => r.method !== method || r.label !== about);
    now.told.ratings = [...others, { method, label: about, verdict }];
    draw();
  } catch (error) { if (here === now.turn) now.fail(error); }
}
