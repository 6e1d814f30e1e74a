// The map page: the tiles of the collections, the attributes of what is clicked, and the features in a box.

import { LngLatBounds, Map, NavigationControl, Popup, ScaleControl } from "./maplibre-gl/maplibre-gl.mjs";
import { graticule } from "./graticule.js";

const WORLD = [-180, -85, 180, 85];

// Features of a collection that the list of a box shows, at the most.
const LIMIT = 500;

// What a collection's layers draw, the uppermost first.
const KINDS = ["points", "lines", "areas"];

const main = document.querySelector("main");
const form = document.querySelector("form");
const status = document.querySelector("#status");
const results = document.querySelector("#results");
const dialog = document.querySelector("dialog");
const legend = document.querySelector("#layers");

// What the service lets its readers in for, where it asks them; the browser forgets it with the tab.
let key = sessionStorage.getItem("key");

const collections = await readCollections(JSON.parse(main.dataset.collections));
const several = collections.length > 1;
const map = new Map({
  container: "map",
  style: style(),
  bounds: extent(),
  fitBoundsOptions: { padding: 40, maxZoom: 16 },
  hash: true,
  attributionControl: false,
  transformRequest: (address) => ({
    url: address,
    headers: collections.some(({ url }) => address.startsWith(`${url}/`)) ? access() : {},
  }),
});
// show() moves it: with closeOnClick it would be closed right after.
const popup = new Popup({ maxWidth: "22rem", closeOnClick: false });

// The features that the box holds, as they are marked on the map: their collections and ids.
let chosen = [];

if (several) {
  legend.append(...collections.map(legendEntry));
  legend.hidden = false;
}

map.addControl(new NavigationControl({ visualizePitch: false }));
map.addControl(new ScaleControl());
map.dragRotate.disable();
map.touchZoomRotate.disableRotation();
map.on("load", drawGraticule);
map.on("dataloading", () => { map.getContainer().ariaBusy = "true"; });
map.on("idle", () => { map.getContainer().ariaBusy = "false"; });
map.on("moveend", drawGraticule);
map.on("click", ({ point, lngLat }) => show(hit(point), lngLat));
map.on("mousemove", ({ point }) => {
  map.getCanvas().style.cursor = hit(point).length ? "pointer" : "";
});
form.view.addEventListener("click", () => {
  fill(view());
  search();
});
form.draw.addEventListener("click", () => setDrawing(form.draw.ariaPressed === "false"));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
form.addEventListener("reset", clear);

// The collections with their addresses, keys and colours. One after the other: each may have to ask for a key.
async function readCollections(listed) {
  const found = [];
  for (const [index, { path, key }] of listed.entries()) {
    const url = new URL(path, document.baseURI);
    try {
      found.push({ ...await read(url), url, key, colour: featureColour(index, listed.length), isShown: true });
    } catch (error) {
      // The others can still be shown.
      if (index === listed.length - 1 && !found.length) {
        throw error;
      }
      status.textContent = `${path} is not shown: ${error.message}`;
    }
  }
  return found;
}

async function read(address) {
  const headers = { Accept: "application/geo+json, application/json", ...access() };
  const response = await fetch(address, { headers });
  const answer = await response.json();
  if ([401, 403].includes(response.status) && await asked(answer.detail)) {
    return read(address);
  }
  if (!response.ok) {
    throw new Error(answer.detail ?? response.statusText);
  }
  return answer;
}

function access() {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

// Whether somebody has given a key.
function asked(reason) {
  dialog.querySelector("#reason").textContent = `The service says: ${reason}`;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue) {
        key = dialog.querySelector("input").value;
        sessionStorage.setItem("key", key);
      }
      resolve(dialog.returnValue);
    }, { once: true });
  });
}

// The map

function extent() {
  const boxes = collections.flatMap(({ extent }) => extent?.spatial?.bbox?.slice(0, 1) ?? []).map(unwrapped);
  if (!boxes.length) {
    return WORLD;
  }
  const [wests, souths, easts, norths] = [0, 1, 2, 3].map((index) => boxes.map((box) => box[index]));
  const [west, east] = [Math.min(...wests), Math.max(...easts)];
  const [south, north] = [Math.min(...souths), Math.max(...norths)];
  return east - west > 360 ? [-180, south, 180, north] : [west, south, east, north];
}

