// Drawing a case on the page. No requests here.

import { capital, has, label, number, percent, t, when } from "./i18n.js";

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// A film of width x height pixels fills the stage without being squeezed.
export function fit(width, height) { byId("film-box").style.setProperty("--ratio", width / height); }

export function showError(problem) {
  const known = has(`problem.${problem.slug}`);
  byId("error-title").textContent = t(known ? `problem.${problem.slug}` : "problem.other");
  const own = has(`problem.${problem.slug}.detail`);
  byId("error-detail").textContent = own ? t(`problem.${problem.slug}.detail`) : problem.message;
  byId("error").hidden = false;
  byId("error").scrollIntoView({ block: "nearest" });
}

export function verdictWords(prediction) {
  const name = label(prediction.positive_label);
  const key = prediction.positive ? "verdict.positive" : "verdict.negative";
  return t(key, { label: name, Label: capital(name) });
}

export function drawResult(found) {
  const prediction = found.predictions[0];
  const { positive, score, threshold } = prediction;
  byId("verdict").classList.toggle("positive", positive);
  byId("verdict-icon").setAttribute("href", positive ? "#i-alert" : "#i-below");
  byId("verdict-text").textContent = verdictWords(prediction);
  byId("verdict-sub").textContent = t(positive ? "verdict.above" : "verdict.below");
  byId("score-value").textContent = percent(score);
  byId("threshold-value").textContent = percent(threshold);
  const bar = byId("score");
  bar.classList.toggle("positive-score", positive);
  bar.style.setProperty("--score", `${score * 100}%`);
  bar.style.setProperty("--mark", `${threshold * 100}%`);
  const values = { score: percent(score), threshold: percent(threshold) };
  bar.setAttribute("aria-label", t("score.label", values));
  byId("near").hidden = Math.abs(score - threshold) >= 0.1;
  drawOpinion(found.first_opinion, prediction);
  drawFacts(found, prediction);
  byId("live").textContent = `${verdictWords(prediction)}. ${t("score.label", values)}. ${t("caution")}`;
}

function drawOpinion(opinion, prediction) {
  const node = byId("opinion");
  node.hidden = !opinion;
  if (!opinion) return;
  const differs = opinion !== "unsure" && opinion !== prediction.label;
  const key = opinion === "unsure" ? "unsure" : differs ? "differs" : "agrees";
  node.classList.toggle("differs", differs);
  node.textContent = t(`opinion.${key}`, { label: label(opinion) });
}

function drawFacts(found, prediction) {
  const { report, timing } = prediction;
  const { film } = found;
  const times = { preprocess: number(timing.preprocess_ms), inference: number(timing.inference_ms) };
  const rows = [
    ["case", `${found.number} · ${when(found.created)}`],
    ["film", `${film.name} (${film.format})`],
    ["size", `${film.width} × ${film.height}`],
    ["notes", film.notes.join("; ")],
    ["model", `${report.model} ${report.model_version}`],
    ["meaning", t("fact.meaning.value", { label: label(prediction.positive_label) })],
    ["artifact", report.artifact],
    ["artifact_sha256", report.artifact_sha256, "mono"],
    ["bundle", report.bundle_id, "mono"],
    ["engine", `${report.session.engine_version}, ${report.session.device}`],
    ["compute", report.session.compute],
    ["threads", String(report.session.threads)],
    ["latency", t("fact.latency.value", times)],
    ["session", report.session.notes.join("; ")],
    ["film_sha256", film.sha256, "mono"],
  ].filter(([, value]) => value);
  byId("facts").replaceChildren(...rows.flatMap(([key, value, kind = ""]) => [
    element("dt", { textContent: t(`fact.${key}`) }),
    element("dd", { textContent: value, className: kind }),
  ]));
}

export function drawCases(listed, openId) {
  byId("no-cases").hidden = listed.cases.length > 0;
  byId("total").textContent = listed.total ? `(${listed.total})` : "";
  byId("cases").replaceChildren(...listed.cases.map((found) => {
    const prediction = found.predictions[0];
    const pill = element("span", { className: "pill", textContent: percent(prediction.score) });
    pill.classList.toggle("positive", prediction.positive);
    pill.title = verdictWords(prediction);
    const who = element("span", { className: "who" },
      element("span", { textContent: verdictWords(prediction) }),
      element("span", { className: "when", textContent: `${when(found.created)} · ${found.film.name}` }));
    const link = element("a", { href: `#case=${found.id}` },
      element("span", { className: "number", textContent: found.number }), who, pill);
    if (found.id === openId) link.setAttribute("aria-current", "true");
    return element("li", {}, link);
  }));
}

export function drawOpinions(labels) {
  byId("opinions").replaceChildren(...[...labels, "unsure"].flatMap((name, index) => {
    const input = element("input", {
      type: "radio", name: "opinion", value: name, id: `opinion-${index}`, className: "visually-hidden",
    });
    const chip = element("label", { className: "chip", htmlFor: input.id, textContent: capital(label(name)) });
    return [input, chip];
  }));
}

export function drawOffers(own, phantoms, choose) {
  const thumb = (text, picture, pick, className) => {
    const button = element("button", { type: "button" },
      element("img", { src: picture, alt: "", loading: "lazy" }), element("span", { textContent: text }));
    button.addEventListener("click", pick);
    return element("li", { className }, button);
  };
  const list = phantoms.map(({ key, url }) => thumb(
    has(`phantom.${key}`) ? t(`phantom.${key}`) : key, url, () => choose(url, `phantom-${key}.png`), ""));
  if (own) list.unshift(thumb(own.name, own.preview, () => choose(own.url, own.name), "own"));
  byId("thumbs").replaceChildren(...list);
}
