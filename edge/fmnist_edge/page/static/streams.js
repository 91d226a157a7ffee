// The device's streams of pictures and answers. Each has a connection of its own, which is opened again when it ends.
//
// An <img> could show the pictures too. But Chrome does not report the end of such an image, and keeps its connection when the
// image is removed from the page. Here the end of the stream is the end of a response, and stopping closes the connection.

import { complaint, reach, sleep } from "./api.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;
/** Milliseconds. Each pause is twice as long as the one before, until a connection lasts. */

const LASTS = 10_000;
/** Milliseconds after which a connection counts as lasting. */

const SILENCE = 20_000;
/** Milliseconds without a byte after which the connection counts as lost. */

/**
 * Follows a stream until the signal aborts.
 *
 * pieces: turns chunks of bytes into the stream's pieces. take: is called with each piece and awaited; meanwhile the device keeps
 * only the newest. tell: is called with the current fault, and with "" when it is over. Throws Missing if the device has no such
 * stream (404).
 */
export async function follow(path, signal, pieces, take, tell) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    const connection = new AbortController();
    const began = performance.now();
    const stop = () => connection.abort();
    signal.addEventListener("abort", stop);
    let reason = "The device does not answer.";
    try {
      const response = await reach(path, { signal: connection.signal, cache: "no-store" });
      if (response.status === 404) throw new Missing(await complaint(response));
      if (response.ok) {
        tell("");
        for await (const piece of pieces(chunks(response, connection))) await take(piece);
      } else reason = await complaint(response);
    } catch (error) {
      if (error instanceof Missing) throw error;
      // any other error means that the connection was lost
    } finally {
      signal.removeEventListener("abort", stop);
      connection.abort();
    }
    if (signal.aborted) return;
    if (performance.now() - began > LASTS) pause = FIRST_PAUSE;
    tell(`${reason} Trying again in ${Math.ceil(pause / 1000)} s.`);
    await sleep(pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

export class Missing extends Error {}

async function* chunks(response, connection) {
  const reader = response.body.getReader();
  while (true) {
    const silence = setTimeout(() => connection.abort(), SILENCE);
    const { done, value } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    yield value;
  }
}

/** The parts of a multipart/x-mixed-replace stream as Blobs. Each part must have a Content-Length. */
export async function* pictures(chunks) {
  let bytes = new Uint8Array();
  let head = null;
  for await (const chunk of chunks) {
    bytes = joined(bytes, chunk);
    while (true) {
      if (head === null) {
        const end = endOfHead(bytes);
        if (end < 0) break;
        head = new TextDecoder().decode(bytes.subarray(0, end));
        bytes = bytes.subarray(end);
      }
      const length = Number(/content-length: *(\d+)/i.exec(head)?.[1]);
      if (!length) throw new Error("a part without its length");
      if (bytes.length < length) break;
      yield new Blob([bytes.subarray(0, length)], { type: "image/jpeg" });
      bytes = bytes.subarray(length);
      head = null;
    }
  }
}

function joined(one, other) {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

/** Where a part's content begins, after the empty line; -1 if the head is incomplete. */
function endOfHead(bytes) {
  for (let at = bytes.indexOf(13); at >= 0 && at + 3 < bytes.length; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}

/** Server-sent events (HTML standard, section 9.2), as [name, value]; the data is JSON. */
export async function* events(chunks) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true }).replaceAll("\r\n", "\n");
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s)));
      if (fields.data) yield [fields.event, JSON.parse(fields.data)];
    }
  }
}