// A box without heights, its east beyond 180 degrees where it crosses the antimeridian.
function unwrapped(box) {
  const [west, south, east, north] = box.length === 6 ? [box[0], box[1], box[3], box[4]] : box;
  return [west, Math.max(south, -85), west > east ? east + 360 : east, Math.min(north, 85)];
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Hues as far apart as may be, between lime and pink: what is chosen is orange. The first is that of a service with one.
function featureColour(index, number) {
  const [lime, blue, pink] = [80, 210, 340];
  const hue = pink - ((pink - blue + (index * (pink - lime)) / number) % (pink - lime));
  return index ? `hsl(${Math.round(hue)}, ${colour("feature-tone")})` : colour("feature");
}

function style() {
  const growing = (...stops) => ["interpolate", ["linear"], ["zoom"], ...stops];
  const tiles = ({ url, key }) => ({ type: "vector", url: `${url}/tiles/WebMercatorQuad?f=tilejson`, promoteId: key });
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: new URL("land.json", import.meta.url).href },
      graticule: { type: "geojson", data: graticule(WORLD) },
      box: { type: "geojson", data: polygon([]) },
      ...Object.fromEntries(collections.map((collection) => [source(collection), tiles(collection)])),
    },
    layers: [
      // The coasts are too coarse to be looked at closely.
      {
        id: "sea",
        type: "background",
        paint: { "background-color": growing(5, colour("sea"), 8, colour("land")) },
      },
      { id: "land", source: "land", type: "fill", paint: { "fill-color": colour("land") } },
      {
        id: "graticule",
        source: "graticule",
        type: "line",
        paint: { "line-color": colour("graticule"), "line-width": 0.5 },
      },
      ...drawn("areas", (feature) => ({
        type: "fill",
        filter: is("Polygon"),
        paint: { "fill-color": feature, "fill-opacity": 0.35 },
      })),
      ...drawn("lines", (feature) => ({
        type: "line",
        filter: ["any", is("Polygon"), is("LineString")],
        layout: { "line-cap": "round", "line-join": "round" },
        paint: { "line-color": feature, "line-width": growing(0, 0.75, 12, 2) },
      })),
      ...drawn("points", (feature) => ({
        type: "circle",
        filter: is("Point"),
        paint: {
          "circle-color": feature,
          "circle-radius": growing(0, 2, 6, 4, 14, 7),
          "circle-stroke-color": colour("halo"),
          "circle-stroke-width": growing(0, 0.4, 6, 1),
        },
      })),
      {
        id: "box",
        source: "box",
        type: "line",
        paint: { "line-color": colour("chosen"), "line-width": 2, "line-dasharray": [2, 1] },
      },
    ],
  };
}

// A layer of each collection that draws its points, lines or areas.
function drawn(kind, layer) {
  return collections.map((collection) => ({
    id: layerId(kind, collection),
    source: source(collection),
    "source-layer": collection.id,
    ...layer(["case", ["boolean", ["feature-state", "chosen"], false], colour("chosen"), collection.colour]),
  }));
}

function source({ id }) {
  return `features of ${id}`;
}

function layerId(kind, { id }) {
  return `${kind} of ${id}`;
}

// A checkbox that shows and hides a collection.
function legendEntry(collection) {
  const box = element("input", { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    collection.isShown = box.checked;
    for (const kind of KINDS) {
      map.setLayoutProperty(layerId(kind, collection), "visibility", box.checked ? "visible" : "none");
    }
  });
  const label = element("label");
  label.append(box, swatch(collection), collection.title ?? collection.id);
  return label;
}

function swatch({ colour }) {
  const dot = element("span", { className: "swatch" });
  dot.style.backgroundColor = colour;
  return dot;
}

function is(type) {
  return ["in", ["geometry-type"], ["literal", [type, `Multi${type}`]]];
}

function drawGraticule() {
  map.getSource("graticule").setData(graticule(map.getBounds().toArray().flat()));
}

// Attributes

function hit({ x, y }) {
  if (!map.isStyleLoaded()) {
    return [];
  }
  const near = [[x - 3, y - 3], [x + 3, y + 3]];
  const layers = KINDS.flatMap((kind) => collections.map((collection) => layerId(kind, collection)));
  const features = map.queryRenderedFeatures(near, { layers }).map(({ source: name, id, properties }) => {
    const collection = collections.find((each) => source(each) === name);
    return { collection, id, properties };
  });
  return unique(features);
}

function unique(features) {
  const known = features.map((feature) => [`${feature.collection.id} ${feature.id}`, feature]);
  return [...new globalThis.Map(known).values()].slice(0, 10);
}

function show(features, place) {
  popup.remove();
  if (features.length) {
    const content = document.createElement("div");
    content.append(...features.map(described));
    popup.setLngLat(place).setDOMContent(content).addTo(map);
  }
}

function described({ collection, id, properties }) {
  const section = element("section", { className: "feature" });
  const table = element("table");
  if (several) {
    table.append(element("caption", { textContent: collection.title ?? collection.id }));
  }
  for (const [name, value] of Object.entries(properties)) {
    const row = table.insertRow();
    row.append(element("th", { scope: "row", textContent: name }));
    row.insertCell().textContent = typeof value === "object" ? JSON.stringify(value) : value;
  }
  section.append(table, element("a", { href: `${collection.url}/items/${inPath(id)}`, textContent: "Open the feature" }));
  return section;
}

