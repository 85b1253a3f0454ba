// Drawing a case on the page. No requests here.

import { drawDetails } from "./details.js";
import { byId, element } from "./dom.js";
import { has, label, percent, t, when } from "./i18n.js";
import * as words from "./words.js";

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

const ICONS = { positive: "#i-alert", none: "#i-info", negative: "#i-below" };

function state(prediction) {
  if (prediction.kind === "no-score") return "none";
  return words.isPositive(prediction) ? "positive" : "negative";
}

export function drawResult(found) {
  const [prediction] = found.predictions;
  const here = state(prediction);
  for (const name of Object.keys(ICONS)) byId("verdict").classList.toggle(name, here === name);
  byId("verdict-icon").setAttribute("href", ICONS[here]);
  byId("verdict-text").textContent = words.verdict(prediction);
  byId("verdict-sub").textContent = words.verdictNote(prediction);
  byId("answered-by").textContent = prediction.report.model;
  const told = drawScore(words.scoredOf(prediction));
  drawOpinion(found, words.binaryOf(prediction));
  drawDetails(found);
  const spoken = [words.verdict(prediction), told || words.verdictNote(prediction), t("caution")];
  byId("live").textContent = spoken.map((part) => part.replace(/\.$/, "")).join(". ") + ".";
}

// The score on its bar; hidden where there is no single one. Gives what the bar says.
function drawScore(scored) {
  const bar = byId("score");
  bar.hidden = !scored;
  byId("near").hidden = !scored || Math.abs(scored.score - scored.threshold) >= 0.1;
  if (!scored) return "";
  const values = { score: percent(scored.score), threshold: percent(scored.threshold) };
  const name = words.byBox(scored) ? "score.box" : scored.kind === "segmentation" ? "score.largest" : "score.name";
  byId("score-name").textContent = t(name);
  byId("score-value").textContent = values.score;
  byId("threshold-value").textContent = values.threshold;
  bar.classList.toggle("positive-score", scored.positive);
  bar.style.setProperty("--score", `${scored.score * 100}%`);
  bar.style.setProperty("--mark", `${scored.threshold * 100}%`);
  bar.setAttribute("aria-label", t("score.label", values));
  return t("score.label", values);
}

// Where the bundle has rules for it, the discrepancy says more than this line.
function drawOpinion(found, binary) {
  const opinion = found.first_opinion;
  const node = byId("opinion");
  const told = (found.discrepancy?.level ?? "none") !== "none";
  node.hidden = !opinion || told;
  if (node.hidden) return;
  const differs = Boolean(binary) && opinion !== "unsure" && opinion !== binary.label;
  const agrees = binary && !differs && opinion !== "unsure";
  const key = opinion === "unsure" ? "unsure" : differs ? "differs" : agrees ? "agrees" : "told";
  node.classList.toggle("differs", differs);
  node.textContent = t(`opinion.${key}`, { label: label(opinion) });
}

export function drawCases(listed, openId) {
  byId("no-cases").hidden = listed.cases.length > 0;
  byId("total").textContent = listed.total ? `(${listed.total})` : "";
  byId("cases").replaceChildren(...listed.cases.map((found) => {
    const [prediction] = found.predictions;
    const pill = element("span", { className: `pill ${state(prediction)}`, textContent: words.short(prediction) });
    pill.title = words.verdict(prediction);
    const who = element("span", { className: "who" },
      element("span", { textContent: words.verdict(prediction) }),
      element("span", { className: "when", textContent: `${when(found.created)} · ${found.film.name}` }));
    const link = element("a", { href: `#case=${found.id}` },
      element("span", { className: "number", textContent: found.number }), who, pill);
    if (found.id === openId) link.setAttribute("aria-current", "true");
    return element("li", {}, link);
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
