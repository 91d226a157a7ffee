// The page: one view at a time, named by the part of the address after #.

import { byId, notice } from "./dom.js";
import * as device from "./device.js";
import * as live from "./live.js";
import * as teach from "./teach.js";
import * as trying from "./try.js";

const VIEWS = { live, try: trying, teach, device };
/** Each view may export show() and hide(). */

let shown = null;

function route() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "live";
  if (name === shown) return;
  if (shown) VIEWS[shown].hide?.();
  for (const view of Object.keys(VIEWS)) byId(view).hidden = view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${document.querySelector("nav a[aria-current]").textContent} – fmnist-edge`;
  for (const place of ["done", "trouble"]) notice(byId(place), "");
  // the visible view gets the keys, and Tab continues in it
  byId(name).focus({ preventScroll: true });
  shown = name;
  if (!document.hidden) VIEWS[name].show?.();
}

// a hidden page closes its streams: browsers allow six connections to a device, and each Live needs two
document.addEventListener("visibilitychange", () => (document.hidden ? VIEWS[shown].hide?.() : VIEWS[shown].show?.()));
addEventListener("hashchange", route);
route();
