// Try: classifies pictures that are dropped, pasted, chosen or photographed. Several pictures make a table.

import { answerIn, marked, spoken, twoDigits } from "./answer.js";
import { post, sleep } from "./api.js";
import { save, toCsv } from "./csv.js";
import { announce, byId, make, notice, onClick, tell } from "./dom.js";

const PAUSES = [1, 2, 4, 8, 15, 15];
/** Seconds before a picture is sent again to a device that does not answer. */

const TOO_SLOW = 408;
const TOO_LARGE = 413;
const UNKNOWN = 415;
/** HTTP statuses of pictures that the device refuses, but that this browser may be able to read. */

const LONGEST = 2048;
/** The longest edge, in pixels, of the JPEG that replaces them. */

const results = [];
/** {file, content, address, record, kept}. content: the bytes sent. A record has an `error` if the picture can't be read. */

const waiting = [];
let working = false;
let selected = null;

const showAnswer = answerIn(byId("try-answer"));

/** Classifies files one after another: the device reads only one at a time. Shows the first, and all of them in a table. */
async function classify(files) {
  waiting.push(...files);
  if (working) return;
  working = true;
  let done = 0;
  while (waiting.length) {
    notice(byId("working"), `Classifying picture ${done + 1} of ${done + waiting.length} …`);
    const file = waiting.shift();
    const address = URL.createObjectURL(file);
    const result = { file, address, kept: false, ...(await answered(file, address)) };
    results.push(result);
    addRow(result);
    if (done === 0) select(result);
    done += 1;
  }
  if (done > 1) announce(`${done} pictures were classified.`);
  working = false;
  notice(byId("working"), "");
}

/** The record, and the content that was classified: the file, or a JPEG that this browser made of it. */
async function answered(file, address) {
  try {
    return { content: file, record: await recordOf(file) };
  } catch (error) {
    const smaller = [TOO_SLOW, TOO_LARGE, UNKNOWN].includes(error.status) && (await toJpeg(address));
    if (!smaller) return { content: file, record: { error: error.message } };
    return { content: smaller, record: await recordOf(smaller).catch(({ message }) => ({ error: message })) };
  }
}

async function recordOf(blob) {
  const content = await bytesOf(blob);
  for (const pause of PAUSES) {
    try {
      return await post("api/classify?explain=1", content);
    } catch (error) {
      if (!error.lost) throw error;
      notice(byId("working"), `${error.message} Trying again in ${pause} s.`);
      await sleep(1000 * pause);
    }
  }
  return post("api/classify?explain=1", content);
}

/** Reads the file before it is sent: a file that is gone would look like a device that does not answer. */
async function bytesOf(blob) {
  try {
    return new Blob([await blob.arrayBuffer()], { type: blob.type });
  } catch {
    throw new Error("This file can no longer be read.");
  }
}

/** A picture such as an iPhone's HEIC or a scan of 30 MB, as a smaller JPEG. Null if this browser can't read it either. */
async function toJpeg(address) {
  const image = make("img", { src: address });
  try {
    await image.decode();
  } catch {
    return null;
  }
  const scale = Math.min(1, LONGEST / Math.max(image.naturalWidth, image.naturalHeight));
  const [width, height] = [image.naturalWidth, image.naturalHeight].map((edge) => Math.max(1, Math.round(scale * edge)));
  const canvas = make("canvas", { width, height });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white"; // JPEG has no transparency
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

function select(result) {
  selected = result;
  const { file, content, address, record } = result;
  results.forEach((other) => other.row.classList.toggle("selected", other === result));
  byId("tried").hidden = false;
  byId("drop").classList.add("small");
  byId("photo-name").textContent = content === file ? file.name : `${file.name}, as a JPEG that this browser made`;
  byId("photo").replaceChildren("error" in record ? picture(file, address) : explained(result));
  byId("keep-tried").hidden = byId("try-answer").hidden = "error" in record;
  showKept();
  byId("photo-error").textContent = record.error ?? "";
  if (!("error" in record)) showAnswer(record);
  announce("error" in record ? `${file.name}: ${record.error}` : `${file.name}: ${spoken(record)}`);
}

function picture({ name }, address, excuse = "") {
  const image = make("img", { alt: name, src: address });
  image.addEventListener("error", () => image.replaceWith(make("p", { className: "hint", textContent: excuse })));
  return image;
}

/** The picture as `explain` draws it: the ground pale, and a line around the garment. */
function explained({ file, address, record: { outline, width, height } }) {
  const box = make("div", { className: "picture explained" }, picture(file, address, "Your browser can’t show this picture."));
  box.style.aspectRatio = width / height;
  box.style.maxWidth = `calc(${width / height} * var(--highest))`;
  if (outline) {
    const line = `M${outline.map((point) => point.join(" ")).join("L")}Z`;
    box.append(
      shape("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, [
        shape("path", { class: "ground", "fill-rule": "evenodd", d: `M0 0H${width}V${height}H0Z${line}` }),
        shape("path", { class: "outline", d: line }),
      ]),
    );
  }
  return box;
}

