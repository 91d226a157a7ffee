// Helpers for the document that all views use.

const MESSAGE_SECONDS = 6;
/** How long a message stays. */

export const byId = (id) => document.getElementById(id);

/** A new element. properties: such as className or textContent; children: elements or text. */
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

/** Lets screen readers say the text, even if it is the same as before. */
export function announce(text) {
  const place = byId("announcer");
  place.textContent = place.textContent === text ? `${text}\u00a0` : text;
}

let fading = null;

/** Shows a message for some seconds. Screen readers say it too. */
export function tell(text) {
  clearTimeout(fading);
  notice(byId("done"), text);
  fading = setTimeout(() => notice(byId("done"), ""), MESSAGE_SECONDS * 1000);
}

/** Shows an error above the view, until the next action succeeds. */
export const complain = (error) => notice(byId("trouble"), error.message);

/** Runs an action when the button is clicked. The button is busy meanwhile, and errors are shown. */
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
