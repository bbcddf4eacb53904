// The one scale on which scores are drawn: linear up to the threshold, where ordinary ones differ, and
// logarithmic above it, where they may reach millions. Up to 1 takes as much room as two decades above.

const BELOW = 2;

export const THRESHOLD = 1;

export const toScale = (score) => (score <= THRESHOLD ? BELOW * score : BELOW + Math.log10(score));

export const fromScale = (place) => (place <= BELOW ? place / BELOW : 10 ** (place - BELOW));

/// The place of a score on a bar, 0 to 1, whose end is a score of a million.
export const fraction = (score) => Math.min(1, toScale(Math.max(0, score)) / toScale(1e6));

/// Where the axis of a chart that reaches up to `top` has its lines.
export function ticks(top) {
  const decades = Math.log10(Math.max(1, top));
  if (decades < 1.1) return [0, 0.5, 1, 2, 5, 10].filter((at) => at <= top);
  const step = Math.max(1, Math.ceil(decades / 4));
  const above = [];
  for (let power = step; power <= decades; power += step) above.push(10 ** power);
  return [0, 0.5, 1, ...above];
}
