// The tablet's page: choose a film, see the score against its threshold, look at the heat map.

import * as api from "./api.js";
import * as ask from "./ask.js";
import { byId } from "./dom.js";
import * as i18n from "./i18n.js";
import * as layers from "./layers.js";
import * as maps from "./maps.js";
import * as view from "./view.js";

const CASES_SHOWN = 20;
const page = { limit: Infinity, own: null, phantoms: [], listed: { cases: [], total: 0 } };
// What is on the screen: the chosen film before the answer, or a case. `turn` tells late answers
// of a film that is no longer on the screen from those of the present one.
const now = { film: null, found: null, preview: null, turn: 0 };

function setState(state) {
  document.body.dataset.state = state;
  byId("choose").hidden = state !== "start";
  byId("about").hidden = state !== "start";
  byId("ask").hidden = state !== "ready";
  byId("busy").hidden = state !== "busy";
  byId("result").hidden = state !== "answer";
}

function forget() {
  now.turn += 1;
  if (now.preview) URL.revokeObjectURL(now.preview);
  Object.assign(now, { film: null, found: null, preview: null });
  layers.close();
  maps.close();
  byId("film-box").hidden = true;
  byId("no-preview").hidden = true;
  byId("film").removeAttribute("src");
  byId("error").hidden = true;
}

function startOver() {
  forget();
  setState("start");
  if (location.hash) history.pushState(null, "", location.pathname);
  redrawCases();
}

// A film is chosen: show it, and ask for the clinician's own reading.
function chooseFilm(data, name) {
  forget();
  if (data.size > page.limit) {
    setState("start");
    const detail = `${i18n.number(data.size / 2 ** 20)} MB > ${i18n.number(page.limit / 2 ** 20)} MB`;
    view.showError(new api.Problem({ type: "urn:clinicedge:problem:too-large", detail }));
    return;
  }
  now.film = { data, name };
  byId("ask-name").textContent = name;
  ask.clear();
  setState("ready");
  preview(data, name);
}

function preview(data, name) {
  const film = byId("film");
  const turn = now.turn;
  now.preview = URL.createObjectURL(data);
  film.alt = i18n.t("film.chosen");
  film.onload = () => {
    view.fit(film.naturalWidth, film.naturalHeight);
    byId("film-box").hidden = false;
  };
  film.onerror = () => {
    if (turn === now.turn) noPreview(name);
  };
  // A DICOM file is nothing that a browser draws.
  if (/\.(dcm|dicom)$/i.test(name) || !data.type.startsWith("image/")) noPreview(name);
  else film.src = now.preview;
}

function noPreview(name) {
  byId("no-preview-name").textContent = i18n.t("film.nopreview", { name });
  byId("no-preview").hidden = false;
}

async function send() {
  const turn = now.turn;
  setState("busy");
  byId("error").hidden = true;
  showProgress("sending", 0);
  try {
    const found = await api.sendFilm(now.film, ask.reading(), showProgress);
    if (turn === now.turn) {
      history.pushState(null, "", `#case=${found.id}`);
      showCase(found);
    }
    await loadCases();
  } catch (error) {
    if (turn === now.turn) setState("ready");
    fail(error);
  }
}

function showProgress(what, share) {
  const percent = i18n.number(share * 100, 0) + " %";
  byId("busy-text").textContent = i18n.t(`busy.${what}`, { percent });
  const bar = byId("progress");
  if (what === "sending") bar.value = share * 100;
  else bar.removeAttribute("value");
}

function showCase(found) {
  forget();
  now.found = found;
  view.drawResult(found);
  view.fit(found.film.width, found.film.height);
  const film = byId("film");
  film.onload = null;
  film.onerror = null;
  film.alt = i18n.t("film.alt", { number: found.number });
  film.src = found.links.image;
  byId("film-box").hidden = false;
  layers.open(found);
  maps.open(found);
  setState("answer");
  redrawCases();
  byId("verdict-text").focus({ preventScroll: true });
  window.scrollTo({ top: 0 });
}

function fail(error) {
  if (!(error instanceof api.Problem)) throw error;
  if (error.status === 401) location.assign("/");
  view.showError(error);
}

async function loadCases() {
  page.listed = await api.json(`/api/v1/cases?limit=${CASES_SHOWN}`);
  redrawCases();
}

function redrawCases() { view.drawCases(page.listed, now.found?.id); }

async function openAddress() {
  const id = new URLSearchParams(location.hash.slice(1)).get("case");
  if (!id) {
    forget();
    setState("start");
    redrawCases();
    return;
  }
  if (now.found?.id === id) return;
  try { showCase(await api.json(`/api/v1/cases/${encodeURIComponent(id)}`)); } catch (error) {
    startOver();
    fail(error);
  }
}

async function chooseOffer(url, name) {
  const turn = now.turn;
  try {
    const data = await api.blob(url);
    if (turn === now.turn) chooseFilm(data, name);
  } catch (error) { fail(error); }
}

function redraw() {
  ask.draw();
  view.drawOffers(page.own, page.phantoms, chooseOffer);
  redrawCases();
  if (now.found) {
    view.drawResult(now.found);
    layers.redraw();
    maps.redraw();
  }
  if (!byId("error").hidden) byId("error").hidden = true;
}

function wireDrop() {
  const stage = byId("stage");
  const note = byId("drop-note");
  const over = (event) => { event.preventDefault(); note.hidden = false; };
  stage.addEventListener("dragenter", over);
  stage.addEventListener("dragover", over);
  stage.addEventListener("dragleave", (event) => {
    if (!stage.contains(event.relatedTarget)) note.hidden = true;
  });
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    note.hidden = true;
    const [file] = event.dataTransfer.files;
    if (file) chooseFilm(file, file.name);
  });
}

function wire() {
  for (const id of ["file-input", "camera-input"]) {
    byId(id).addEventListener("change", (event) => {
      const [file] = event.target.files;
      if (file) chooseFilm(file, file.name);
      event.target.value = "";
    });
  }
  for (const node of document.querySelectorAll("[data-new]")) node.addEventListener("click", startOver);
  for (const node of document.querySelectorAll("[data-lang]")) {
    node.addEventListener("click", () => { i18n.choose(node.dataset.lang); redraw(); });
  }
  document.querySelector(".brand").addEventListener("click", (event) => { event.preventDefault(); startOver(); });
  byId("send").addEventListener("click", send);
  layers.start(fail);
  maps.start(fail);
  byId("error-close").addEventListener("click", () => { byId("error").hidden = true; });
  window.addEventListener("popstate", openAddress);
  wireDrop();
}

async function start() {
  await i18n.start();
  wire();
  try {
    const [told, phantoms, own] = await Promise.all(
      ["/api/v1/models", "/api/v1/phantoms", "/api/v1/film"].map(api.json));
    page.limit = told.limits.max_upload_bytes;
    page.phantoms = phantoms.phantoms;
    page.own = own.film;
    ask.start(told.models, (model) => { byId("model-name").textContent = model.name; });
    byId("model-name").textContent = told.models[0].name;
    redraw();
    await loadCases();
    // Whoever was quicker than the list is not thrown back to the start.
    if (location.hash && now.turn === 0) await openAddress();
  } catch (error) { fail(error); }
}

start();
