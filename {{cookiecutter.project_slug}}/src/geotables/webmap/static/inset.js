// The maps in pages: of collections by their tiles, and of the features that a page is about.

import { LngLatBounds, Map, NavigationControl, Popup } from "./maplibre-gl/maplibre-gl.mjs";
import { access, withAccess } from "./access.js";
import { boundsOf } from "./bounds.js";
import { described, element } from "./popup.js";
import { around, attributionControl, colourOf, faint, inScheme, layersOf, markable, watch } from "./style.js";

// The source of the features that a page is about.
const OWN = "page:features";

for (const container of document.querySelectorAll("[data-collections]")) {
  draw(container);
}

async function draw(container) {
  container.ariaBusy = "true";
  const style = await read(inScheme(container.dataset.style));
  if (!style) {
    // Refused, or the service is busy: the page can be read without its map.
    container.remove();
    return;
  }
  const collections = JSON.parse(container.dataset.collections).map((collection) => ({
    ...collection,
    url: new URL(collection.path, document.baseURI).href,
    colour: colourOf(style, collection.id),
  }));
  const own = await features(container, collections[0]);
  const bounds = await boundsFor(container, own);
  const shown = own ? withOwn(style, own, collections[0]) : style;
  const map = new Map({
    container,
    style: shown,
    bounds,
    fitBoundsOptions: { padding: 36, maxZoom: closest(style, bounds) },
    attributionControl: attributionControl(style),
    cooperativeGestures: true,
    refreshExpiredTiles: false,
    transformRequest: withAccess,
  });
  map.addControl(new NavigationControl({ showCompass: false }));
  map.dragRotate.disable();
  map.touchZoomRotate.disableRotation();
  watch(map);
  const layers = [...collections.map(({ id }) => id), OWN].flatMap((source) => layersOf(shown, source)).map(({ id }) => id);
  popups(map, layers, collections, own);
  colourSwatches(collections);
  if (own) {
    pairRows(map, layersOf(shown, OWN).map(({ id }) => id), own.features.map(({ properties }) => properties[collections[0].key]));
  }
  if ("box" in container.dataset) {
    container.append(boxButton(map));
  }
}

// A style that draws the features that a page is about as their collection; what is around them is only a hint.
function withOwn(style, own, { id: collection, key }) {
  const drawn = layersOf(style, collection).map(({ "source-layer": _, ...layer }) => ({ ...markable(layer), id: `own ${layer.id}`, source: OWN }));
  return {
    ...style,
    sources: { ...style.sources, [OWN]: { type: "geojson", data: own, promoteId: key } },
    layers: [...style.layers.map((layer) => (layer["source-layer"] ? faint(layer) : layer)), ...drawn],
  };
}

// The features that a page is about, each with its id among its properties, by which it is marked.
async function features(container, collection) {
  const { geojson } = container.dataset;
  if (geojson === undefined) {
    return null;
  }
  const content = await read(geojson);
  const found = content?.features ?? (content ? [content] : []);
  return {
    type: "FeatureCollection",
    features: found
      .filter(({ geometry }) => geometry)
      .map(({ type, id, geometry, properties }) => ({ type, geometry, properties: { [collection.key]: id, ...properties } })),
  };
}

// How close a map begins. Of a single point without a background only what is around it says where it is.
function closest({ sources }, [west, south, east, north]) {
  const isPoint = west === east && south === north;
  return isPoint && !sources["base:background"] ? 9 : 15;
}

async function boundsFor({ dataset }, own) {
  if (own?.features.length) {
    const bounds = own.features.reduce((bounds, { geometry }) => boundsOf(geometry, bounds), new LngLatBounds());
    return bounds.toArray().flat();
  }
  if (dataset.bounds) {
    return around([JSON.parse(dataset.bounds)]);
  }
  const listed = dataset.extents ? await read(dataset.extents) : null;
  return around((listed?.collections ?? []).flatMap(({ extent }) => extent?.spatial?.bbox?.slice(0, 1) ?? []));
}

// What an address has; nothing where the service refuses it.
async function read(address) {
  const response = await fetch(address, { headers: { Accept: "application/geo+json, application/json", ...access() } });
  return response.ok ? response.json() : null;
}

function popups(map, layers, collections, own) {
  const popup = new Popup({ maxWidth: "20rem", closeOnClick: false });
  const hit = ({ x, y }) => {
    const near = [[x - 4, y - 4], [x + 4, y + 4]];
    return map.isStyleLoaded() ? map.queryRenderedFeatures(near, { layers }).slice(0, 1) : [];
  };
  map.on("mousemove", ({ point }) => {
    map.getCanvas().style.cursor = hit(point).length ? "pointer" : "";
  });
  map.on("click", ({ point, lngLat }) => {
    popup.remove();
    const [feature] = hit(point);
    if (feature) {
      const collection = collections.find(({ id }) => id === feature.source) ?? collections[0];
      const id = feature.properties[collection.key] ?? feature.id;
      // Tiles leave out what is null, and MapLibre makes text of it.
      const whole = own?.features.find(({ properties }) => properties[collection.key] === id);
      const content = described({ collection, id, properties: whole?.properties ?? feature.properties });
      popup.setLngLat(lngLat).setDOMContent(content).addTo(map);
    }
  });
}

// Beside the names of collections, the colours that the map has for them.
function colourSwatches(collections) {
  for (const { id, colour: tone } of collections) {
    for (const swatch of document.querySelectorAll(`[data-swatch="${CSS.escape(id)}"]`)) {
      swatch.style.backgroundColor = tone;
      swatch.hidden = false;
    }
  }
}

// A row of the table under the mouse, or with the focus, stands out on the map, and the other way around.
function pairRows(map, layers, ids) {
  const rows = new globalThis.Map([...document.querySelectorAll("tr[data-id]")].map((row) => [row.dataset.id, row]));
  const mark = (id, chosen) => map.getSource(OWN) && map.setFeatureState({ source: OWN, id }, { chosen });
  for (const id of ids) {
    const row = rows.get(String(id));
    for (const [type, chosen] of [["mouseenter", true], ["mouseleave", false], ["focusin", true], ["focusout", false]]) {
      row?.addEventListener(type, () => mark(id, chosen));
    }
  }
  let marked;
  map.on("mousemove", ({ point }) => {
    const [feature] = map.queryRenderedFeatures(point, { layers });
    marked?.classList.remove("chosen");
    marked = feature && rows.get(String(feature.id));
    marked?.classList.add("chosen");
  });
}

// Leads to the same page for what the map shows.
function boxButton(map) {
  const button = element("button", { type: "button", className: "in-view", textContent: "Only what is in view" });
  button.addEventListener("click", () => {
    const [west, south, east, north] = map.getBounds().toArray().flat();
    const wrapped = (longitude) => ((((longitude + 180) % 360) + 360) % 360) - 180;
    const box = east - west >= 360 ? [-180, south, 180, north] : [wrapped(west), south, wrapped(east), north];
    const query = new URLSearchParams(location.search);
    ["offset", "token"].forEach((name) => query.delete(name));
    query.set("bbox", box.map((edge) => Number(edge.toFixed(6))));
    location.search = query;
  });
  return button;
}
