// Drawing what a case has beside its score: findings, lesions, a discrepancy, the facts.

import { byId, element } from "./dom.js";
import { capital, label, number, percent, t, when } from "./i18n.js";
import * as words from "./words.js";

export function drawDetails(found) {
  const [prediction] = found.predictions;
  drawDiscrepancy(found.discrepancy ?? null);
  drawProbabilities(prediction);
  drawFindings(prediction);
  drawLesions(prediction);
  drawFacts(found, prediction);
}

function drawDiscrepancy(discrepancy) {
  const node = byId("discrepancy");
  const level = discrepancy?.level ?? "none";
  node.hidden = level === "none";
  if (node.hidden) return;
  node.classList.toggle("warning", level === "warning");
  byId("discrepancy-title").textContent = t(`discrepancy.${level}`);
  byId("discrepancy-reasons").replaceChildren(...discrepancy.reasons.map((found) =>
    element("li", { textContent: words.differs(found) })));
}

// The main diagnosis of a cascade and both its probabilities; one label alone says as much elsewhere.
function drawProbabilities(prediction) {
  const node = byId("probabilities");
  node.hidden = prediction.kind !== "cascade";
  if (node.hidden) return;
  byId("leading").textContent = t("cascade.leading", { label: label(words.leading(prediction)) });
  byId("probability-list").replaceChildren(...Object.entries(prediction.first.probabilities)
    .flatMap(([name, share]) => [
      element("dt", { textContent: capital(label(name)) }), element("dd", { textContent: percent(share) }),
    ]));
}

function drawFindings(prediction) {
  const told = words.findingsOf(prediction);
  const asked = prediction.kind === "cascade" || prediction.kind === "findings";
  byId("findings").hidden = !asked;
  byId("all-findings").hidden = !told;
  if (!asked) return;
  const top = told ? words.topFindings(told.findings) : [];
  byId("top-findings").replaceChildren(...top.map((f) => finding(f)));
  byId("no-findings").hidden = top.length > 0;
  byId("no-findings").textContent = t(told ? "findings.none" : "findings.unasked");
  byId("finding-list").replaceChildren(...(told?.findings ?? []).map((f) => finding(f)));
}

function finding({ label: name, score, threshold, positive }) {
  const values = { score: percent(score), threshold: percent(threshold) };
  const bar = element("div", { className: "mini-track" },
    element("div", { className: "mini-fill" }), element("div", { className: "mini-mark" }));
  bar.style.setProperty("--score", `${score * 100}%`);
  bar.style.setProperty("--mark", `${threshold * 100}%`);
  bar.setAttribute("aria-hidden", "true");
  const line = element("div", { className: "finding-line" },
    element("b", { textContent: capital(label(name)) }),
    element("span", { textContent: t("findings.score", values) }));
  return element("li", { className: positive ? "finding positive" : "finding" }, line, bar);
}

// Whether the regions stand for different things.
function several(lesions) { return new Set(lesions.map((lesion) => lesion.label)).size > 1; }

function drawLesions(prediction) {
  const lesions = prediction.lesions ?? [];
  byId("lesions").hidden = lesions.length === 0;
  byId("lesion-list").replaceChildren(...lesions.map((lesion) => element("li", {},
    element("b", { textContent: several(lesions) ? `${capital(label(lesion.label))}: ${words.place(lesion)}` : words.place(lesion) }),
    element("span", { textContent: `${words.area(lesion)} · ${words.sureness(lesion)}` }))));
}

function drawFacts(found, prediction) {
  const { report, timing } = prediction;
  const { film } = found;
  const names = (list, text) => (list ?? []).map(text).join(", ");
  const seen = found.first_findings ?? null;
  const rows = [
    ["case", `${found.number} · ${when(found.created)}`],
    ["film", `${film.name} (${film.format})`],
    ["size", `${film.width} × ${film.height}`],
    ["notes", film.notes.join("; ")],
    ["symptoms", names(found.symptoms, (s) => t(`symptom.${s}`))],
    ["findings", seen && seen.length === 0 ? label("none") : names(seen, (f) => label(f))],
    ["model", `${report.model} ${report.model_version}`],
    ["meaning", meaning(prediction)],
    ["members", names(prediction.members, (m) => `${m.role}: ${m.report.model} ${m.report.model_version}, ${m.report.artifact}`)],
    ["artifact", report.artifact],
    ["artifact_sha256", report.artifact_sha256, "mono"],
    ["bundle", report.bundle_id, "mono"],
    ["engine", `${report.session.engine_version}, ${report.session.device}`],
    ["compute", report.session.compute],
    ["threads", String(report.session.threads)],
    ["latency", timing && t("fact.latency.value", {
      preprocess: number(timing.preprocess_ms), inference: number(timing.inference_ms) })],
    ["session", report.session.notes.join("; ")],
    ["reason", prediction.reason],
    ["answer_note", prediction.note],
    ["film_sha256", film.sha256, "mono"],
  ].filter(([, value]) => value);
  byId("facts").replaceChildren(...rows.flatMap(([key, value, kind = ""]) => [
    element("dt", { textContent: t(`fact.${key}`) }),
    element("dd", { textContent: value, className: kind }),
  ]));
}

function meaning(prediction) {
  if (prediction.kind === "segmentation") {
    return t(words.byBox(prediction) ? "fact.meaning.box" : "fact.meaning.mask", { label: label(prediction.label) });
  }
  const binary = words.binaryOf(prediction);
  return binary ? t("fact.meaning.value", { label: label(binary.positive_label) }) : "";
}
