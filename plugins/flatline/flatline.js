// Has a value that used to vary got stuck? How long do its runs of equal values last, how improbable is this one?
const VERSION = 1;
const WARM_UP = 100;
const DEFAULTS = { false_alarm_rate: 1e-5, memory: 20000 };
// Runs of 2^k to 2^(k+1) - 1 values are of class k; the last class has all that are longer.
const CLASSES = 24;
// A class in which this many rows were seen believes them as much as it believes the class before.
const PRIOR = 10;
// What is kept of a series: value, rows seen, length and surprise of the present run; then, for each class, after how
// many rows a run could have ended, and after how many it did.
const [VALUE, ROWS, LENGTH, SURPRISE, COULD, DID, KEPT] = [0, 1, 2, 3, 4, 4 + CLASSES, 4 + 2 * CLASSES];

const fail = (tag, val) => { throw { tag, val }; };
const classOf = (length) => Math.min(31 - Math.clz32(length), CLASSES - 1);

// How probably a run of this length ends next. What a class lacks in rows it takes from the class before, halved (the
// first takes 0): then each doubling of the length is as probable as the last, the tail of a Pareto distribution.
function hazard(known, length) {
  let ends = 0;
  for (let k = 0; k <= classOf(length); k++) ends = (known[DID + k] + PRIOR * ends / 2) / (known[COULD + k] + PRIOR);
  return ends;
}

// Learns a run that is over; before that, a run that lasts must not make itself ordinary.
function learn(known, memory) {
  const last = classOf(known[LENGTH]);
  for (let k = 0; k < last; k++) known[COULD + k] += 2 ** k;
  known[COULD + last] += known[LENGTH] - 2 ** last + 1;
  known[DID + last] += 1;
  const rows = known.subarray(COULD, DID).reduce((sum, count) => sum + count);
  if (rows > memory) known.subarray(COULD).forEach((count, k, counts) => { counts[k] = count / 2; });
}

class Detector {
  constructor(settings) {
    this.settings = settings;
    this.unit = -Math.log(settings.false_alarm_rate);
    this.series = new Map();
  }

  static open(model) {
    const settings = { ...DEFAULTS };
    try {
      Object.assign(settings, JSON.parse(String.fromCharCode(...model)));
    } catch (error) {
      fail('bad-model', `parameters of flatline: ${error.message}`);
    }
    const unknown = Object.keys(settings).find((name) => !Object.hasOwn(DEFAULTS, name));
    if (unknown !== undefined) fail('bad-model', `no \`${unknown}\` in flatline, but ${Object.keys(DEFAULTS)}`);
    const { false_alarm_rate: rate, memory } = settings;
    if (!(rate > 0 && rate < 1)) fail('bad-model', '`false_alarm_rate` is more than 0 and less than 1');
    if (!(memory >= WARM_UP)) fail('bad-model', `\`memory\` is at least ${WARM_UP} rows`);
    return new Detector(settings);
  }

  describe() {
    const scale = 'improbability of so long a run of equal values: its logarithm over that of false_alarm_rate';
    return { kind: 'flatline', version: String(VERSION), features: 1, warmUp: WARM_UP, scale };
  }

  observe({ series, timestamps, values }, explain) {
    if (timestamps.length !== series.length || values.length !== series.length) {
      fail('bad-shape', 'flatline takes one time and one value a row');
    }
    const scores = values.map((value, row) => this.score(series[row], value));
    return { scores, contributions: explain ? scores.map((score) => (score > 1 ? score : 0)) : [] };
  }

  score(number, value) {
    if (Number.isNaN(value)) return NaN;
    let known = this.series.get(number);
    if (!known) this.series.set(number, known = new Float64Array(KEPT));
    if (known[LENGTH] > 0 && known[VALUE] === value) {
      known[SURPRISE] -= Math.log(1 - hazard(known, known[LENGTH]));
      known[LENGTH] += 1;
    } else {
      if (known[LENGTH] > 0) learn(known, this.settings.memory);
      [known[VALUE], known[LENGTH], known[SURPRISE]] = [value, 1, 0];
    }
    known[ROWS] += 1;
    return known[ROWS] > WARM_UP ? known[SURPRISE] / this.unit : NaN;
  }

  forget(series) {
    series.forEach((number) => this.series.delete(number));
  }

  save(series) {
    const all = new Float64Array(KEPT * series.length);
    series.forEach((number, place) => all.set(this.series.get(number) ?? [], KEPT * place));
    const state = new Uint8Array(1 + all.byteLength);
    state[0] = VERSION;
    state.set(new Uint8Array(all.buffer), 1);
    return state;
  }

  restore(state, series) {
    if (state[0] !== VERSION || state.length !== 1 + 8 * KEPT * series.length) {
      fail('bad-state', `not ${series.length} series as version ${VERSION} of flatline saves them`);
    }
    const all = new Float64Array(state.slice(1).buffer);
    if (!all.every((x, i) => Number.isFinite(x) && (i % KEPT === VALUE || x >= 0))) fail('bad-state', 'a wrong count');
    series.forEach((number, place) => {
      if (number !== null) this.series.set(number, all.slice(KEPT * place, KEPT * (place + 1)));
    });
  }
}

export const detection = { Detector };
