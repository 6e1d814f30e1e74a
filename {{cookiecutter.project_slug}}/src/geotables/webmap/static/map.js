// The map page: the tiles of the collections, the attributes of what is clicked, and the features in a box.

import { LngLatBounds, Map, NavigationControl, Popup, prewarm, ScaleControl } from "./maplibre-gl/maplibre-gl.mjs";
import { access, withAccess } from "./access.js";
import { boundsOf } from "./bounds.js";
import { classesOf } from "./classes.js";
import { described, element, labelOf } from "./popup.js";
import { around, attributionControl, colour, colourOf, inScheme, layersOf, markable, recolour, watch } from "./style.js";

// Features of a collection that the list of a box shows, at the most.
const LIMIT = 500;

// The source and the layer of the box.
const BOX = "the box";

// How the map shows the bounds of the collections.
const FITTED = { padding: 40, maxZoom: 16 };

const main = document.querySelector("main");
const form = document.querySelector("form");
const status = document.querySelector("#status");
const results = document.querySelector("#results");
const dialog = document.querySelector("dialog");
const legend = document.querySelector("#layers");

// What the address says beside the view: the collections that are hidden, and the columns that some are coloured by.
const told = new URLSearchParams(location.hash.slice(1));
const hidden = new Set((told.get("hidden") ?? "").split(","));
const colouredBy = Object.fromEntries((told.get("by") ?? "").split(",").map((part) => part.split(":")));

// MapLibre's workers start while the style is read.
prewarm();
const style = await read(inScheme(main.dataset.style));
const collections = await readCollections(JSON.parse(main.dataset.collections));
const several = collections.length > 1;
const map = new Map({
  container: "map",
  style: { ...style, sources: sources(), layers: layers() },
  bounds: around(collections.flatMap(({ bounds }) => bounds ? [bounds] : [])),
  fitBoundsOptions: FITTED,
  // The address has the view, for those who get the link.
  hash: "map",
  attributionControl: attributionControl(style),
  transformRequest: withAccess,
});
// show() moves it: with closeOnClick it would be closed right after.
const popup = new Popup({ maxWidth: "22rem", closeOnClick: false });

// The features that the box holds, as they are marked on the map: their collections and ids.
let chosen = [];

// Whether the map shows what somebody wants to see.
let isMoved = told.has("map");
map.once("movestart", () => { isMoved = true; });
map.once("idle", fit);

legend.append(...collections.map(legendEntry));
legend.hidden = !collections.length;

map.addControl(new NavigationControl({ visualizePitch: false }));
map.addControl(new ScaleControl());
map.dragRotate.disable();
map.touchZoomRotate.disableRotation();
watch(map);
map.once("idle", () => collections.filter(({ by }) => by).forEach(colourBy));
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
  for (const [index, { id, path, key, label, columns }] of listed.entries()) {
    const url = new URL(path, document.baseURI).href;
    try {
      const tiles = await read(`${url}/tiles/WebMercatorQuad?f=tilejson`);
      found.push({ id, title: tiles.name, bounds: tiles.bounds, tiles, url, key, label, columns, by: colouredBy[id] ?? "", colour: colourOf(style, id), isShown: !hidden.has(id) });
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

// Of many rows the bounds take a while to find: the map shows the world first.
async function fit() {
  if (isMoved || collections.every(({ bounds }) => bounds)) {
    return;
  }
  const boxes = await Promise.all(collections.map(async ({ url, bounds }) => bounds ?? (await read(url).catch(() => null))?.extent?.spatial?.bbox?.[0]));
  if (!isMoved && boxes.some(Boolean)) {
    map.fitBounds(around(boxes.filter(Boolean)), { ...FITTED, animate: false });
  }
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

// Whether somebody has given a key.
function asked(reason) {
  dialog.querySelector("#reason").textContent = `The service says: ${reason}`;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue) {
        sessionStorage.setItem("key", dialog.querySelector("input").value);
      }
      resolve(dialog.returnValue);
    }, { once: true });
  });
}

// The map

// The style's, with the TileJSON in the place of its address: MapLibre would read it once more.
function sources() {
  const known = collections.map(({ id, tiles: { tiles, minzoom, maxzoom, bounds } }) => {
    const { url: _, ...source } = style.sources[id];
    return [id, { ...source, tiles, minzoom, maxzoom, ...(bounds && { bounds }) }];
  });
  return { ...style.sources, ...Object.fromEntries(known), [BOX]: { type: "geojson", data: polygon([]) } };
}

