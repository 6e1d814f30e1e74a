// Colours by the values of a column: one for each of a few values, or one for each of a few ranges of numbers.

// Far apart in hue and in lightness; the last is for all other values.
const HUES = [210, 28, 140, 330, 50, 265, 180];

// Ranges of numbers.
const RANGES = 5;

// The expression that colours features by a column, and a legend: labels with their colours. Of no values there is none.
export function classesOf(name, values, other) {
  const counts = new Map();
  for (const value of values) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const distinct = [...counts.keys()];
  if (!distinct.length) {
    return null;
  }
  const areNumbers = distinct.every((value) => typeof value === "number");
  return areNumbers && distinct.length > HUES.length ? ranges(name, values, other) : categories(name, counts, other);
}

function categories(name, counts, other) {
  const sorted = [...counts].sort(([, one], [, another]) => another - one).map(([value]) => value);
  const shown = sorted.slice(0, HUES.length);
  const tones = shown.map((_, index) => tone(HUES[index]));
  // A value may be a text, a number or a boolean, which an expression compares by its text.
  const pairs = shown.flatMap((value, index) => [String(value), tones[index]]);
  const legend = shown.map((value, index) => ({ label: label(value), tone: tones[index] }));
  if (sorted.length > shown.length) {
    legend.push({ label: "other", tone: other });
  }
  return { expression: ["match", ["to-string", ["get", name]], ...pairs, other], legend };
}

function ranges(name, values, other) {
  const sorted = [...values].sort((one, another) => one - another);
  const edges = Array.from({ length: RANGES - 1 }, (_, index) => sorted[Math.floor(((index + 1) * sorted.length) / RANGES)]);
  const steps = [...new Set(edges)].filter((edge) => edge > sorted[0]);
  const tones = [sorted[0], ...steps].map((_, index) => shade(index / Math.max(steps.length, 1)));
  const starts = [sorted[0], ...steps];
  const legend = starts.map((start, index) => ({
    label: index === starts.length - 1 ? `${short(start)} and more` : `${short(start)} to ${short(starts[index + 1])}`,
    tone: tones[index],
  }));
  const step = ["step", ["get", name], tones[0], ...steps.flatMap((edge, index) => [edge, tones[index + 1]])];
  return { expression: ["case", ["==", ["typeof", ["get", name]], "number"], step, other], legend };
}

function tone(hue) {
  return `hsl(${hue}, 75%, ${isDark() ? 68 : 40}%)`;
}

// From faint to strong.
function shade(share) {
  const lightness = isDark() ? 38 + share * 46 : 74 - share * 48;
  return `hsl(${Math.round(225 - share * 15)}, ${Math.round(55 + share * 30)}%, ${Math.round(lightness)}%)`;
}

function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function label(value) {
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

function short(number) {
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }).format(number);
}