function shape(tag, attributes, children = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function addRow(result) {
  const { file, address, record } = result;
  const image = make("img", { src: address, alt: "", width: 40, height: 40 });
  image.addEventListener("error", () => image.remove());
  const name = make("button", { type: "button", className: "plain" }, image, make("span", { textContent: file.name, title: file.name }));
  name.addEventListener("click", () => select(result));
  const cells =
    "error" in record
      ? [make("td", { textContent: record.error, className: "bad", colSpan: 2 })]
      : [
          make("td", { textContent: marked(record), className: record.unsure ? "unsure" : "" }),
          make("td", { textContent: twoDigits(record.confidence), className: "number" }),
        ];
  result.row = make("tr", {}, make("td", {}, name), ...cells);
  byId("rows").append(result.row);
  byId("results").hidden = results.length < 2;
}

/** The results as CSV, with the columns of `classify --format csv --all`. */
function table() {
  const names = Object.keys(results.find(({ record }) => "probabilities" in record)?.record.probabilities ?? {});
  const [first, last] = [["class_id", "label", "confidence"], ["unsure", "milliseconds", "error", "garment_found", "kind"]];
  const rows = results.map(({ file, record }) => [
    file.name,
    ...first.map((name) => record[name]),
    ...names.map((name) => record.probabilities?.[name]),
    ...last.map((name) => record[name]),
  ]);
  return toCsv([["path", ...first, ...names, ...last], ...rows]);
}

const isPicture = (file) => !file.type || file.type.startsWith("image/");

/** Classifies pictures that were dropped or pasted anywhere on the page. Returns whether there were any. */
function bring(transfer) {
  const files = [...transfer.files].filter(isPicture);
  if (!files.length) return false;
  location.hash = "#try";
  classify(files);
  return true;
}

for (const [button, input] of [
  ["choose", "files"],
  ["photograph", "capture"],
]) {
  byId(button).addEventListener("click", () => byId(input).click());
  byId(input).addEventListener("change", () => {
    classify([...byId(input).files]);
    byId(input).value = ""; // the same file may be chosen again
  });
}

addEventListener("dragover", (event) => {
  if (!event.dataTransfer.types.includes("Files")) return;
  event.preventDefault();
  byId("drop").classList.add("over");
});
addEventListener("dragleave", () => byId("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  byId("drop").classList.remove("over");
  if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  bring(event.dataTransfer);
});
addEventListener("paste", (event) => {
  if (bring(event.clipboardData)) event.preventDefault();
});

byId("save-csv").addEventListener("click", () => save("clothes.csv", table(), "text/csv"));

/** Disables the button once the picture is kept: a second click would keep it twice. */
function showKept() {
  byId("keep-tried").disabled = selected.kept;
  byId("keep-tried").textContent = selected.kept ? "Kept to teach" : "Keep to teach";
}

onClick(byId("keep-tried"), async () => {
  const result = selected;
  await post("api/teach", result.content);
  result.kept = true;
  showKept();
  tell("Kept. It is waiting in Teach.");
});

byId("clear").addEventListener("click", () => {
  results.splice(0).forEach(({ address }) => URL.revokeObjectURL(address));
  byId("rows").replaceChildren();
  byId("tried").hidden = byId("results").hidden = true;
  byId("drop").classList.remove("small");
  byId("choose").focus();
});
