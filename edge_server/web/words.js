// What a prediction says, in words and numbers, whatever kind it is. Nothing is drawn here.

import { capital, has, label, number, percent, t } from "./i18n.js";

// The two-label answer: the prediction itself, or the first of a cascade.
export function binaryOf(prediction) {
  if (prediction.kind === "cascade") return prediction.first;
  return prediction.kind === "classification" ? prediction : null;
}

export function findingsOf(prediction) {
  if (prediction.kind === "cascade") return prediction.second;
  return prediction.kind === "findings" ? prediction : null;
}

// The part of the film that was looked at, null for all of it.
export function cropOf(prediction) {
  return (binaryOf(prediction) ?? prediction).crop ?? findingsOf(prediction)?.crop ?? null;
}

// What has one score and one threshold; null where every finding has its own, or none was given.
export function scoredOf(prediction) {
  return prediction.kind === "segmentation" ? prediction : binaryOf(prediction);
}

export function isPositive(prediction) {
  if (prediction.kind === "findings") return prediction.main !== null;
  return Boolean(scoredOf(prediction)?.positive);
}

export function verdict(prediction) {
  if (prediction.kind === "no-score") return t("verdict.noscore");
  if (prediction.kind === "findings" && !prediction.main) return t("verdict.nofinding");
  const name = label(prediction.kind === "findings" ? prediction.main : scoredOf(prediction).positive_label ?? prediction.label);
  const values = { label: name, Label: capital(name) };
  if (prediction.kind === "segmentation") {
    return t(prediction.positive ? "verdict.marked" : "verdict.unmarked", values);
  }
  return t(isPositive(prediction) ? "verdict.positive" : "verdict.negative", values);
}

export function verdictNote(prediction) {
  if (prediction.kind === "no-score") return reason(prediction);
  if (prediction.kind === "findings") return t(prediction.main ? "verdict.finding.above" : "verdict.below");
  if (prediction.kind === "segmentation") {
    const regions = prediction.lesions.length;
    if (!regions) return t(byBox(prediction) ? "verdict.nobox" : "verdict.noregion");
    const none = prediction.lesions.filter((lesion) => lesion.area_px === 0).length;
    return t("verdict.regions", { regions }) + (none ? ` ${t("verdict.undrawn", { regions: none })}` : "");
  }
  return t(isPositive(prediction) ? "verdict.above" : "verdict.below");
}

// Whether a detector found the regions, so that the score is its surest box's.
export function byBox(prediction) { return prediction.score_of === "box"; }

// Why there is no score: in this language where the page knows the reason, else as the box says it.
export function reason(prediction) {
  const key = `reason.${prediction.code}`;
  return has(key) ? t(key) : prediction.reason;
}

// What stands in the pill of a list.
export function short(prediction) {
  if (prediction.kind === "no-score") return "–";
  if (prediction.kind === "findings") {
    const main = prediction.findings.find((f) => f.label === prediction.main);
    return main ? percent(main.score) : "–";
  }
  if (prediction.kind === "segmentation") return number(prediction.lesions.length, 0);
  return percent(scoredOf(prediction).score);
}

// The findings at or above their thresholds, the farthest first.
export function topFindings(findings) {
  return findings.filter((f) => f.positive)
    .sort((a, b) => (b.score - b.threshold) - (a.score - a.threshold)).slice(0, 3);
}

// What a cascade holds for the most likely: its second's main finding, else its first's label.
export function leading(prediction) {
  return prediction.first.positive ? prediction.second?.main ?? prediction.first.positive_label : prediction.first.label;
}

// How sure a region is: of its box where a detector found it, else of its pixels.
export function sureness(lesion) {
  const found = lesion.confidence ?? null;
  return found === null ? t("lesion.score", { score: percent(lesion.score) }) : t("lesion.box", { score: percent(found) });
}

export function area(lesion) {
  if (lesion.area_px === 0) return t("lesion.undrawn");
  if (lesion.area_mm2 === null) return t("lesion.px", { area: number(lesion.area_px, 0) });
  return t("lesion.mm2", { area: number(lesion.area_mm2, lesion.area_mm2 < 100 ? 1 : 0) });
}

export function place(lesion) { return t(`place.${lesion.location.join("-")}`); }

// One reason of a discrepancy, from its code and its figures; both sides have their main finding first.
export function differs(found) {
  const key = `discrepancy.${found.code}`;
  if (!has(key)) return found.message;
  const count = found.code === "findings-disagree";
  const names = (list) => (count ? list : list.slice(0, 1)).map((name) => label(name)).join(", ") || t("label.none");
  return t(key, {
    opinion: names(found.opinion), answer: names(found.answer),
    value: number(count ? found.value : found.value * 100, count ? 0 : 1),
  });
}
