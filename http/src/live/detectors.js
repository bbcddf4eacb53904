// The detectors: what each runs, whether it scores, how its model was last reloaded, whether the data drift away from it, and
// which model is to follow.

import { by, el, put, repeat } from "./dom.js";
import * as text from "./text.js";

const STATES = {
  scoring: ["scoring", "ok"],
  waiting: ["waiting for a model", "warn"],
  resting: ["resting", "bad"],
};

/// The limitations of the verdict: a sentence for each detector that has any.
export function troubles(detectors) {
  return detectors.flatMap((one) => {
    const found = [];
    if (one.state === "resting") found.push("is resting after failures: its metrics pass unscored");
    if (one.state === "waiting") found.push("has no model yet: its metrics pass unscored");
    if (one.reloads.last_error !== null) found.push("refused a new model");
    if (one.drift?.state === "drifting") found.push("sees drift");
    return found.length > 0 ? [`${text.clip(one.name)} ${found.join(", ")}.`] : [];
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
  const rollout = fact("rollout");
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
      rollout(...rolloutText(one.rollout));
      failures(failureText(one), one.state === "resting" ? "bad" : total(one.failures) > 0 ? "warn" : "");
      put(error, one.reloads.last_error === null ? "" : `Last reload refused: ${text.clip(one.reloads.last_error)}`);
      error.hidden = one.reloads.last_error === null;
    },
  };
}

function reloadText({ taken, refused }) {
  return taken + refused === 0 ? "none" : `${text.count(taken)} taken, ${text.count(refused)} refused`;
}

const NEVER = { unknown: "unknown: its model does not say what it was trained on", learning: "no whole window yet" };

function driftText(drift) {
  if (drift === null) return ["not watched", ""];
  if (drift.state in NEVER) return [NEVER[drift.state], ""];
  if (drift.state === "none") {
    const [far] = drift.features;
    return [far ? `none; farthest is ${text.clip(far.name)}, ${deviations(far)}` : "none", ""];
  }
  const drifted = drift.features.filter((one) => one.drifted);
  const named = drifted.slice(0, 3).map((one) => `${text.clip(one.name)} (${deviations(one)})`);
  const more = drifted.length > named.length ? ["more features"] : [];
  return [`since training changed: ${[...named, ...more, ...drift.also].join(", ")}`, "bad"];
}

const deviations = (one) => `${text.value(one.distance)} deviations`;

function rolloutText(rollout) {
  if (rollout === null) return ["new models take over at once", ""];
  if (rollout.shadow === null) return ["no candidate", ""];
  const version = `version ${text.count(rollout.shadow.version)}`;
  const alarms = `${text.many(rollout.shadow_alarms, "incident")} against ${text.count(rollout.alarms)}`;
  const what = rollout.state === "shadow" ? `${version} is in shadow` : `watched; ${version} is ready to come back`;
  const bad = rollout.out_of_bounds;
  return [`${what}: ${alarms} in ${text.many(rollout.rows, "row")}${bad === null ? "" : `; ${text.clip(bad)}`}`, bad === null ? "" : "warn"];
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
