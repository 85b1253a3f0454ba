// Texts in two languages; the choice is remembered on this tablet.

const LANGUAGES = ["vi", "en"];
const KEY = "clinicedge-language";
const texts = {};
let current = "en";

function wanted() {
  let kept = null;
  try { kept = localStorage.getItem(KEY); } catch { /* private mode keeps nothing */ }
  if (LANGUAGES.includes(kept)) return kept;
  return (navigator.language || "").toLowerCase().startsWith("vi") ? "vi" : "en";
}

export async function start() {
  await Promise.all(LANGUAGES.map(async (name) => {
    texts[name] = await (await fetch(`/static/${name}.json`)).json();
  }));
  choose(wanted(), false);
}

export function choose(name, keep = true) {
  current = name;
  if (keep) { try { localStorage.setItem(KEY, name); } catch { /* shown all the same */ } }
  document.documentElement.lang = name;
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll("[data-i18n-label]")) {
    node.setAttribute("aria-label", t(node.dataset.i18nLabel));
  }
  for (const node of document.querySelectorAll("[data-lang]")) {
    node.setAttribute("aria-pressed", String(node.dataset.lang === name));
  }
}

export function t(key, values = {}) {
  const text = texts[current]?.[key] ?? texts.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export function language() { return current; }

export function has(key) { return key in (texts.en ?? {}); }

// A model's label in this language; an unknown one as the model spells it.
export function label(name) { return has(`label.${name}`) ? t(`label.${name}`) : name; }

export function capital(text) { return text.charAt(0).toLocaleUpperCase(current) + text.slice(1); }

export function percent(share) {
  const digits = { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return new Intl.NumberFormat(current, digits).format(share);
}

export function number(value, digits = 1) {
  return new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(value);
}

export function when(iso) {
  return new Intl.DateTimeFormat(current, { dateStyle: "short", timeStyle: "short" }).format(new Date(iso));
}
