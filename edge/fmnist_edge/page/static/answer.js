// Shows the model's answer to a picture: the label, ten bars, the tile. Live and Try use it.

import { byId, make } from "./dom.js";

const ROUNDS_TO_ONE = 0.005;
/** As in answers.py: a probability this close to 1 would be rounded to 1.00, and no model is that sure. */

/** Fills the place, and returns a function that shows a record there: one of `classify --json --all`, with its tile. */
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
    name.textContent = marked(record);
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

/** A row with a bar for one class. Returns the row and the parts that change. */
export function barOf(label) {
  const bar = make("span", { className: "fill" });
  const track = make("span", { className: "track" }, bar);
  track.setAttribute("aria-hidden", "true");
  const number = make("span", { className: "number" });
  return { row: make("li", {}, make("span", { textContent: label }), track, number), bar, number };
}

/** Two digits, as in `0.93`, or `>0.99` for what would round to 1. */
export const twoDigits = (probability) => (probability >= 1 - ROUNDS_TO_ONE ? ">0.99" : probability.toFixed(2));

/** The label, with a question mark if the model is unsure. */
export const marked = ({ label, unsure }) => (unsure ? `${label}?` : label);

function remarkOn(record) {
  if (record.class_id !== null && !record.garment_found) return "Nothing stands out from the ground: a guess.";
  return record.unsure ? "The model is unsure." : "";
}

/** The answer for screen readers. */
export const spoken = ({ label, unsure }) => (unsure ? `${label}, unsure` : label);
