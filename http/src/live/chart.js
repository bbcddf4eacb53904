// The two charts of an open series: its score over time, and below it, on the same times, its value.

/* global uPlot */
import { drawBand, typical } from "./ordinary.js";
import { THRESHOLD, fromScale, ticks, toScale } from "./scale.js";
import * as text from "./text.js";

const FONT = "12px system-ui, sans-serif";
const AXIS_WIDTH = 52;

const colours = new Map();

/// To be called when the theme changes: colours are looked up anew.
export const forgetColours = () => colours.clear();

// A canvas cannot read custom properties: an element resolves them.
function colour(name) {
  if (!colours.has(name)) {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}

/// `hovered(index)` is called with the step under the pointer, or null. Returns `{show, redraw}`.
export function charts({ scoreIn, valueIn, hovered }) {
  let spans = [];
  let band = null;

  // When it was anomalous, from top to bottom of both charts.
  function incidents(u) {
    const { left, top, width, height } = u.bbox;
    u.ctx.save();
    u.ctx.fillStyle = colour("incident");
    for (const [from, to] of spans) {
      const start = Math.max(left, u.valToPos(from, "x", true));
      const end = Math.min(left + width, u.valToPos(to, "x", true));
      if (end >= left && start <= left + width) u.ctx.fillRect(start, top, Math.max(2, end - start), height);
    }
    u.ctx.restore();
  }

  const score = plot(scoreIn, {
    ...shared("line"),
    scales: {
      y: { distr: 100, fwd: toScale, bwd: fromScale, range: (_, __, max) => [0, Math.max(1.25, (max ?? 0) * 1.15)] },
    },
    axes: [
      times(),
      {
        ...look(),
        splits: (u) => ticks(u.scales.y.max),
        filter: (_, at) => at,
        values: (_, at) => at.map((one) => (one < 1 ? String(one) : text.short(one))),
        // The threshold has a line of its own.
        grid: { ...line(), filter: (_, at) => at.map((one) => (one === THRESHOLD ? null : one)) },
      },
    ],
    series: [{}, drawn("line", true)],
    hooks: { drawClear: [incidents], draw: [threshold], setCursor: [(u) => hovered(u.cursor.idx ?? null)] },
  });

  const value = plot(valueIn, {
    ...shared("value"),
    scales: { y: { range: (_, min, max) => around(min, max, band ? typical(band) : []) } },
    axes: [times(), { ...look(), space: 28, values: (_, at) => at.map(text.value) }],
    series: [{}, drawn("value", false)],
    hooks: {
      drawClear: [incidents, (u) => band && drawBand(u, band, { area: colour("ordinary"), line: colour("expected") })],
    },
  });

  return {
    /// Draws `times`, `scores`, `values` (null if there is none), the expected band (null if it is not known), and the spans `[from, to]` in which it was anomalous.
    show({ times: at, scores, values, band: ordinary }, anomalous) {
      spans = anomalous;
      band = ordinary;
      score.show([at, scores]);
      value.show([at, values]);
    },
    redraw() {
      score.redraw();
      value.redraw();
    },
  };
}

// A chart that fills its box. It is created once the box has a size, which a hidden one does not have.
function plot(box, options) {
  let chart = null;
  let data = [[], []];
  function fit() {
    const size = { width: box.clientWidth, height: box.clientHeight };
    if (size.width === 0 || size.height === 0) return;
    if (chart === null) chart = new uPlot({ ...options, ...size }, data, box);
    else if (chart.width !== size.width || chart.height !== size.height) chart.setSize(size);
  }
  new ResizeObserver(fit).observe(box);
  return {
    show(next) {
      data = next;
      if (chart === null) fit();
      else chart.setData(data);
    },
    redraw: () => chart?.redraw(false, true),
  };
}

const shared = (name) => ({
  ms: 1,
  padding: [8, 24, 0, 0],
  legend: { show: false },
  cursor: {
    y: false,
    drag: { x: false, y: false },
    sync: { key: "series" },
    points: { size: 7, width: 0, fill: () => colour(name), stroke: () => "transparent" },
  },
});

const drawn = (name, filled) => ({
  stroke: (u) => parted(u, name, 1),
  fill: filled ? (u) => parted(u, name, 0.16) : undefined,
  width: 1.75,
  points: { show: () => false, filter: lonely, size: 5, width: 0, fill: (u) => parted(u, name, 1) },
});

const line = () => ({ stroke: () => colour("rule"), width: 1 });

const look = () => ({
  stroke: () => colour("dim"),
  font: FONT,
  size: AXIS_WIDTH,
  gap: 6,
  grid: line(),
  ticks: { show: false },
});

function times() {
  const values = (_, at, __, ___, step) =>
    at.map((one, i) => {
      if (step < 60_000) return text.seconds(one);
      // The first label of a new day is its date.
      return i > 0 && text.day(one) !== text.day(at[i - 1]) ? text.day(one) : text.time(one, one);
    });
  return { ...look(), size: 30, space: 56, values };
}

function around(least, most, more) {
  if (least === null || most === null) return [0, 1];
  const [min, max] = [Math.min(least, ...more), Math.max(most, ...more)];
  const room = (max - min) * 0.1 || Math.abs(max) * 0.1 || 1;
  return [min - room, max + room];
}

// A step between two gaps has no line to be on.
function lonely(u, series) {
  const values = u.data[series];
  const alone = [];
  values.forEach((one, i) => {
    if (one !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) alone.push(i);
  });
  return alone.length ? alone : null;
}

// A line that changes its colour where it crosses the threshold; the value's chart has none.
function parted(u, name, alpha) {
  const below = faded(colour(name), alpha);
  const { top, height } = u.bbox;
  if (name !== "line" || !(height > 0)) return below;
  const above = faded(colour("bad"), alpha);
  const at = Math.min(1, Math.max(0, (u.valToPos(THRESHOLD, "y", true) - top) / height));
  const paint = u.ctx.createLinearGradient(0, top, 0, top + height);
  paint.addColorStop(0, above);
  paint.addColorStop(at, above);
  paint.addColorStop(at, below);
  paint.addColorStop(1, below);
  return paint;
}

const faded = (rgb, alpha) => (alpha === 1 ? rgb : rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`));

function threshold(u) {
  const y = Math.round(u.valToPos(THRESHOLD, "y", true)) + 0.5;
  const { left, width } = u.bbox;
  u.ctx.save();
  u.ctx.strokeStyle = colour("bad");
  u.ctx.lineWidth = uPlot.pxRatio;
  u.ctx.setLineDash([5 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
  u.ctx.beginPath();
  u.ctx.moveTo(left, y);
  u.ctx.lineTo(left + width, y);
  u.ctx.stroke();
  u.ctx.restore();
}
