// What the model says of a picture: the label, ten bars, the tile. Live and Try show it.

import { byId, make } from "./dom.js";

const LEAST_TOLD = 0.005;
/** As in answers.py: two digits would make 1.00 of what is that near to 1, and no model is that sure. */

/** Fills the place, and returns what shows an answer in it: a record as `classify --json --all` prints it, with its tile. */
export function answerIn(place) {
  place.append(byId("answer").content.cloneNode(true));
  const find = (selector) => place.querySelector(selector);
  const [name, confidence, remark, bars, tile] = [".name", ".confidence", ".remark", ".bars", ".tile img"].map(find);
  let rows = [];

  return (record) => {
    const probabilities = Object.entries(record.probabilities);
    if (!rows.length) {
      rows = probabilities.map(([label]) => barOf(label));
      bars.append(...rows.map(({ row }) => row));
    }
    place.classList.toggle("unsure", record.unsure);
    place.classList.toggle("nothing", record.class_id === null);
    name.textContent = inWords(record);
    confidence.textContent = record.class_id === null ? "" : twoDigits(record.confidence);
    remark.textContent = remarkOn(record);
    probabilities.forEach(([label, probability], classId) => {
      const { row, bar, number } = rows[classId];
      bar.style.transform = `scaleX(${probability})`;
      number.textContent = twoDigits(probability);
      row.classList.toggle("first", label === record.label);
    });
    if (record.tile) {
      tile.hidden = false;
      tile.src = record.tile;
      tile.alt = "The picture as the model gets it: gray, small, the garment bright";
    }
  };
}

/** A line with a bar for one class: its parts that change. */
export function barOf(label) {
  const bar = make("span", { className: "fill" });
  const track = make("span", { className: "track" }, bar);
  track.setAttribute("aria-hidden", "true");
  const number = make("span", { className: "number" });
  return { row: make("li", {}, make("span", { textContent: label }), track, number), bar, number };
}

/** `0.93`; `>0.99` of what would round to 1. */
export const twoDigits = (probability) => (probability >= 1 - LEAST_TOLD ? ">0.99" : probability.toFixed(2));

/** The label, with a question mark if the model is unsure. */
export const inWords = ({ label, unsure }) => (unsure ? `${label}?` : label);

function remarkOn(record) {
  if (record.class_id !== null && !record.garment_found) return "Nothing stands out from the ground: a guess.";
  return record.unsure ? "The model is unsure." : "";
}

/** For the ear. */
export const spoken = ({ label, unsure }) => (unsure ? `${label}, unsure` : label);
