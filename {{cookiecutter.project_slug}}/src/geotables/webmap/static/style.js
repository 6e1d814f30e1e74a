// What pages add to the service's style, which says how maps look.

import { graticule } from "./graticule.js";

export const WORLD = [-180, -85, 180, 85];

// The property with the colour of a layer, by the layer's type.
const COLOURS = { fill: "fill-color", line: "line-color", circle: "circle-color" };

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// The address of a style in the colours that the reader prefers; where its map begins a page knows itself.
export function inScheme(path) {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  return new URL(`${path}?view=false&scheme=${isDark ? "dark" : "light"}`, document.baseURI).href;
}

// Only a background asks for an attribution.
export function attributionControl({ sources }) {
  return Object.values(sources).some(({ attribution }) => attribution) && { compact: false };
}

export function layersOf({ layers }, source) {
  return layers.filter((layer) => layer.source === source);
}

export function colourOf(style, source) {
  const [layer] = layersOf(style, source);
  return layer.paint[COLOURS[layer.type]];
}

// Has the layers of a source drawn in another colour, which may be an expression.
export function recolour(map, source, tone) {
  for (const { id, type } of layersOf(map.getStyle(), source)) {
    map.setPaintProperty(id, COLOURS[type], orChosen(tone));
  }
}

// A layer in which what is chosen stands out.
export function markable(layer) {
  const property = COLOURS[layer.type];
  return { ...layer, paint: { ...layer.paint, [property]: orChosen(layer.paint[property]) } };
}

function orChosen(tone) {
  return ["case", ["boolean", ["feature-state", "chosen"], false], colour("chosen"), tone];
}

// A layer that is only a hint.
export function faint(layer) {
  const { type, paint } = layer;
  const opacity = 0.35;
  return {
    ...layer,
    paint: {
      ...paint,
      [COLOURS[type]]: colour("muted"),
      [`${type}-opacity`]: (paint[`${type}-opacity`] ?? 1) * opacity,
      ...(type === "circle" && { "circle-stroke-opacity": opacity }),
    },
  };
}

// A box without heights, its east beyond 180 degrees where it crosses the antimeridian.
export function unwrapped(box) {
  const [west, south, east, north] = box.length === 6 ? [box[0], box[1], box[3], box[4]] : box;
  return [west, Math.max(south, -85), west > east ? east + 360 : east, Math.min(north, 85)];
}

// The box of some boxes; of none the world.
export function around(boxes) {
  if (!boxes.length) {
    return WORLD;
  }
  const [wests, souths, easts, norths] = [0, 1, 2, 3].map((index) => boxes.map((box) => unwrapped(box)[index]));
  const [west, east] = [Math.min(...wests), Math.max(...easts)];
  const [south, north] = [Math.min(...souths), Math.max(...norths)];
  return east - west > 360 ? [-180, south, 180, north] : [west, south, east, north];
}

// Takes note of whether the map is at work, for the spinner.
export function watch(map) {
  const container = map.getContainer();
  container.ariaBusy = "true";
  map.on("dataloading", () => { container.ariaBusy = "true"; });
  map.on("idle", () => { container.ariaBusy = "false"; });
  map.on("load", () => drawGraticule(map));
  map.on("moveend", () => drawGraticule(map));
}

// The graticule, as dense as suits what the map shows.
function drawGraticule(map) {
  map.getSource("base:graticule").setData(graticule(map.getBounds().toArray().flat()));
}
