// Teach: waiting pictures get a label, and each label can be undone.

import { barOf, marked } from "./answer.js";
import { get, postJson } from "./api.js";
import { announce, byId, complain, make, notice, onClick, tell } from "./dom.js";

const SHOWN = 24;
/** The most pictures shown of the queue. The others follow when these are labelled. */

const REFRESH_MS = 3000;
/** Milliseconds between two requests, while no picture waits or the device does not answer. */

const NONE = null;

const STORED = "taught";

let teaching = null;
let current = null;
const done = stored();
/** The labels that can be undone, the newest last: {token, label, id}. */

let timer = null;
let lost = false;

const postponed = new Set();

let busy = false;

/** Runs one action at a time: the second of two quick keys would label the same picture. */
async function alone(act) {
  if (busy) return;
  busy = true;
  try {
    await act();
  } finally {
    busy = false;
  }
}

/** The saved list. It survives a reload: phones reload pages that were in the background for a while. */
function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? [];
  } catch {
    return []; // this browser stores nothing
  }
}

function store() {
  try {
    sessionStorage.setItem(STORED, JSON.stringify(done));
  } catch {
    // this browser stores nothing
  }
}

export async function show() {
  hide();
  try {
    await refresh();
    if (lost) notice(byId("trouble"), "");
    lost = false;
  } catch (error) {
    complain(error);
    lost = true;
    lookAgain();
  }
}

export const hide = () => clearTimeout(timer);

function lookAgain() {
  hide();
  if (!byId("teach").hidden && !document.hidden) timer = setTimeout(show, REFRESH_MS);
}

async function refresh(wish = current) {
  teaching = await get("api/teach");
  const { waiting } = teaching;
  const first = waiting.find(({ id }) => !postponed.has(id)) ?? waiting[0];
  current = waiting.find(({ id }) => id === wish)?.id ?? first?.id ?? null;
  showQuestion();
  showCounts();
  if (current === null) lookAgain();
}

function showQuestion() {
  const picture = teaching.waiting.find(({ id }) => id === current);
  byId("question").hidden = !picture;
  byId("nothing-waits").hidden = Boolean(picture);
  if (!picture) return;
  byId("waiting").src = addressOf(picture);
  byId("waiting").alt = `The picture that waits. ${guessOf(picture)}`;
  byId("guess").textContent = guessOf(picture);
  byId("queue").replaceChildren(...teaching.waiting.slice(0, SHOWN).map(thumbnail));
  const more = teaching.waiting_count - SHOWN;
  if (more > 0) byId("queue").append(make("li", { className: "hint", textContent: `and ${more} more` }));
}

const guessOf = (picture) => (picture.label ? `The model says ${marked(picture)}` : "");

const addressOf = ({ id }) => `api/teach/${encodeURIComponent(id)}.jpg`;

function thumbnail(picture) {
  const image = make("img", { src: addressOf(picture), alt: picture.label ? marked(picture) : picture.id });
  const button = make("button", { type: "button", className: "plain" }, image);
  if (picture.id === current) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => {
    current = picture.id;
    showQuestion();
    byId("teach").focus();
  });
  return make("li", {}, button);
}

function showCounts() {
  const { classes, enough, bytes, limit_bytes: limit } = teaching;
  const kinds = classes.filter(({ class_id: classId }) => classId !== NONE);
  if (!byId("choices").children.length) byId("choices").append(...kinds.map(choice));
  byId("counts").replaceChildren(...classes.map((kind) => countOf(kind, enough)));
  const taught = kinds.reduce((sum, { count }) => sum + count, 0);
  const missing = kinds.reduce((sum, { count }) => sum + Math.max(enough - count, 0), 0);
  byId("progress").textContent = [
    `${pictures(taught)} so far.`,
    missing ? `${missing} more are worthwhile: ${enough} of each class.` : "More will help little.",
    `${megabytes(bytes)} of ${megabytes(limit)} MB are used.`,
  ].join(" ");
  byId("download").hidden = !taught;
  store();
  const last = done.at(-1);
  byId("undo").disabled = !last;
  byId("undo").textContent = last ? `Undo “${last.label}”` : "Undo";
}

const pictures = (count) => (count === 1 ? "One picture" : `${count} pictures`);

const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

function choice({ class_id: classId, label }) {
  const button = make("button", { type: "button" }, make("kbd", { textContent: classId }), label);
  button.setAttribute("aria-keyshortcuts", classId);
  onClick(button, () => alone(() => choose(classId, label)));
  return button;
}

function countOf({ label, count }, enough) {
  const { row, bar, number } = barOf(capital(label));
  bar.style.transform = `scaleX(${Math.min(count / enough, 1)})`;
  number.textContent = count;
  return row;
}

async function choose(classId, label) {
  if (current === null) return;
  const id = current;
  const { undo } = await postJson(`api/teach/${encodeURIComponent(id)}`, { class_id: classId });
  done.push({ token: undo, label, id });
  await refresh(null);
  tell(`Kept as ${label}. ${left()}`);
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

const left = () => (teaching.waiting_count ? `${pictures(teaching.waiting_count)} left.` : "No more pictures are waiting.");

async function undo() {
  const { token, label, id } = done.at(-1);
  try {
    await postJson("api/teach/undo", { undo: token });
  } catch (error) {
    if (error.status === 404) {
      done.pop(); // somebody has moved it; an earlier label may still be undone
      showCounts();
    }
    throw error;
  }
  done.pop();
  await refresh(id);
  announce(`“${label}” is undone.`);
}

function later() {
  if (current === null) return;
  postponed.add(current);
  const { waiting } = teaching;
  const place = waiting.findIndex(({ id }) => id === current);
  current = waiting[(place + 1) % waiting.length].id;
  showQuestion();
}

onClick(byId("none"), () => alone(() => choose(NONE, "none of these")));
onClick(byId("undo"), () => alone(undo));
byId("later").addEventListener("click", later);

const KEYS = { n: "none", l: "later", u: "undo" };

byId("teach").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const button = /^\d$/.test(event.key) ? byId("choices").children[event.key] : byId(KEYS[event.key.toLowerCase()]);
  button?.click();
});
