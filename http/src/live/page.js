// qualm's live page. Data flow one way: a poll brings the state, the state is shown; a click only changes which series is open.

import { detail } from "./detail.js";
import { detectors } from "./detectors.js";
import { by, mark, put } from "./dom.js";
import { hasToken, poll, useToken } from "./feed.js";
import { incidents } from "./incidents.js";
import { seriesList } from "./list.js";
import { summary } from "./summary.js";
import * as text from "./text.js";

const EVERY_MS = 2_000;
const SERIES_EVERY_MS = 5_000;
const HIDDEN_MS = 30_000;
/// Below this the open series covers the page, above it has its own place; page.css has it too.
const narrow = matchMedia("(max-width: 899px)");

let live = null;
/// The series whose history is shown. It is `chosen` by the reader, or else it is the worst one.
let open = null;
let chosen = false;
const retry = { at: null, timer: 0 };

const showSummary = summary();
const showSeries = seriesList({ open: choose });
const showIncidents = incidents({ open: choose });
const showDetectors = detectors();
const panel = detail();

const period = (ms) => () => (document.hidden ? Math.max(ms, HIDDEN_MS) : ms);

const pollLive = poll({
  path: () => "api/v1/live",
  period: period(EVERY_MS),
  got(data) {
    const back = live === null || document.body.dataset.state === "lost";
    live = data;
    if (!chosen) follow();
    show();
    alive();
    if (back) pollSeries();
  },
  failed: (trouble, retryAt) => (trouble.kind === "token" ? wantToken() : lost(trouble, retryAt)),
});

const pollSeries = poll({
  path: () => (open === null || live === null ? null : `api/v1/live/series/${encodeURIComponent(open)}`),
  period: period(SERIES_EVERY_MS),
  got(data) {
    if (data.id === open) panel.take(data, live);
  },
  failed(trouble) {
    if (trouble.kind === "gone") panel.clear(open, "qualm has no history of this series any more.");
    else if (trouble.kind === "token") wantToken();
  },
});

function show() {
  showSummary(live);
  showSeries(live, open);
  showIncidents(live);
  showDetectors(live);
  if (open !== null) panel.show(open, live);
}

// Without a choice of the reader's the worst series is open, and stays open while it is anomalous.
function follow() {
  if (narrow.matches) return;
  const current = live.series.find((one) => one.id === open);
  if (current?.anomalous) return;
  const worst = live.series.find((one) => one.anomalous) ?? current ?? live.series.find((one) => one.score !== null);
  if (worst && worst.id !== open) turnTo(worst.id);
}

function turnTo(id) {
  open = id;
  panel.clear(id, "Loading its history.");
  pollSeries();
}

// What is open is in the address, so that it can be sent to someone and the back button closes it.
function choose(id) {
  const hash = `#s=${encodeURIComponent(id)}`;
  if (location.hash === hash) readAddress();
  else location.hash = hash;
}

function readAddress() {
  const [, written] = /^#s=(.+)$/.exec(location.hash) ?? [];
  let id = null;
  try {
    id = written ? decodeURIComponent(written) : null;
  } catch {
    // No address that this page wrote.
  }
  const covered = cover(id !== null);
  chosen = id !== null;
  // Closed on a narrow screen nothing is open; on a wide one the worst is followed again.
  if (id !== open && (id !== null || narrow.matches)) turnTo(id);
  if (live) {
    if (!chosen) follow();
    show();
  }
  if (covered) by("detail-name").focus();
}

// On a narrow screen an open series covers the rest, which can then not be reached. True if it has just begun to.
function cover(is) {
  const covers = is && narrow.matches;
  const before = document.body.classList.contains("covered");
  document.body.classList.toggle("covered", covers);
  for (const part of document.querySelectorAll("main > :not(#detail), body > header, body > footer, .skip"))
    part.inert = covers;
  if (before && !covers) by("rows").focus();
  return covers && !before;
}

function close() {
  history.pushState(null, "", location.pathname + location.search);
  readAddress();
}

function alive() {
  mark(document.body, "data-state", "live");
  by("trouble").hidden = true;
  clearInterval(retry.timer);
  if (by("ask").open) by("ask").close();
  put(by("status-text"), "live");
  put(by("zone"), `Times are ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
}

function lost(trouble, retryAt) {
  mark(document.body, "data-state", live ? "lost" : "loading");
  put(by("status-text"), "disconnected");
  const words = live ? `${trouble.message} What you see is of ${text.seconds(live.now)}.` : trouble.message;
  warn("Disconnected.", words, "Try now", retryAt);
}

function wantToken() {
  mark(document.body, "data-state", live ? "lost" : "loading");
  put(by("status-text"), "token needed");
  warn("qualm wants a token.", "", "Enter token", null);
  if (by("ask").open) return;
  put(by("ask-wrong"), hasToken() ? "The token that was used is not accepted." : "");
  by("ask").showModal();
}

function warn(title, words, act, retryAt) {
  by("trouble").hidden = false;
  put(by("trouble-title"), title);
  put(by("trouble-text"), words);
  put(by("trouble-act"), act);
  retry.at = retryAt;
  clearInterval(retry.timer);
  const count = () => put(by("trouble-wait"), retryIn());
  count();
  if (retryAt !== null) retry.timer = setInterval(count, 500);
}

function retryIn() {
  if (retry.at === null) return "";
  const left = retry.at - performance.now();
  return left > 0 ? `Next try in ${text.duration(Math.max(1000, left))}` : "Trying";
}

function again() {
  pollLive();
  pollSeries();
}

by("trouble-act").addEventListener("click", () => (retry.at === null ? by("ask").showModal() : again()));
by("ask-later").addEventListener("click", () => by("ask").close());
by("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = by("token");
  if (!useToken(input.value)) {
    put(by("ask-wrong"), "A token has no spaces and no letters beyond ASCII.");
    return;
  }
  input.value = "";
  by("ask").close();
  again();
});

by("close").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && chosen && !by("ask").open && event.target !== by("search")) close();
});
addEventListener("hashchange", readAddress);
addEventListener("popstate", readAddress);
narrow.addEventListener("change", () => {
  cover(chosen);
  if (live && !chosen) follow();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) again();
});

const dark = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  mark(
    by("theme"),
    "aria-pressed",
    (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark",
  );
  panel.retheme();
}

by("theme").addEventListener("click", () => {
  const next = by("theme").getAttribute("aria-pressed") === "true" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("qualm-theme", next);
  } catch {
    // Without storage the choice lives as long as the page.
  }
  showTheme();
});
dark.addEventListener("change", showTheme);

showTheme();
readAddress();
pollLive();
