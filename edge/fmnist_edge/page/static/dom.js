// What each view needs of the document.

const SECONDS = 6;
/** That a message stays. */

export const byId = (id) => document.getElementById(id);

/** A new element. properties: of the element, such as className or textContent; children: elements or text. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Shows the text in a place for notices, or hides the place if there is none. */
export function notice(place, text) {
  if (place.textContent !== text) place.textContent = text;
  place.hidden = !text;
}

/** Screen readers say it. Also when it is the same text again. */
export function announce(text) {
  const place = byId("announcer");
  place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

let fading = null;

/** Says for some seconds that something was done, to eyes and ears. */
export function tell(text) {
  clearTimeout(fading);
  notice(byId("done"), text);
  fading = setTimeout(() => notice(byId("done"), ""), SECONDS * 1000);
}

/** What went wrong with what the user asked for, above the view until the next thing works. */
export const complain = (error) => notice(byId("trouble"), error.message);

/** Lets a button do something that takes a moment: it is out of order meanwhile, and trouble is told. */
export function onClick(button, act) {
  button.addEventListener("click", () => doing(button, act));
}

export async function doing(button, act) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await act();
    notice(byId("trouble"), "");
  } catch (error) {
    complain(error);
  } finally {
    button.removeAttribute("aria-busy");
  }
}
