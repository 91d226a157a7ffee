// Device: shows what `status`, `info` and `verify` report.

import { get, post } from "./api.js";
import { byId, complain, make, notice, onClick } from "./dom.js";

const REFRESH_MS = 5000;
/** Milliseconds between two requests. */

let timer = null;

export async function show() {
  hide();
  try {
    const status = await get("api/status");
    byId("looking").hidden = true;
    showStatus(status);
    notice(byId("trouble"), "");
  } catch (error) {
    complain(error);
  }
  if (!byId("device").hidden) timer = setTimeout(show, REFRESH_MS);
}

export const hide = () => clearTimeout(timer);

function showStatus({ model, device, source, frames, fps, dropped, reconnects, uptime_s: uptime }) {
  notice(byId("problem"), device.problem ?? "");
  fill(byId("status"), {
    Camera: source ?? "none",
    "Frames per second": source && fps.toFixed(1),
    Frames: source && frames.toLocaleString("en"),
    Dropped: source && dropped.toLocaleString("en"),
    Reconnects: source && reconnects,
    Uptime: duration(uptime),
    Temperature: device.temperature_c && `${device.temperature_c.toFixed(0)} °C`,
    Version: device.version,
    Signature: device.signature ?? "not required",
    Verified: device.verified === null ? null : device.verified ? "yes" : "no",
  });
  const { training, input, ...rest } = model;
  fill(byId("model"), {
    Recipe: training.recipe,
    Purpose: training.purpose,
    "Hidden layers": training.hidden,
    "Number type": input.dtype,
    "Unsure below": training.unsure,
    "Photos learned from": training.photo_dataset?.photos,
    Versions: training.versions,
  });
  fill(byId("description"), { input, ...rest, ...training });
}

function fill(place, facts) {
  const known = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined);
  const rows = known.map(([name, value]) => [
    make("dt", { textContent: name.replaceAll("_", " ") }),
    make("dd", { textContent: toText(value) }),
  ]);
  place.replaceChildren(...rows.map((row) => make("div", {}, ...row)));
}

/** A JSON value as text: a list as "a, b", an object as "name value, name value". */
function toText(value) {
  if (Array.isArray(value)) return value.map(toText).join(", ");
  if (value && typeof value === "object") {
    return Object.entries(value).map(([name, member]) => `${name} ${toText(member)}`).join(", ");
  }
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : String(value);
}

function duration(seconds) {
  const [days, hours, minutes] = [seconds / 86_400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min` : `${seconds.toFixed(0)} s`;
}

onClick(byId("verify"), async () => {
  byId("verdict").replaceChildren();
  const { ok, lines } = await post("api/verify");
  byId("verdict").replaceChildren(
    make("p", { className: ok ? "good" : "bad", textContent: ok ? "Yes, it does." : "No, it does not." }),
    make("pre", { textContent: lines.join("\n"), tabIndex: 0 }),
  );
});
