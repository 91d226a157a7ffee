// Live: shows what the camera sees, and the model's answer.

import { answerIn, spoken } from "./answer.js";
import { post, postJson } from "./api.js";
import { announce, byId, complain, notice, onClick, tell } from "./dom.js";
import { onPart } from "./part.js";
import { events, follow, Missing, pictures } from "./streams.js";

const MIN_SILENCE_MS = 1000;
/** Milliseconds between two labels that are read out, at least. */

const canvas = byId("frame");
const pen = canvas.getContext("2d");

const showAnswer = answerIn(byId("live-answer"));

let connection = null;
let paused = false;

export async function show() {
  if (paused || connection) return;
  connection = new AbortController();
  const { signal } = connection;
  try {
    await Promise.all([
      follow("live.mjpg", signal, pictures, paint, (text) => tellOf("pictures", text)),
      follow("api/answers", signal, events, heard, (text) => tellOf("answers", text)),
    ]);
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    hide();
    byId("camera").hidden = true;
    byId("no-camera").hidden = false;
  }
}

export function hide() {
  connection?.abort();
  connection = null;
}

const troubles = {};
/** The current fault of each source of faults. */

function tellOf(place, text) {
  troubles[place] = text;
  // without a camera no pictures arrive, and their connection may look dead: its message comes last
  const trouble = troubles.answers || troubles.camera || troubles.pictures || "";
  notice(byId("live-notice"), trouble);
  byId("camera").classList.toggle("old", Boolean(trouble));
}

async function paint(blob) {
  const picture = await createImageBitmap(blob);
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    [canvas.width, canvas.height] = [picture.width, picture.height];
  }
  pen.drawImage(picture, 0, 0);
  picture.close();
}

function heard([name, value]) {
  if (name === "answer") {
    showAnswer(value);
    byId("fps").textContent = `${value.fps.toFixed(0)} fps`;
    byId("age").textContent = `${value.age_ms.toFixed(0)} ms old`;
    byId("dropped").textContent = `${value.dropped.toLocaleString("en")} dropped`;
    byId("whole").hidden = value.roi === null;
    readOut(spoken(value));
  } else if (name === "fault") {
    tellOf("camera", value.attempt ? `${value.message} (attempt ${value.attempt})` : value.message);
  } else if (name === "recovered") tellOf("camera", "");
}

let said = "";
let newest = "";
let timer = null;

/** Reads the label out when it has changed, with a moment of silence between two labels. */
function readOut(text) {
  newest = text;
  if (timer || newest === said) return;
  announce(newest);
  said = newest;
  timer = setTimeout(() => {
    timer = null;
    if (connection) readOut(newest);
  }, MIN_SILENCE_MS);
}

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").textContent = paused ? "Resume" : "Pause";
  if (paused) hide();
  else show();
});

onClick(byId("freeze"), async () => {
  await post("api/freeze");
  tell("Kept. It is waiting in Teach.");
});

onClick(byId("empty-scene"), async () => {
  await post("api/scene");
  tell("Keep the scene empty for a second. Whatever looks like it will be “nothing there”.");
});

const lookAt = (part) => postJson("api/roi", { roi: part });

onPart((part) => lookAt(part).catch(complain));
onClick(byId("whole"), () => lookAt(null));
