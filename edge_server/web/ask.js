// The questions before the answer: which model, and the clinician's own reading.

import { byId, element } from "./dom.js";
import { capital, has, label, t } from "./i18n.js";

const NONE = "none";
const said = { opinion: "", findings: [], symptoms: [] };
const now = { models: [], model: null, chosen: () => {} };

export function start(models, chosen) {
  Object.assign(now, { models, model: models[0], chosen });
  byId("model").addEventListener("change", (event) => choose(event.target.value));
  draw();
}

// Another model has other labels: what was said of the film is asked anew.
function choose(name) {
  now.model = now.models.find((model) => model.name === name) ?? now.models[0];
  clear();
  now.chosen(now.model);
}

export function clear() {
  Object.assign(said, { opinion: "", findings: [], symptoms: [] });
  draw();
}

export function reading() {
  return { model: now.model.name, opinion: said.opinion, findings: said.findings, symptoms: said.symptoms };
}

export function draw() {
  if (!now.model) return;
  const { first_opinion: opinions, first_findings: findings, symptoms } = now.model.reading;
  drawModels();
  byId("ask-opinion").hidden = opinions.length === 0;
  drawChips("opinions", "radio", opinions.length ? [...opinions, "unsure"] : [], (name) => label(name),
    (name) => said.opinion === name, (name) => { said.opinion = name; });
  byId("ask-findings").hidden = findings.length === 0;
  drawChips("findings-seen", "checkbox", findings.length ? [...findings, NONE] : [], (name) => label(name),
    (name) => said.findings.includes(name), tickFinding);
  byId("ask-symptoms").hidden = symptoms.length === 0;
  drawChips("symptoms", "checkbox", symptoms, (name) => t(`symptom.${name}`),
    (name) => said.symptoms.includes(name), (name) => { said.symptoms = flipped(said.symptoms, name); });
  drawMain();
}

function drawModels() {
  byId("ask-model").hidden = now.models.length < 2;
  byId("model").replaceChildren(...now.models.map((model) => element("option", {
    value: model.name, textContent: `${model.name} · ${describe(model)}`, selected: model === now.model,
  })));
}

function describe(model) {
  const part = `body.${model.intended_use.body_part}`;
  const body = has(part) ? t(part) : model.intended_use.body_part.toLowerCase();
  return t(`model.${model.answer}`, { body });
}

function drawChips(id, type, names, text, ticked, tick) {
  byId(id).replaceChildren(...names.flatMap((name, index) => {
    const input = element("input", {
      type, name: id, value: name, id: `${id}-${index}`, className: "visually-hidden", checked: ticked(name),
    });
    input.addEventListener("change", () => tick(name));
    return [input, element("label", { className: "chip", htmlFor: input.id, textContent: capital(text(name)) })];
  }));
}

const flipped = (list, name) => (list.includes(name) ? list.filter((n) => n !== name) : [...list, name]);

// The first one ticked is the main one; "none of these" stands alone.
function tickFinding(name) {
  if (name === NONE) said.findings = said.findings.includes(NONE) ? [] : [NONE];
  else said.findings = flipped(said.findings.filter((n) => n !== NONE), name);
  for (const input of byId("findings-seen").querySelectorAll("input")) {
    input.checked = said.findings.includes(input.value);
  }
  drawMain();
}

function drawMain() {
  const [main] = said.findings;
  const known = main && main !== NONE;
  byId("findings-main").textContent = known ? t("ask.main", { label: label(main) }) : "";
}
