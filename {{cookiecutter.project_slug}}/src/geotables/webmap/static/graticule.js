// Meridians and parallels, as far apart as suits what the map shows.

// In degrees.
const STEPS = [30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];

// Web Mercator ends there.
const NORTH = 85.051129;

export function graticule([west, south, east, north]) {
  const step = STEPS.findLast((each) => each * 10 >= Math.min(east - west, 360)) ?? STEPS[0];
  const lines = [];
  for (const x of multiples(step, west, east)) {
    lines.push([[x, -NORTH], [x, NORTH]]);
  }
  for (const y of multiples(step, Math.max(south, -NORTH), Math.min(north, NORTH))) {
    lines.push([[west - 360, y], [east + 360, y]]);
  }
  return { type: "MultiLineString", coordinates: lines };
}

function multiples(step, from, to) {
  const first = Math.ceil(from / step);
  const number = Math.max(0, Math.floor(to / step) - first + 1);
  return Array.from({ length: number }, (_, index) => (first + index) * step);
}
