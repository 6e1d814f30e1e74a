// The box that a geometry of GeoJSON is in.

import { LngLatBounds } from "./maplibre-gl/maplibre-gl.mjs";

export function boundsOf({ coordinates, geometries }, bounds = new LngLatBounds()) {
  if (geometries) {
    geometries.forEach((part) => boundsOf(part, bounds));
  } else if (typeof coordinates[0] === "number") {
    bounds.extend([coordinates[0], coordinates[1]]);
  } else {
    coordinates.forEach((part) => boundsOf({ coordinates: part }, bounds));
  }
  return bounds;
}
