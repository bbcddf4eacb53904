// The expected band, drawn behind the value: an area and, in it, a thin line for the expected value.

/* global uPlot */

/// Draws a band `{expected, lower, upper}`, each as long as the chart's times, with null where it is not known.
export function drawBand(u, { expected, lower, upper }, { area, line }) {
  const { ctx, bbox } = u;
  const [times] = u.data;
  const x = (i) => u.valToPos(times[i], "x", true);
  // A step between two gaps has a width too, so that it can be seen.
  const places = (run) =>
    run.length > 1 ? run.map((i) => [x(i), i]) : [-2, 2].map((off) => [x(run[0]) + off * uPlot.pxRatio, run[0]]);
  // An end that is not known lies beyond the chart.
  const y = (number, edge) => (number === null ? edge : u.valToPos(number, "y", true));
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = area;
  for (const run of runs(times, (i) => lower[i] !== null || upper[i] !== null)) {
    ctx.beginPath();
    for (const [at, i] of places(run)) ctx.lineTo(at, y(upper[i], bbox.top));
    for (const [at, i] of places(run).reverse()) ctx.lineTo(at, y(lower[i], bbox.top + bbox.height));
    ctx.fill();
  }
  ctx.strokeStyle = line;
  ctx.lineWidth = uPlot.pxRatio;
  for (const run of runs(times, (i) => expected[i] !== null)) {
    ctx.beginPath();
    for (const [at, i] of places(run)) ctx.lineTo(at, y(expected[i]));
    ctx.stroke();
  }
  ctx.restore();
}

/// The values that a chart with this band needs room for: the middle ones of its ends. After an incident a band may be a
/// hundred times as wide for a while, and values drawn to its scale would be a straight line.
export function typical({ lower, upper }) {
  return [lower, upper].flatMap((ends) => {
    const known = ends.filter((one) => one !== null).sort((a, b) => a - b);
    return known.slice(known.length >> 1, (known.length >> 1) + 1);
  });
}

// The runs of steps whose band is known.
function runs(times, known) {
  const found = [];
  times.forEach((_, i) => {
    if (!known(i)) return;
    if (i > 0 && known(i - 1)) found.at(-1).push(i);
    else found.push([i]);
  });
  return found;
}
