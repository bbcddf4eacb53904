// The first five seconds: is something wrong, since when, and can the answer be trusted.

import { by, el, mark, put, repeat } from "./dom.js";
import { troubles } from "./detectors.js";
import * as text from "./text.js";

const dot = (colour) =>
  `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="${colour}"/></svg>`)}`;
const ICONS = { bad: dot("#d6322a"), warn: dot("#d9912b"), ok: dot("#2e8b57"), idle: dot("#8793a5") };

export function summary() {
  const notices = repeat(by("notices"), () => {
    const node = el("li", "");
    return { node, fill: (one) => put(node, one) };
  });

  return (live) => {
    const found = troubles(live.detectors);
    const { tone, headline, subline } = verdict(live, found.length > 0);
    mark(by("verdict"), "data-tone", tone);
    put(by("headline"), headline);
    put(by("subline"), subline);
    by("notices").hidden = found.length === 0;
    notices(found);
    mark(by("icon"), "href", ICONS[tone]);
    const bad = live.series.filter((one) => one.anomalous).length;
    document.title = bad > 0 ? `(${bad}) qualm` : "qualm";
    by("api").hidden = !live.qualm.api;
    put(by("about"), `${live.qualm.version} ${live.qualm.mode}, up ${text.duration(live.qualm.uptime_seconds * 1000)}`);
    vitals(live);
  };
}

function verdict(live, troubled) {
  const { series, series_total: total, now } = live;
  const bad = series.filter((one) => one.anomalous);
  const scored = series.filter((one) => one.score !== null).length;
  const warming = series.length - scored;
  if (bad.length > 0) {
    const first = Math.min(...bad.map((one) => one.since ?? now));
    const worst = bad.reduce((a, b) => ((b.score ?? 0) > (a.score ?? 0) ? b : a));
    // A full list means that there may be more.
    const at = bad.length === series.length && total > bad.length ? "At least " : "";
    return {
      tone: "bad",
      headline: `${at}${text.count(bad.length)} of ${text.count(total)} series ${bad.length === 1 ? "is" : "are"} anomalous`,
      subline: `${bad.length > 1 ? "The first since" : "Since"} ${text.time(first, now)}, for ${text.duration(now - first)}. Highest score ${text.score(worst.score)}: ${text.clip(worst.name)}`,
    };
  }
  if (scored === 0) {
    return {
      tone: "idle",
      headline: total > 0 ? `Nothing scored yet: warming up, 0 of ${text.count(total)}` : "Nothing scored yet",
      subline:
        total > 0
          ? "A series gets scores once its detector has seen enough of it."
          : "No series has come in. Metrics that a detector selects appear here.",
    };
  }
  const last = live.incidents.find((one) => one.ended !== null);
  const before = last
    ? `The last incident ended ${text.time(last.ended, now)}, ${text.duration(now - last.ended)} ago.`
    : "No incident since qualm started.";
  const cold = warming > 0 ? ` Warming up: ${text.count(warming)} of ${text.count(total)}.` : "";
  return {
    tone: troubled ? "warn" : "ok",
    headline: "Nothing is anomalous",
    subline: `${text.count(total)} series watched. ${before}${cold}`,
  };
}

function vitals({ throughput, latency }) {
  put(by("v-events"), text.rate(throughput.events_per_second));
  put(by("v-rows"), text.rate(throughput.rows_per_second));
  put(by("v-scored"), text.short(throughput.scored));
  put(by("v-incidents"), text.short(throughput.incidents));
  put(by("v-p50"), text.millis(latency.p50_ms));
  put(by("v-p99"), text.millis(latency.p99_ms));
  put(by("v-max"), text.millis(latency.max_ms));
  put(by("v-bytes"), text.bytes(throughput.bytes));
}
