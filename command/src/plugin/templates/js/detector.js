// How far each value is from what its series was like: standard deviations, in units of the threshold.
//
// Mean and variance are exponentially weighted (West 1979), one pair for each feature of each series. All arithmetic is
// IEEE 754's own, so that the scores are the same to the last bit on every machine.

const KIND = 'my-detector';
// Changes when the same rows may get other scores.
const VERSION = '1';
const FEATURES = 1;

// What saved state begins with: whose it is, and in which format.
const FORMAT = 'my-detector state 1';

// What can be set: the model is a JSON object with some of these.
const DEFAULTS = {
  threshold: 5, // standard deviations from the mean at which an anomaly begins
  memory: 1000, // rows that the mean is taken over, about
  warm_up: 100, // rows of a series before its first score
};

// Values farther out are taken for this, so that no square is infinite.
const MOST = 1e100;

// Numbers that are kept of a feature: rows seen, mean, variance.
const KEPT = 3;

const fail = (tag, val) => {
  throw { tag, val };
};
const clamp = (value, most) => Math.min(Math.max(value, -most), most);
const toBytes = (value) => Uint8Array.from(JSON.stringify(value), (letter) => letter.charCodeAt(0));
const fromBytes = (bytes) => JSON.parse(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

function settingsOf(model) {
  let set;
  try {
    set = fromBytes(model);
  } catch (error) {
    fail('bad-model', `parameters of ${KIND}: ${error.message}`);
  }
  if (set === null || typeof set !== 'object' || Array.isArray(set)) fail('bad-model', `${KIND} takes a JSON object`);
  const unknown = Object.keys(set).find((name) => !(name in DEFAULTS));
  if (unknown !== undefined) {
    fail('bad-model', `${KIND} has no \`${unknown}\`, but ${Object.keys(DEFAULTS).join(', ')}`);
  }
  const settings = { ...DEFAULTS, ...set };
  if (!Object.values(settings).every(Number.isFinite)) fail('bad-model', `the parameters of ${KIND} are numbers`);
  if (!(settings.threshold > 0 && settings.memory >= 1 && settings.warm_up >= 1)) {
    fail('bad-model', '`threshold` is more than 0, `memory` and `warm_up` are at least 1');
  }
  return settings;
}

class Detector {
  constructor(settings) {
    this.settings = settings;
    this.series = new Map(); // by number: KEPT numbers for each feature
  }

  static open(model) {
    return new Detector(settingsOf(model));
  }

  describe() {
    const { threshold, warm_up: warmUp } = this.settings;
    const scale = `${threshold} standard deviations from the mean of the series`;
    return { kind: KIND, version: VERSION, features: FEATURES, warmUp, scale };
  }

  observe({ series, timestamps, values }, explain) {
    const rows = series.length;
    if (timestamps.length !== rows || values.length !== rows * FEATURES) {
      fail('bad-shape', `${KIND} takes a time and ${FEATURES} values a row`);
    }
    const scores = new Float64Array(rows).fill(NaN);
    const contributions = new Float64Array(explain ? rows * FEATURES : 0);
    for (let row = 0; row < rows; row++) {
      let known = this.series.get(series[row]);
      if (!known) this.series.set(series[row], (known = new Float64Array(KEPT * FEATURES)));
      const shares = Array.from({ length: FEATURES }, (_, feature) =>
        this.share(known, feature * KEPT, values[row * FEATURES + feature]),
      );
      for (const share of shares) {
        if (!Number.isNaN(share)) scores[row] = Math.max(scores[row] || 0, Math.abs(share));
      }
      if (explain && scores[row] > 1) contributions.set(shares.map((share) => share || 0), row * FEATURES);
    }
    return { scores, contributions };
  }

  // How far a value is out; NaN while little is known. Then learns from it.
  share(known, at, value) {
    if (Number.isNaN(value)) return NaN;
    const [rows, mean, variance] = [known[at], known[at + 1], known[at + 2]];
    let off = clamp(value, MOST) - mean;
    // Never 0, so that a series which never changed is no special case.
    const deviation = Math.sqrt(variance) + 1e-9 * (1 + Math.abs(mean));
    let share = NaN;
    if (rows >= this.settings.warm_up) {
      const most = this.settings.threshold * deviation;
      share = off / most;
      off = clamp(off, most); // what is strange is learnt slowly, or an anomaly would hide the next
    }
    const weight = 1 / Math.min(rows + 1, this.settings.memory);
    known[at] = rows + 1;
    known[at + 1] = mean + weight * off;
    known[at + 2] = (1 - weight) * (variance + weight * off * off);
    return share;
  }

  forget(series) {
    for (const number of series) this.series.delete(number);
  }

  save(series) {
    const saved = Array.from(series, (number) => Array.from(this.series.get(number) ?? []));
    return toBytes([FORMAT, FEATURES, saved]);
  }

  restore(state, series) {
    const sound = (known) =>
      Array.isArray(known) && [0, KEPT * FEATURES].includes(known.length) && known.every(Number.isFinite);
    let saved;
    try {
      const [format, features, all] = fromBytes(state);
      if (format === FORMAT && features === FEATURES && all.length === series.length && all.every(sound)) saved = all;
    } catch {
      // It is said below.
    }
    if (!saved) fail('bad-state', `no state of ${series.length} series that ${KIND} saved`);
    series.forEach((number, place) => {
      if (number !== undefined && saved[place].length > 0) this.series.set(number, Float64Array.from(saved[place]));
    });
  }
}

export const detection = { Detector };
