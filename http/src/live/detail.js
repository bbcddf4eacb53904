// One open series: its score and value over time, and the causes.

import { charts, forgetColours } from "./chart.js";
import { by, el, mark, put, repeat } from "./dom.js";
import * as text from "./text.js";

export function detail() {
  const shares = repeat(by("shares"), makeShare);
  let history = null;
  let now = Date.now();
  const plots = charts({ scoreIn: by("plot-score"), valueIn: by("plot-value"), hovered: read });

  // The step under the pointer, or the last one.
  function read(index) {
    if (!history || history.times.length === 0) {
      put(by("read-score"), "");
      put(by("read-value"), "");
      return;
    }
    const at = index ?? history.times.length - 1;
    const when = text.seconds(history.times[at]);
    put(by("read-score"), `${when}  ${text.score(history.scores[at])}`);
    put(by("read-value"), `${when}  ${text.value(history.values[at])}`);
  }

  function facts(id, live) {
    const one = live.series.find((series) => series.id === id);
    const incidents = live.incidents.filter((incident) => incident.id === id);
    put(by("detail-name"), text.clip(one?.name ?? incidents[0]?.name ?? history?.name ?? "Series"));
    put(by("detail-score"), text.score(one?.score));
    by("detail").classList.toggle("bad", one?.anomalous ?? false);
    put(by("detail-since"), since(one, incidents, live.now));
    return incidents;
  }

  function why(anomalous, reason) {
    const found = text.byWeight(history?.contributions);
    const isKnown = found.length > 0 || Boolean(reason);
    const most = Math.max(1e-9, ...found.map((one) => Math.abs(one.share)));
    put(by("why-title"), anomalous || !isKnown ? "Why" : "Why, when it was last anomalous");
    put(by("why-reason"), text.meaning(reason));
    by("shares").parentElement.hidden = found.length === 0;
    put(
      by("why-none"),
      isKnown
        ? ""
        : history
          ? anomalous
            ? "It is one value by itself: what is out of the ordinary is the value above."
            : "Nothing to explain: it is not anomalous."
          : "",
    );
    shares(found.map((one) => ({ ...one, part: Math.abs(one.share) / most })));
  }

  // The opened series has no data yet, or none is open.
  function clear(id, note) {
    history = null;
    by("detail").classList.toggle("none", id === null);
    if (id === null) return;
    plots.show({ times: [now - 3_600_000, now], scores: [null, null], values: [null, null], band: null }, []);
    by("legend-band").hidden = true;
    read(null);
    put(by("plot-note"), note);
    why(false, null);
  }

  return {
    /// Shows the series without its history, which has not come yet.
    show(id, live) {
      now = live.now;
      const incidents = facts(id, live);
      if (history) plots.show(history, spansOf(incidents, now));
    },
    /// Shows its history.
    take(next, live) {
      history = next;
      now = live.now;
      const incidents = facts(next.id, live);
      plots.show(history, spansOf(incidents, now));
      read(null);
      put(by("plot-note"), note(history));
      by("figure-value").hidden = !history.values.some((one) => one !== null);
      by("legend-band").hidden = history.band === null;
      why(by("detail").classList.contains("bad"), incidents[0]?.reason ?? null);
      summarise(history);
    },
    clear,
    retheme() {
      forgetColours();
      plots.redraw();
    },
  };
}

function since(one, incidents, now) {
  if (one?.anomalous && one.since !== null) {
    const open = incidents.find((incident) => incident.ended === null);
    const why = open ? text.incident(open) : "";
    return `Anomalous since ${text.time(one.since, now)}, for ${text.duration(now - one.since)}${why ? `: ${why}` : ""}`;
  }
  if (one && one.score === null) return `Warming up in detector ${text.clip(one.detector)}`;
  const last = incidents.find((incident) => incident.ended !== null);
  const before = last ? `; last anomalous ${text.time(last.started, now)} to ${text.time(last.ended, now)}` : "";
  // A detector's settings may keep a high score from being an alarm.
  if (one && one.score > 1)
    return `Above the threshold, but no alarm by the settings of ${text.clip(one.detector)}${before}`;
  return one ? `Ordinary, by detector ${text.clip(one.detector)}${before}` : `Not among the series listed${before}`;
}

const spansOf = (incidents, now) => incidents.map((one) => [one.started, one.ended ?? now]);

function note(history) {
  if (history.times.length === 0) return "No history yet.";
  const every = `One point is the highest score in ${text.duration(history.step_ms)}.`;
  if (history.values.some((one) => one !== null) || !history.features) return every;
  return `${every} Scored as a vector of ${text.many(history.features.length, "feature")}: ${text.clip(history.features.join(", "))}.`;
}

// A description of the charts for screen readers.
function summarise({ times, scores, values, band }) {
  let peak = -1;
  scores.forEach((one, i) => {
    if (one !== null && (peak < 0 || one > scores[peak])) peak = i;
  });
  const span = times.length ? `${text.seconds(times[0])} to ${text.seconds(times.at(-1))}` : "no time yet";
  const highest =
    peak < 0
      ? "nothing scored"
      : `highest ${text.score(scores[peak])} at ${text.seconds(times[peak])}, last ${text.score(scores.at(-1))}`;
  const known = values.filter((one) => one !== null);
  const range = known.length
    ? `from ${text.value(Math.min(...known))} to ${text.value(Math.max(...known))}`
    : "no values";
  mark(by("plot-score"), "aria-label", `Score history, ${span}: ${highest}`);
  const [lower, upper] = [band?.lower.at(-1), band?.upper.at(-1)].map(text.value);
  const ordinary = band ? `; ordinary at last would be from ${lower} to ${upper}` : "";
  mark(by("plot-value"), "aria-label", `Value history, ${span}: ${range}${ordinary}`);
}

function makeShare() {
  const name = el("bdi", "");
  const fill = el("span", "fill");
  const share = el("td", "num");
  const value = el("td", "num");
  const feature = el("th", "", name);
  mark(feature, "scope", "row");
  const bar = el("td", "bar", el("span", "meter", fill));
  const node = el("tr", "", feature, bar, share, value);
  return {
    node,
    fill(one) {
      put(name, text.clip(one.feature));
      put(share, text.percent(one.share));
      put(value, text.value(one.value));
      fill.style.transform = `scaleX(${one.part.toFixed(4)})`;
      fill.classList.toggle("minus", one.share < 0);
    },
  };
}
