// How maps look: the land, the graticule, and the features of collections.

import { graticule } from "./graticule.js";

export const WORLD = [-180, -85, 180, 85];

// The raster tiles that maps have below the features, if the service names some.
const { background: stated } = document.body.dataset;
const background = stated && JSON.parse(stated);

// The background's attribution is text, which MapLibre takes for HTML.
export const attributionControl = Boolean(background?.attribution) && { compact: false };

// What the layers of a collection draw, the lowest first.
export const KINDS = ["areas", "lines", "points"];

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Hues as far apart as may be, between lime and pink: what is chosen is orange. The first is that of a service with one.
export function featureColour(index, number) {
  const [lime, blue, pink] = [80, 210, 340];
  const hue = pink - ((pink - blue + (index * (pink - lime)) / number) % (pink - lime));
  return index ? `hsl(${Math.round(hue)}, ${colour("feature-tone")})` : colour("feature");
}

// A style with the land and the graticule, and sources and layers above them.
export function style(sources, layers) {
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: new URL("land.json", import.meta.url).href },
      graticule: { type: "geojson", data: graticule(WORLD) },
      ...(background && { background: raster(background) }),
      ...sources,
    },
    layers: [
      // The coasts are too coarse to be looked at closely.
      { id: "sea", type: "background", paint: { "background-color": growing(5, colour("sea"), 8, colour("land")) } },
      { id: "land", source: "land", type: "fill", paint: { "fill-color": colour("land") } },
      ...(background ? [{ id: "background", source: "background", type: "raster", paint: shade() }] : []),
      {
        id: "graticule",
        source: "graticule",
        type: "line",
        paint: { "line-color": colour("graticule"), "line-width": 0.5 },
      },
      ...layers,
    ],
  };
}

function raster({ url, attribution }) {
  const text = document.createElement("span");
  text.textContent = attribution;
  return { type: "raster", tiles: [url], tileSize: 256, maxzoom: 19, attribution: text.innerHTML };
}

// In the dark scheme the background is dark, too, so that the features stand out.
function shade() {
  return { "raster-brightness-max": Number(colour("background-brightness")), "raster-saturation": Number(colour("background-saturation")) };
}

// The graticule, as dense as suits what the map shows.
export function drawGraticule(map) {
  map.getSource("graticule").setData(graticule(map.getBounds().toArray().flat()));
}

// The source of a collection's tiles.
export function tiles({ url, key }) {
  return { type: "vector", url: `${url}/tiles/WebMercatorQuad?f=tilejson`, promoteId: key };
}

// The layer that draws the points, lines or areas of a source in a colour.
export function drawn(kind, source, tone, { sourceLayer, opacity = 1 } = {}) {
  return {
    id: layerId(kind, source),
    source,
    ...(sourceLayer && { "source-layer": sourceLayer }),
    ...DRAWING[kind](orChosen(tone), opacity),
  };
}

// Has the layers of a source drawn in another colour, which may be an expression.
export function recolour(map, source, tone) {
  for (const [kind, property] of [["areas", "fill-color"], ["lines", "line-color"], ["points", "circle-color"]]) {
    map.setPaintProperty(layerId(kind, source), property, orChosen(tone));
  }
}

// What is chosen stands out.
function orChosen(tone) {
  return ["case", ["boolean", ["feature-state", "chosen"], false], colour("chosen"), tone];
}

export function layerId(kind, source) {
  return `${kind} of ${source}`;
}

const DRAWING = {
  areas: (feature, opacity) => ({
    type: "fill",
    filter: is("Polygon"),
    paint: { "fill-color": feature, "fill-opacity": 0.35 * opacity },
  }),
  lines: (feature, opacity) => ({
    type: "line",
    filter: ["any", is("Polygon"), is("LineString")],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": feature, "line-opacity": opacity, "line-width": growing(0, 0.75, 12, 2) },
  }),
  points: (feature, opacity) => ({
    type: "circle",
    filter: is("Point"),
    paint: {
      "circle-color": feature,
      "circle-opacity": opacity,
      "circle-radius": growing(0, 2, 6, 4, 14, 7),
      "circle-stroke-color": colour("halo"),
      "circle-stroke-opacity": opacity,
      "circle-stroke-width": growing(0, 0.4, 6, 1),
    },
  }),
};

function growing(...stops) {
  return ["interpolate", ["linear"], ["zoom"], ...stops];
}

function is(type) {
  return ["in", ["geometry-type"], ["literal", [type, `Multi${type}`]]];
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