function layers() {
  const shown = (layer) => {
    const collection = collections.find(({ id }) => id === layer.source);
    return { ...markable(layer), layout: { ...layer.layout, visibility: collection?.isShown ? "visible" : "none" } };
  };
  return [
    ...style.layers.map((layer) => (layer["source-layer"] ? shown(layer) : layer)),
    {
      id: BOX,
      source: BOX,
      type: "line",
      paint: { "line-color": colour("chosen"), "line-width": 2, "line-dasharray": [2, 1] },
    },
  ];
}

// A switch that shows and hides a collection, a link to its table, and a choice of the column that colours it.
function legendEntry(collection) {
  const title = collection.title ?? collection.id;
  const box = element("input", { type: "checkbox", checked: collection.isShown });
  box.addEventListener("change", () => {
    collection.isShown = box.checked;
    for (const { id } of layersOf(style, collection.id)) {
      map.setLayoutProperty(id, "visibility", box.checked ? "visible" : "none");
    }
    keep();
  });
  const select = element("select", { ariaLabel: `${title}: colour by` }, element("option", { value: "", textContent: "One colour" }));
  select.append(...collection.columns.map((name) => element("option", { value: name, textContent: `By ${name}`, selected: name === collection.by })));
  select.addEventListener("change", () => {
    collection.by = select.value;
    colourBy(collection);
    keep();
  });
  collection.legend = element("ul", { className: "classes" });
  return element(
    "div",
    { className: "layer" },
    element("label", {}, box, swatch(collection.colour), title),
    element("a", { href: `${collection.url}/items`, textContent: "Table", ariaLabel: `${title}: table` }),
    select,
    collection.legend,
  );
}

// Colours a collection by the values that its column has in what the map has loaded.
function colourBy(collection) {
  const { id, by } = collection;
  const features = by ? map.querySourceFeatures(id, { sourceLayer: id }) : [];
  const values = features.map(({ properties }) => properties[by]).filter((value) => value !== undefined);
  const classes = classesOf(by, values, colour("muted"));
  recolour(map, id, classes?.expression ?? collection.colour);
  collection.legend.replaceChildren(
    ...(classes?.legend ?? []).map(({ label, tone }) => element("li", {}, swatch(tone), label)),
  );
}

// Has the address tell what is shown how, beside the view.
function keep() {
  const view = new URLSearchParams(location.hash.slice(1)).get("map");
  const names = collections.filter(({ isShown }) => !isShown).map(({ id }) => id);
  const columns = collections.filter(({ by }) => by).map(({ id, by }) => `${id}:${encodeURIComponent(by)}`);
  const parts = [view && `map=${view}`, names.length && `hidden=${names}`, columns.length && `by=${columns}`];
  history.replaceState(null, "", `#${parts.filter(Boolean).join("&")}`);
}

function swatch(tone) {
  const dot = element("span", { className: "swatch" });
  dot.style.backgroundColor = tone;
  return dot;
}

// Attributes

function hit({ x, y }) {
  if (!map.isStyleLoaded()) {
    return [];
  }
  const near = [[x - 3, y - 3], [x + 3, y + 3]];
  const layers = collections.flatMap(({ id }) => layersOf(style, id)).map(({ id }) => id);
  const features = map.queryRenderedFeatures(near, { layers }).map(({ source, id, properties }) => {
    const collection = collections.find((each) => each.id === source);
    return { collection, id: properties[collection.key] ?? id, properties };
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
  map.getSource(BOX).setData(polygon([west, south, west > east ? east + 360 : east, north]));
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
  const { collection } = feature;
  const button = element("button", { type: "button" });
  button.append(...(several ? [swatch(collection.colour)] : []), labelOf(feature));
  button.addEventListener("click", () => {
    const bounds = boundsOf(feature.geometry);
    map.fitBounds(bounds, { padding: 80, maxZoom: Math.max(map.getZoom(), 10) });
    show([feature], bounds.getCenter());
  });
  const item = element("li");
  item.append(button);
  return item;
}

function mark(features) {
  for (const [marked, state] of [[chosen, false], [features, true]]) {
    for (const { collection, id } of marked) {
      map.setFeatureState({ source: collection.id, sourceLayer: collection.id, id }, { chosen: state });
    }
  }
  chosen = features.map(({ collection, id }) => ({ collection, id }));
}

function clear() {
  mark([]);
  results.replaceChildren();
  status.textContent = "";
  map.getSource(BOX).setData(polygon([]));
}
