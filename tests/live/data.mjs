// Data like those of a recorded night, in the service's format.
// All is derived from names by a seeded generator, so that a run looks like the one before.

const STEP = 10_000;
const STEPS = 360;

/// Names that someone chose in order to hurt.
export const HOSTILE = [
  "<img src=x onerror=alert(1)>",
  "</script><script>alert(2)</script>,host=a usage",
  "javascript:alert(3)",
  "{{constructor.constructor('alert(4)')()}} ${alert(5)}",
  "right\u202eto left,host=\u202ea usage",
  "line\nbreak\ttab\u0000nul value",
  `${"very_long_".repeat(2000)} field`,
  "__proto__ constructor",
  "& &amp; &#60;b&#62; \"'` usage",
];

// FNV-1a, then a small generator: enough for data that look alive.
function random(seed) {
  let state = 0x811c9dc5;
  for (const letter of seed) state = Math.imul(state ^ letter.codePointAt(0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const FIELDS = [
  ["cpu", "usage_idle", 92],
  ["cpu", "usage_iowait", 1.4],
  ["mem", "used_percent", 61],
  ["disk,path=/var", "used_percent", 47],
  ["net,interface=eth0", "drop_in", 0.2],
  ["nginx", "requests", 480],
  ["redis", "used_memory", 3.2e9],
  ["postgresql,db=orders", "blks_read", 210],
];

const perHost = (hosts) =>
  Array.from({ length: hosts }, (_, host) =>
    FIELDS.map(([measurement, field, level]) => ({
      name: `${measurement},host=web-${String(host + 1).padStart(2, "0")} ${field}`,
      detector: measurement.split(",")[0] === "cpu" ? "cpu" : "services",
      level,
    })),
  ).flat();

// Which series misbehave, for how many minutes by now, and how badly.
const TROUBLE = {
  "cpu,host=web-02 usage_iowait": [7, 42.7],
  "postgresql,db=orders,host=web-02 blks_read": [6.5, 8.31],
  "vitals host=web-03": [21, 1.46],
};

// Above the threshold, but kept from being an alarm, as `min_deviation` or `sustained` would.
const QUELLED = "nginx,host=web-04 requests";

function site(kind) {
  if (kind === "nothing") return [];
  if (kind === "hostile")
    return HOSTILE.map((name, i) => ({ name, detector: `<b>d${i}</b>`, level: 1, bad: [5, 3 + i] }));
  const all =
    kind === "many"
      ? perHost(125)
      : [
          ...perHost(5),
          ...["web-01", "web-02", "web-03"].map((host) => ({
            name: `vitals host=${host}`,
            detector: "vitals",
            level: null,
          })),
        ];
  if (kind === "quiet" || kind === "warming") return all;
  if (kind === "many") {
    all
      .filter((_, i) => i % 83 === 5)
      .forEach((one, i) => {
        one.bad = [3 + 2 * i, 1.1 * 3.1 ** (i + 1)];
      });
    return all;
  }
  return all.map((one) => ({ ...one, bad: TROUBLE[one.name], floor: one.name === QUELLED ? 2.4 : 0 }));
}

function history(one, id, now, kind) {
  const next = random(one.name + id);
  const end = Math.floor(now / STEP);
  const times = Array.from({ length: STEPS }, (_, i) => (end - STEPS + 1 + i) * STEP);
  const since = one.bad ? now - one.bad[0] * 60_000 : Infinity;
  const hole = Math.floor(next() * 300);
  let calm = 0.2;
  const scores = [];
  const values = [];
  const band = one.detector === "cpu" ? { expected: [], lower: [], upper: [] } : null;
  times.forEach((at, i) => {
    calm = Math.min(0.93, Math.max(0.02, calm + (next() - 0.52) * 0.16));
    const shape = at < since ? 0 : Math.min(1, (at - since + STEP) / 50_000) * (0.75 + 0.25 * next());
    const gone = kind === "warming" || (i >= hole && i < hole + 6);
    const burst = Math.abs(i - 90) < 4 && one.bad ? 1.3 + 2 * next() : 0;
    scores.push(gone ? null : Math.max(calm, burst, i > 340 ? (one.floor ?? 0) : 0, shape && one.bad[1] * shape));
    values.push(
      gone || one.level === null
        ? null
        : one.level * (1 + 0.04 * (next() - 0.5) + 0.05 * Math.sin(i / 40) + shape * 1.8 + burst * 0.2),
    );
    const expected = gone ? null : one.level * (1 + 0.05 * Math.sin(i / 40));
    band?.expected.push(expected);
    band?.lower.push(gone ? null : expected - 0.4 * one.level);
    band?.upper.push(gone ? null : expected + 0.4 * one.level);
  });
  return { times, scores, values, band, since };
}

// A model of several features says no reason.
const reason = (one) => (one.level === null ? null : one.level > 100 ? "level_shift" : "outside_band");

const VITALS = ["cpu_user", "mem_used", "net_in", "disk_io", "load1"];

function contributions(one, value) {
  if (!one.bad) return [];
  if (one.level !== null) return [{ feature: one.name.split(" ").at(-1), share: 1, value }];
  return VITALS.map((feature, i) => ({
    feature,
    share: [0.58, 0.27, -0.06, 0.06, 0.03][i],
    value: [97.2, 88.1, 1.2e6, 310, 14.2][i],
  }));
}

/// What `api/v1/live` answers.
export function live(kind, started, now) {
  const all = site(kind).map((one, i) => {
    const id = `${i % 3}-${i}`;
    const { scores, values, since } = history(one, id, now, kind);
    return {
      one,
      id,
      score: scores.at(-1),
      value: values.at(-1),
      since: one.bad ? Math.round(since) : null,
      peak: Math.max(...scores.map((score) => score ?? 0)),
    };
  });
  const series = all
    .map(({ one, id, score, since }) => ({
      id,
      name: one.name,
      detector: one.detector,
      score,
      anomalous: Boolean(one.bad),
      since,
      last: now - 1200,
    }))
    .sort((a, b) => b.anomalous - a.anomalous || b.score - a.score);
  const open = all
    .filter(({ one }) => one.bad)
    .map(({ one, id, value, since, peak }) => ({
      id,
      name: one.name,
      detector: one.detector,
      started: since,
      ended: null,
      peak,
      reason: reason(one),
      cause: contributions(one, value)[0].feature,
      contributions: contributions(one, value),
    }));
  const past =
    kind === "nothing" || kind === "warming"
      ? []
      : all
          .filter((_, i) => i % 7 === 1)
          .slice(0, 12)
          .map(({ one, id, value }, i) => ({
            id,
            name: one.name,
            detector: one.detector,
            started: now - (46 + 97 * i) * 60_000,
            ended: now - (45 + 97 * i - (i % 3) * 4) * 60_000,
            peak: 1.2 + 0.7 * i,
            reason: reason(one),
            cause: "usage",
            contributions: [{ feature: one.name.split(" ").at(-1), share: 1, value }],
          }));
  const up = (now - started) / 1000 + (kind === "nothing" || kind === "warming" ? 20 : 86_400 * 3);
  const rows = Math.round(up * 25);
  const scored = kind === "nothing" || kind === "warming" ? 0 : rows - 960;
  const idle = kind === "nothing";
  return {
    now,
    qualm: { version: "0.1.0", mode: "serve", api: true, uptime_seconds: up },
    throughput: {
      events: rows * 3,
      rows,
      scored,
      incidents: scored ? 214 : 0,
      bytes: rows * 410,
      events_per_second: idle ? 0 : 74.6,
      rows_per_second: idle ? 0 : 24.9,
    },
    latency: idle
      ? { batches: 0, p50_ms: null, p99_ms: null, max_ms: null }
      : { batches: 620, p50_ms: 0.083, p99_ms: 0.41, max_ms: 3.07 },
    detectors: [
      {
        name: "cpu",
        kind: "streaming",
        state: "scoring",
        model: null,
        series: series.filter((one) => one.detector === "cpu").length,
        rows,
        scored,
        incidents: 61,
        unscored: 0,
        failures: {},
        rests: 0,
        restarts: 0,
        reloads: { taken: 0, refused: 0, last_error: null },
        drift: null,
        rollout: null,
      },
      {
        name: "services",
        kind: "streaming",
        state: "scoring",
        model: null,
        series: series.filter((one) => one.detector === "services").length,
        rows: rows * 2,
        scored: scored * 2,
        incidents: 150,
        unscored: 0,
        failures: { trap: 1 },
        rests: 0,
        restarts: 1,
        reloads: { taken: 0, refused: 0, last_error: null },
        drift: null,
        rollout: null,
      },
      {
        name: "vitals",
        kind: "ensemble",
        state: "scoring",
        model: { name: "host-vitals", version: 7 },
        series: 3,
        rows,
        scored,
        incidents: 3,
        unscored: 0,
        failures: {},
        rests: 0,
        restarts: 0,
        reloads: {
          taken: 2,
          refused: idle ? 0 : 1,
          last_error:
            idle || kind === "warming" || kind === "quiet"
              ? null
              : "version 6 is older than the running version 7: to go back on purpose, run `qualm bundle rollback host-vitals`",
        },
        drift: {
          state: kind === "busy" ? "drifting" : "none",
          features: [
            { name: "mem_used", distance: 1.31, drifted: kind === "busy" },
            { name: "load1", distance: 0.12, drifted: false },
            { name: "net_in", distance: 0.04, drifted: false },
          ],
          also: kind === "busy" ? ["scores"] : [],
        },
        rollout: {
          state: kind === "busy" ? "shadow" : "none",
          shadow: kind === "busy" ? { name: "host-vitals", version: 8, kind: "pca-mahalanobis" } : null,
          seconds: 4000,
          rows: 3200,
          alarms: 3,
          shadow_alarms: 2,
          anomalous: 40,
          shadow_anomalous: 30,
          agreement: 0.5,
          correlation: 0.93,
          failures: 0,
          shadow_failures: 0,
          cost: 1.1,
          memory: 1_400_000,
          out_of_bounds: null,
          counts: { promotions: 1, rollbacks: 0, rejections: 0 },
        },
      },
      ...(kind === "busy"
        ? [
            {
              name: "kafka-lag",
              kind: "isolation-forest",
              state: "resting",
              model: { name: "kafka-lag", version: 12 },
              series: 0,
              rows: 4100,
              scored: 3900,
              incidents: 0,
              unscored: 200,
              failures: { deadline: 9, trap: 1 },
              rests: 2,
              restarts: 10,
              reloads: { taken: 1, refused: 0, last_error: null },
              drift: { state: "unknown", features: [], also: [] },
              rollout: null,
            },
          ]
        : []),
    ],
    series,
    series_total: series.length,
    incidents: [...open, ...past].sort((a, b) => b.started - a.started),
  };
}

/// What `api/v1/live/series/ID` answers, or null.
export function oneSeries(kind, id, now) {
  const at = site(kind).findIndex((_, i) => `${i % 3}-${i}` === id);
  if (at < 0) return null;
  const one = site(kind)[at];
  const { times, scores, values, band } = history(one, id, now, kind);
  return {
    id,
    name: one.name,
    detector: one.detector,
    step_ms: STEP,
    times,
    scores,
    values,
    band,
    features: one.level === null ? VITALS : null,
    contributions: contributions(one, values.at(-1)),
  };
}
