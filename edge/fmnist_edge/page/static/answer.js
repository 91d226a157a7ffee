// What the model says of a picture: the label, ten bars, the tile. Live and Try show it.

import { classes } from "./api.js";
import { byId, make } from "./dom.js";

/** Fills the place, and returns what shows an answer in it: a record as `classify --json --all` prints it, with its tile. */
export async function answerIn(place) {
  place.append(byId("answer").content.cloneNode(true));
  const find = (selector) => place.querySelector(selector);
  const [name, confidence, remark, tile] = [".name", ".confidence", ".remark", ".tile img"].map(find);
  const rows = (await classes()).map((label) => {
    const bar = make("span", { className: "fill" });
    const number = make("span", { className: "number" });
    const track = make("span", { className: "track" }, bar);
    track.setAttribute("aria-hidden", "true");
    const row = make("li", {}, make("span", { textContent: label }), track, number);
    find(".bars").append(row);
    return { row, bar, number };
  });

  return (record) => {
    const nothing = record.class_id === null;
    place.classList.toggle("unsure", record.unsure);
    place.classList.toggle("nothing", nothing);
    name.textContent = inWords(record);
    confidence.textContent = nothing ? "" : record.confidence.toFixed(2);
    remark.textContent = remarkOn(record);
    rows.forEach(({ row, bar, number }, classId) => {
      const probability = record.probabilities[classId];
      bar.style.transform = `scaleX(${probability})`;
      number.textContent = probability.toFixed(2);
      row.classList.toggle("first", classId === record.class_id);
    });
    if (record.tile) {
      tile.hidden = false;
      tile.src = record.tile;
      tile.alt = "The picture as the model gets it: gray, small, the garment bright";
    }
  };
}

/** The label, with a question mark if the model is unsure. */
export const inWords = ({ label, unsure }) => (unsure ? `${label}?` : label);

export function remarkOn(record) {
  if (record.class_id !== null && !record.garment_found) return "Nothing stands out from the ground: a guess.";
  return record.unsure ? "The model is unsure." : "";
}

/** For the ear. */
export const spoken = ({ label, unsure }) => (unsure ? `${label}, unsure` : label);
