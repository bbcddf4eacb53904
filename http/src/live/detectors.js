// The detectors: what each runs, whether it scores, how its model was last reloaded, and whether the data drift away from it.

import { by, el, put, repeat } from "./dom.js";
import * as text from "./text.js";

const STATES = {
  scoring: ["scoring", "ok"],
  waiting: ["waiting for a model", "warn"],
  resting: ["resting", "bad"],
};

/// The limitations of the verdict, in sentences.
export function troubles(detectors) {
  return detectors.flatMap((one) => {
    const name = text.clip(one.name);
    const found = [];
    if (one.state === "resting") found.push(`${name} is resting after failures: its metrics pass unscored.`);
    if (one.state === "waiting") found.push(`${name} has no model yet: its metrics pass unscored.`);
    if (one.reloads.last_error !== null) found.push(`${name} refused a new model.`);
    if (one.drift?.state === "confirmed") found.push(`${name} sees drift: its scores may mislead.`);
    return found;
  });
}

export function detectors() {
  const list = repeat(by("detector-list"), makeCard);
  return (live) => {
    list(live.detectors);
    put(by("detectors-count"), text.count(live.detectors.length));
    put(by("detectors-empty"), "No detector is configured.");
    by("detectors-empty").hidden = live.detectors.length > 0;
    by("detector-list").hidden = live.detectors.length === 0;
  };
}

function makeCard() {
  const name = el("bdi", "");
  const state = el("span", "badge");
  const lines = el("dl", "");
  const fact = (label) => {
    const dd = el("dd", "");
    lines.append(el("div", "", el("dt", "", label), dd));
    return (value, tone = "") => {
      put(dd, value);
      dd.className = tone;
    };
  };
  const model = fact("model");
  const scored = fact("scored");
  const unscored = fact("not scored");
  const reloads = fact("reloads");
  const drift = fact("drift");
  const failures = fact("failures");
  const error = el("p", "error");
  const node = el("li", "", el("h3", "", name, " ", state), lines, error);
  return {
    node,
    fill(one) {
      put(name, text.clip(one.name));
      const [words, tone] = STATES[one.state] ?? [text.clip(one.state), "warn"];
      put(state, words);
      state.className = `badge ${tone}`;
      model(
        one.model
          ? `${text.clip(one.model.name)}, version ${text.count(one.model.version)}`
          : one.state === "waiting"
            ? `none yet, ${text.clip(one.kind)}`
            : one.kind === "ensemble"
              ? "an ensemble of those called after it"
              : `learns online, ${text.clip(one.kind)}`,
      );
      scored(
        `${text.short(one.scored)} of ${text.many(one.rows, "row")}, ${text.short(one.series)} series${one.incidents === null ? "" : `, ${text.many(one.incidents, "incident")}`}`,
      );
      unscored(one.unscored > 0 ? text.many(one.unscored, "row") : "none", one.unscored > 0 ? "warn" : "");
      reloads(reloadText(one.reloads), one.reloads.last_error !== null ? "bad" : "");
      drift(...driftText(one.drift));
      failures(failureText(one), one.state === "resting" ? "bad" : total(one.failures) > 0 ? "warn" : "");
      put(error, one.reloads.last_error === null ? "" : `Last reload refused: ${text.clip(one.reloads.last_error)}`);
      error.hidden = one.reloads.last_error === null;
    },
  };
}

function reloadText({ taken, refused }) {
  return taken + refused === 0 ? "none" : `${text.count(taken)} taken, ${text.count(refused)} refused`;
}

function driftText(drift) {
  if (drift === null) return ["not watched", ""];
  const far = [...drift.features].sort((a, b) => b.distance - a.distance).slice(0, 3);
  const where = far.map((one) => `${text.clip(one.name)} ${text.value(one.distance)}`).join(", ");
  if (drift.state === "none") return [where ? `none; farthest ${where}` : "none", ""];
  return [`${drift.state}: ${where}`, drift.state === "confirmed" ? "bad" : "warn"];
}

const total = (failures) => Object.values(failures).reduce((sum, one) => sum + one, 0);

function failureText({ failures, rests, restarts }) {
  const kinds = Object.entries(failures)
    .filter(([, times]) => times > 0)
    .map(([kind, times]) => `${text.clip(kind)} ${text.count(times)}`);
  if (rests > 0) kinds.push(text.many(rests, "rest"));
  if (restarts > 0) kinds.push(text.many(restarts, "restart"));
  return kinds.length ? kinds.join(", ") : "none";
}