// An id as the service has it in a path (geotables/http/ids.py).
function inPath(id) {
  const text = String(id);
  const escaped = ["", ".", "..", "nearby"].includes(text) || text.startsWith("~") ? `~${text}` : text;
  return encodeURIComponent(escaped);
}

function element(name, members = {}) {
  return Object.assign(document.createElement(name), members);
}

// The box

function polygon([west, south, east, north]) {
  const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
  const coordinates = west === undefined ? [] : [ring];
  return { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates } };
}

// Longitudes go on beyond 180 degrees where the map shows the world again.
function wrapped(longitude) {
  return ((((longitude + 180) % 360) + 360) % 360) - 180;
}

function normalized([west, south, east, north]) {
  const world = east - west >= 360;
  return [
    world ? -180 : wrapped(west),
    Math.max(south, -90),
    world ? 180 : wrapped(east),
    Math.min(north, 90),
  ];
}

function view() {
  return normalized(map.getBounds().toArray().flat());
}

function fill(box) {
  for (const [index, name] of ["west", "south", "east", "north"].entries()) {
    form[name].value = Number(box[index].toFixed(6));
  }
  drawBox();
}

function filled() {
  return ["west", "south", "east", "north"].map((name) => form[name].valueAsNumber);
}

function drawBox() {
  const [west, south, east, north] = filled();
  map.getSource("box").setData(polygon([west, south, west > east ? east + 360 : east, north]));
}

function setDrawing(drawing) {
  popup.remove();
  form.draw.ariaPressed = String(drawing);
  main.classList.toggle("drawing", drawing);
  map.dragPan[drawing ? "disable" : "enable"]();
  map[drawing ? "on" : "off"]("mousedown", startBox);
  map[drawing ? "on" : "off"]("touchstart", startBox);
}

function startBox(event) {
  event.preventDefault();
  const start = event.lngLat;
  const stretch = ({ lngLat }) => {
    const box = new LngLatBounds(start, start).extend(lngLat);
    fill(normalized(box.toArray().flat()));
  };
  const [move, end] = event.type === "touchstart" ? ["touchmove", "touchend"] : ["mousemove", "mouseup"];
  map.on(move, stretch);
  map.once(end, () => {
    map.off(move, stretch);
    setDrawing(false);
    search();
  });
}

async function search() {
  const box = filled();
  if (!form.reportValidity()) {
    return;
  }
  drawBox();
  status.textContent = "Searching …";
  try {
    list(await Promise.all(collections.filter(({ isShown }) => isShown).map((collection) => within(box, collection))));
  } catch (error) {
    status.textContent = `The service cannot tell: ${error.message}`;
  }
}

async function within(box, collection) {
  const page = await read(`${collection.url}/items?bbox=${box}&limit=${LIMIT}&count=exact`);
  const features = page.features.map((feature) => ({ ...feature, collection }));
  return { features, number: page.numberMatched ?? features.length };
}

function list(pages) {
  const features = pages.flatMap((page) => page.features);
  const number = pages.reduce((sum, page) => sum + page.number, 0);
  mark(features);
  status.textContent = number === 1 ? "1 feature" : `${number} features`;
  if (features.length < number) {
    status.textContent += several ? `; ${features.length} of them:` : `; the first ${features.length}:`;
  }
  results.replaceChildren(...features.map(entry));
}

function entry(feature) {
  const { collection, id, properties } = feature;
  const label = Object.values(properties).find((value) => typeof value === "string") ?? "";
  const button = element("button", { type: "button" });
  button.append(...(several ? [swatch(collection)] : []), label || String(id));
  button.addEventListener("click", () => {
    const bounds = boundsOf(feature.geometry);
    map.fitBounds(bounds, { padding: 80, maxZoom: Math.max(map.getZoom(), 10) });
    show([feature], bounds.getCenter());
  });
  const item = element("li");
  item.append(button);
  return item;
}

function boundsOf({ coordinates, geometries }, bounds = new LngLatBounds()) {
  if (geometries) {
    geometries.forEach((part) => boundsOf(part, bounds));
  } else if (typeof coordinates[0] === "number") {
    bounds.extend([coordinates[0], coordinates[1]]);
  } else {
    coordinates.forEach((part) => boundsOf({ coordinates: part }, bounds));
  }
  return bounds;
}

function mark(features) {
  for (const [marked, state] of [[chosen, false], [features, true]]) {
    for (const { collection, id } of marked) {
      map.setFeatureState({ source: source(collection), sourceLayer: collection.id, id }, { chosen: state });
    }
  }
  chosen = features.map(({ collection, id }) => ({ collection, id }));
}

function clear() {
  mark([]);
  results.replaceChildren();
  status.textContent = "";
  map.getSource("box").setData(polygon([]));
}
