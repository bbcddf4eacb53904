// How numbers, times and names are written.

const GAP = "\u00a0";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const plain = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const secondsFormat = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const PREFIXES = ["", "k", "M", "G", "T", "P"];

// Three digits and a prefix: 6.48M. Beyond the prefixes there is 1.2e+19.
function compact(value) {
  let left = Number(value.toPrecision(3));
  if (Math.abs(left) >= 1e18) return value.toExponential(1);
  let prefix = 0;
  while (Math.abs(left) >= 1000) {
    left /= 1000;
    prefix += 1;
  }
  return `${Number(left.toPrecision(3))}${PREFIXES[prefix]}`;
}

export const count = (value) => (isNumber(value) ? whole.format(value) : "–");

export const short = (value) => (!isNumber(value) ? "–" : Math.abs(value) < 1e5 ? whole.format(value) : compact(value));

export const rate = (value) => (!isNumber(value) ? "–" : value > 0 && value < 10 ? value.toFixed(1) : short(value));

/// A score: 0 is ordinary, 1 the threshold, and there is no end above.
export function score(value) {
  if (!isNumber(value)) return "–";
  if (value < 10) return atMost(value, 2);
  if (value < 100) return value.toFixed(1);
  if (value < 1e4) return whole.format(value);
  return compact(value);
}

// 0.997 is below the threshold and must not read "1.00", nor 1.003 as if it were not above it.
function atMost(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 1 && value !== 1 ? value.toFixed(value < 1 ? 4 : 3).replace(/^1\.0+$/, "0.9999") : text;
}

export function value(number) {
  if (!isNumber(number)) return "–";
  const size = Math.abs(number);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return number.toExponential(2);
  return size >= 1e5 ? compact(number) : plain.format(number);
}

export const percent = (share) => (isNumber(share) ? `${(share * 100).toFixed(0).replace("-", "−")}${GAP}%` : "–");

export function millis(ms) {
  if (!isNumber(ms)) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)}${GAP}s`;
  return ms >= 10 ? `${ms.toFixed(0)}${GAP}ms` : `${ms.toPrecision(2)}${GAP}ms`;
}

export function bytes(number) {
  if (!isNumber(number)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  let left = number;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${left < 10 && unit > 0 ? left.toFixed(1) : left.toFixed(0)}${GAP}${units[unit]}`;
}

/// A duration, in its one or two largest units.
export function duration(ms) {
  if (!isNumber(ms)) return "–";
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}${GAP}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${GAP}min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}${GAP}h${minutes % 60 ? `${GAP}${minutes % 60}${GAP}min` : ""}`;
  return `${Math.floor(hours / 24)}${GAP}d${hours % 24 ? `${GAP}${hours % 24}${GAP}h` : ""}`;
}

/// A time of day, with the day where it is not the day of `now`.
export function time(ms, now) {
  if (!isNumber(ms) || Math.abs(ms) > 8.64e15) return "–";
  const far = dayFormat.format(ms) !== dayFormat.format(now);
  return (far ? `${dayFormat.format(ms)} ` : "") + clockFormat.format(ms);
}

export const seconds = (ms) => (isNumber(ms) && Math.abs(ms) <= 8.64e15 ? secondsFormat.format(ms) : "–");
export const day = (ms) => dayFormat.format(ms);

/// "1 series", "3 detectors".
export const many = (number, one, more = `${one}s`) => `${short(number)}${GAP}${number === 1 ? one : more}`;

// Senders do not limit the length of names.
const LONGEST = 400;

/// A series' name in two parts: where it is from, and which field it is, or what vector. Line protocol escapes the
/// spaces that are part of a name.
export function nameParts(name) {
  const all = clip(name);
  for (let at = all.length - 1; at > 0; at -= 1) {
    if (all[at] === " " && all[at - 1] !== "\\") {
      const [head, tail] = [all.slice(0, at), all.slice(at + 1)];
      // A vector has no field: what follows its name is tags.
      return /^[^=<>"]+=[^=]/.test(tail) && !head.includes(",") ? [tail, head] : [head, tail];
    }
  }
  return ["", all];
}

// Invisible characters, and those that change the direction of text.
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/// A text from the server without them.
export function clip(name) {
  const all = String(name ?? "")
    .slice(0, LONGEST + 1)
    .replace(UNSEEN, "\ufffd");
  return all.length > LONGEST ? `${all.slice(0, LONGEST)}…` : all;
}

/// The largest contribution to the score of the series `name`, in words: "usage_idle at 3.1 (82 %)", or "at 3.1" where it is
/// the only feature and the name contains it.
export function cause(contributions, name) {
  const [first] = byWeight(contributions);
  if (!first) return "";
  const at = isNumber(first.value) ? `at${GAP}${value(first.value)}` : "";
  if (at && contributions.length === 1 && String(name).endsWith(first.feature)) return at;
  return `${clip(first.feature)} ${at}`.trim() + (contributions.length > 1 ? ` (${percent(first.share)})` : "");
}

/// An incident in words: its reason, and the largest contribution.
export function incident(one) {
  return [reason(one.reason), cause(one.contributions, one.name)].filter(Boolean).join(", ");
}

const reason = (word) => (word ? clip(word).replaceAll("_", " ") : "");

const MEANINGS = {
  outside_band: "the value lies outside of what is ordinary.",
  level_shift: "the values have been higher or lower than usual for a while.",
  stuck: "the value is the very same for longer than usual.",
  novel: "the value is of a kind that the series never had.",
  rate: "a counter rises faster or more slowly than usual.",
  variance: "the values vary more or less than usual.",
};

/// A reason with what it means.
export const meaning = (word) => (word ? `${reason(word)}: ${MEANINGS[word] ?? ""}` : "");

export function byWeight(contributions) {
  return [...(contributions ?? [])].sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
}
