// Sends requests to the device. The message of each error is a sentence to show.

const ATTEMPTS = 6;
/** How often a request is sent to a device that is busy. */

export const get = (path) => ask(path, {});

export const post = (path, content) => ask(path, { method: "POST", body: content });

export const postJson = (path, value) =>
  ask(path, { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

async function ask(path, options) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await reach(path, options);
    const pause = Number(response.headers.get("Retry-After"));
    if (response.status === 503 && pause && attempt < ATTEMPTS) {
      await sleep(1000 * pause);
      continue;
    }
    if (response.ok) return response.json();
    throw Object.assign(new Error(await complaint(response)), { status: response.status });
  }
}

/** The response, whatever its status. If the device asks for the token again, the page reloads and shows the login. */
export async function reach(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("The device does not answer. Is it on, and in this network?"), { lost: true });
  }
  if (response.status === 401) location.reload();
  return response;
}

export async function complaint(response) {
  try {
    const { error } = await response.json();
    return `${error[0].toUpperCase()}${error.slice(1)}.`;
  } catch {
    return `The device answered with ${response.status}.`;
  }
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
