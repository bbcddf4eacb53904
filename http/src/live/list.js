// The list of series: searched, sorted, and only as many rows in the document as fit into its window.

import { by, el, mark, put } from "./dom.js";
import { fraction } from "./scale.js";
import * as text from "./text.js";

const SPARE = 4;
/// While someone points at the list or moves in it, rows keep their places for this long.
const HOLD_MS = 4_000;

const collator = new Intl.Collator("en", { numeric: true });

/// `open(id)` is called when a series is chosen. Returns `show(live, openId)`.
export function seriesList({ open }) {
  const root = by("rows");
  const tall = root.firstElementChild;
  const search = by("search");
  const only = by("only");
  const pool = [];
  let live = null;
  let incidents = new Map();
  let opened = null;
  let shown = [];
  let active = null;
  let heldUntil = 0;
  // The height of a row is the style sheet's: rows are higher where they are narrow.
  let rowHeight = 44;

  function rank() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (one) => {
      const all = `${one.name} ${one.detector}`.toLowerCase();
      return words.every((word) => all.includes(word));
    };
    const found = live.series.filter((one) => (!only.checked || one.anomalous) && fits(one));
    return found.sort(sortedByName() ? byName : byScore);
  }

  const sortedByName = () => document.querySelector("input[name=sort]:checked").value === "name";

  // New values replace old ones in place; new series come last until the pointer leaves the list.
  function hold(ranked) {
    const places = new Map(shown.map((one, place) => [one.id, place]));
    const place = (one) => places.get(one.id) ?? Infinity;
    return ranked.sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
  }

  function update(mayHold) {
    if (!live) return;
    const ranked = rank();
    shown = mayHold && performance.now() < heldUntil ? hold(ranked) : ranked;
    const listed = live.series.length;
    const more = live.series_total > listed ? `, the first of ${text.count(live.series_total)}` : "";
    put(
      by("series-count"),
      shown.length === listed && !more
        ? text.count(listed)
        : `${text.count(shown.length)} of ${text.count(listed)}${more}`,
    );
    put(by("rows-empty"), emptiness());
    by("rows-empty").hidden = shown.length > 0;
    root.hidden = shown.length === 0;
    measure();
  }

  function emptiness() {
    if (live.series.length === 0) return "No series yet.";
    if (only.checked && !search.value.trim()) return "Nothing is anomalous.";
    return "No series fits.";
  }

  function measure() {
    rowHeight = Number.parseFloat(getComputedStyle(root).getPropertyValue("--row")) || rowHeight;
    tall.style.height = `${shown.length * rowHeight}px`;
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(root.scrollTop / rowHeight) - SPARE);
    const room = Math.ceil(root.clientHeight / rowHeight) + 2 * SPARE;
    const last = Math.min(shown.length, first + room);
    while (pool.length < last - first) {
      const row = makeRow(pool.length);
      pool.push(row);
      tall.append(row.node);
    }
    let activeNode = null;
    pool.forEach((row, i) => {
      const place = first + i;
      row.node.hidden = place >= last;
      if (place >= last) return;
      const one = shown[place];
      if (one.id === active) activeNode = row.node.id;
      row.fill(one, place, shown.length, {
        opened: one.id === opened,
        active: one.id === active,
        now: live.now,
        why: incidents.get(one.id),
        height: rowHeight,
      });
    });
    mark(root, "aria-activedescendant", activeNode);
  }

  function reveal(place) {
    const top = place * rowHeight;
    if (top < root.scrollTop) root.scrollTop = top;
    else if (top + rowHeight > root.scrollTop + root.clientHeight) root.scrollTop = top + rowHeight - root.clientHeight;
  }

  function move(event) {
    const page = Math.max(1, Math.floor(root.clientHeight / rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (active !== null) open(active);
      return;
    }
    const step = steps[event.key];
    if (step === undefined || shown.length === 0) return;
    event.preventDefault();
    const at = shown.findIndex((one) => one.id === active);
    const place = at < 0 && Number.isFinite(step) ? 0 : Math.min(shown.length - 1, Math.max(0, at + step));
    active = shown[place].id;
    reveal(place);
    draw();
  }

  const touched = () => {
    heldUntil = performance.now() + HOLD_MS;
  };

  root.addEventListener(
    "scroll",
    () => {
      touched();
      draw();
    },
    { passive: true },
  );
  root.addEventListener("pointermove", touched, { passive: true });
  root.addEventListener("pointerleave", () => {
    heldUntil = 0;
  });
  root.addEventListener("keydown", (event) => {
    touched();
    move(event);
  });
  root.addEventListener("focus", () => {
    if (!shown.some((one) => one.id === active))
      active = (shown.find((one) => one.id === opened) ?? shown[0])?.id ?? null;
    draw();
  });
  root.addEventListener("click", (event) => {
    const row = pool.find(({ node }) => node.contains(event.target));
    if (!row) return;
    active = row.id();
    open(active);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || shown.length === 0) return;
    event.preventDefault();
    root.focus();
  });
  for (const input of [search, only, ...document.querySelectorAll("input[name=sort]")]) {
    input.addEventListener("input", () => {
      root.scrollTop = 0;
      update(false);
    });
  }
  new ResizeObserver(measure).observe(root);

  return (next, openId) => {
    live = next;
    opened = openId;
    incidents = new Map(live.incidents.filter((one) => one.ended === null).map((one) => [one.id, one]));
    update(true);
  };
}

function byScore(a, b) {
  return b.anomalous - a.anomalous || (b.score ?? -1) - (a.score ?? -1) || byName(a, b);
}

function byName(a, b) {
  return collator.compare(a.name, b.name) || collator.compare(a.id, b.id);
}

function makeRow(number) {
  const score = el("span", "score");
  const fill = el("span", "fill");
  const meter = el("span", "meter", fill);
  const where = el("bdi", "where");
  const what = el("bdi", "what");
  const sub = el("bdi", "sub");
  const age = el("span", "age");
  const node = el("div", "row", score, meter, el("span", "name", what, " ", where), sub, age);
  node.id = `row-${number}`;
  mark(node, "role", "option");
  let id = null;
  return {
    node,
    id: () => id,
    fill(one, place, all, { opened, active, now, why, height }) {
      id = one.id;
      const [head, tail] = text.nameParts(one.name);
      put(what, tail);
      put(where, head);
      put(score, text.score(one.score));
      fill.style.transform = `scaleX(${one.score === null ? 0 : fraction(one.score).toFixed(4)})`;
      put(
        sub,
        one.anomalous
          ? (why && text.incident(why)) || text.clip(one.detector)
          : one.score === null
            ? "warming up"
            : text.clip(one.detector),
      );
      put(
        age,
        one.anomalous && one.since !== null
          ? `${text.time(one.since, now)} · ${text.duration(now - one.since)}`
          : stale(one, now),
      );
      node.style.transform = `translateY(${place * height}px)`;
      node.classList.toggle("bad", one.anomalous);
      node.classList.toggle("cold", one.score === null);
      node.classList.toggle("active", active);
      mark(node, "aria-selected", opened);
      mark(node, "aria-posinset", place + 1);
      mark(node, "aria-setsize", all);
    },
  };
}

// A series without recent data is marked: its score is an old one.
function stale(one, now) {
  const silent = now - one.last;
  return silent > 60_000 ? `silent ${text.duration(silent)}` : "";
}
