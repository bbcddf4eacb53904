// Polls for data, and reports what went wrong when there is none.

const TOKEN = "qualm-token";
const TIMEOUT_MS = 10_000;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;

let token = null;
try {
  token = sessionStorage.getItem(TOKEN);
} catch {
  // Without storage the token lives as long as the page.
}

export const hasToken = () => token !== null;

/// Takes a token; false if it cannot be one: a header carries visible ASCII only.
export function useToken(text) {
  const clean = text.trim();
  if (!/^[\x21-\x7e]+$/.test(clean)) return false;
  token = clean;
  try {
    sessionStorage.setItem(TOKEN, token);
  } catch {
    // As above.
  }
  return true;
}

/// Why there is no data. `kind` is "token", "gone" or "down".
class Trouble extends Error {
  constructor(kind, text) {
    super(text);
    this.kind = kind;
  }
}

async function ask(path, stop) {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  let answer;
  try {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(TIMEOUT_MS)]);
    answer = await fetch(path, { headers, signal, cache: "no-store", credentials: "same-origin" });
    if (answer.ok) return await answer.json();
  } catch (error) {
    if (error.name === "TimeoutError") throw new Trouble("down", `It did not answer within ${TIMEOUT_MS / 1000} s.`);
    if (error.name === "SyntaxError") throw new Trouble("down", "It answered something that is not JSON.");
    throw new Trouble("down", "It cannot be reached.");
  }
  if (answer.status === 401) throw new Trouble("token", "");
  if (answer.status === 404) throw new Trouble("gone", "It answered 404: not found.");
  throw new Trouble("down", `It answered with status ${answer.status}.`);
}

/// Polls `path()` every `period()` ms, until the next failure; then with growing pauses. While `path()` is null it pauses.
/// `got(data)` and `failed(trouble, retryAt)` are called; `retryAt` is null if only a new token helps.
export function poll({ path, period, got, failed }) {
  let timer = 0;
  let failures = 0;
  let stop = new AbortController();

  async function once() {
    clearTimeout(timer);
    stop.abort();
    const mine = new AbortController();
    stop = mine;
    const asked = path();
    if (asked === null) return;
    let pause = null;
    try {
      const data = await ask(asked, mine.signal);
      if (mine.signal.aborted) return;
      failures = 0;
      pause = period();
      got(data);
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof Trouble)) {
        // An error while showing data must not end the polling.
        console.error(error);
        error = new Trouble("down", "It answered something that this page cannot show.");
      }
      failures += 1;
      // Random, so that many open pages do not retry at the same time.
      const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * (0.8 + 0.4 * Math.random());
      pause = error.kind === "token" ? null : wait;
      failed(error, pause === null ? null : performance.now() + pause);
    }
    if (pause !== null) timer = setTimeout(once, pause);
  }
  return once;
}
