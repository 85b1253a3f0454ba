// The box's HTTP interface. Every refusal becomes a Problem (RFC 9457).

const RETRIES = 5;

export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title || "");
    this.slug = String(document.type || "").split(":").pop();
    this.status = document.status || 0;
  }
}

function unreachable() { return new Problem({ type: "urn:clinicedge:problem:network", status: 0 }); }

async function call(path, options = {}) {
  let answer;
  try { answer = await fetch(path, options); } catch { throw unreachable(); }
  if (answer.ok) return answer;
  throw new Problem(await answer.json().catch(() => ({ status: answer.status })));
}

export async function json(path) { return (await call(path)).json(); }

export async function blob(path) { return (await call(path)).blob(); }

// A few words to keep.
export async function send(path, fields) {
  return (await call(path, { method: "POST", body: new URLSearchParams(fields) })).json();
}

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// Sends a film with what the clinician said; a busy box is asked again a few times.
export async function sendFilm(film, said, told) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await post(film, said, told);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 503 || attempt >= RETRIES) throw error;
      told("waiting", 0);
      await pause(2);
    }
  }
}

// XMLHttpRequest, because fetch tells nothing about how far an upload is.
function post(film, said, told) {
  const form = new FormData();
  form.append("film", film.data, film.name);
  form.append("model", said.model);
  if (said.opinion) form.append("first_opinion", said.opinion);
  for (const name of said.findings) form.append("first_findings", name);
  for (const name of said.symptoms) form.append("symptoms", name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/cases");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) told("sending", event.loaded / event.total);
    };
    request.upload.onload = () => told("reading", 1);
    request.onerror = () => reject(unreachable());
    request.onload = () => {
      if (request.status === 201 && request.response) resolve(request.response);
      else reject(new Problem(request.response || { status: request.status }));
    };
    request.send(form);
  });
}
