// A rectangle on the camera's picture, drawn with a pointer or moved with keys: the part to look at.
//
// A rectangle is [x, y, width, height], as shares of the picture from 0 to 1.

import { byId } from "./dom.js";

const START = [0.25, 0.25, 0.5, 0.5];
const STEP = 0.02;
const SMALLEST = 0.05;

const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const within = (value, least, most) => Math.min(Math.max(value, least), most);

/** Calls back with the rectangle that the user has chosen. */
export function onPart(chosen) {
  const [picture, part, button, hint] = ["picture", "part", "choose-part", "part-hint"].map(byId);
  let rectangle = START;
  let corner = null;

  function draw(value) {
    rectangle = value;
    ["left", "top", "width", "height"].forEach((name, place) => {
      part.style[name] = `${100 * value[place]}%`;
    });
  }

  function choosing(on) {
    part.hidden = hint.hidden = !on;
    picture.classList.toggle("choosing", on);
    button.setAttribute("aria-pressed", on);
    corner = null;
    if (on) draw(START);
  }

  function finish() {
    choosing(false);
    chosen(rectangle);
  }

  function pointed(event) {
    const box = picture.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((value) => within(value, 0, 1));
  }

  button.addEventListener("click", () => {
    choosing(part.hidden);
    if (!part.hidden) part.focus();
  });

  picture.addEventListener("pointerdown", (event) => {
    // a finger scrolls the page, unless "Look at a part" was chosen
    if (event.button !== 0 || (event.pointerType !== "mouse" && part.hidden)) return;
    event.preventDefault();
    picture.setPointerCapture(event.pointerId);
    corner = pointed(event);
  });

  picture.addEventListener("pointermove", (event) => {
    if (!corner) return;
    const [x, y] = pointed(event);
    part.hidden = false;
    draw([Math.min(x, corner[0]), Math.min(y, corner[1]), Math.abs(x - corner[0]), Math.abs(y - corner[1])]);
  });

  picture.addEventListener("pointerup", () => {
    if (!corner) return;
    const large = rectangle[2] >= SMALLEST && rectangle[3] >= SMALLEST;
    if (!part.hidden && large) finish();
    else choosing(false);
  });

  picture.addEventListener("pointercancel", () => choosing(false));

  part.addEventListener("keydown", (event) => {
    const [x, y, width, height] = rectangle;
    const [right, down] = ARROWS[event.key] ?? [0, 0];
    if (event.key === "Enter") finish();
    else if (event.key === "Escape") choosing(false);
    else if (!(event.key in ARROWS)) return;
    else if (event.shiftKey) draw([x, y, within(width + right, SMALLEST, 1 - x), within(height + down, SMALLEST, 1 - y)]);
    else draw([within(x + right, 0, 1 - width), within(y + down, 0, 1 - height), width, height]);
    event.preventDefault();
    if (part.hidden) button.focus();
  });
}
