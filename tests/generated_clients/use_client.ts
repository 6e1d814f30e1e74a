// What a program does with a client that openapi-typescript and openapi-fetch make of the document.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

declare const process: { argv: string[] };

const client = createClient<paths>({
  baseUrl: process.argv[2],
  // A box is one value: west,south,east,north.
  querySerializer: { array: { style: "form", explode: false } },
});
const path = "/facilities/{id}";

function same(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
  }
}

const ids: number[] = [];
for (const [number, name] of ["Pier", "Quay", "Dock"].entries()) {
  const location = { type: "Point" as const, coordinates: [10 + number, 50] };
  const body: components["schemas"]["FacilityIn"] = { name, location };
  const { data, error } = await client.POST("/facilities/", { body });
  if (error) throw new Error(error.detail);
  ids.push(data.id);
}

let page = await client.GET("/facilities/", { params: { query: { limit: 2 } } });
same(page.data?.items.map((row) => row.name), ["Pier", "Quay"]);
page = await client.GET("/facilities/", { params: { query: { limit: 2, after: ids[1] } } });
same([page.data?.items.map((row) => row.name), page.data?.next], [["Dock"], null]);
page = await client.GET("/facilities/", { params: { query: { bbox: [9, 49, 10.5, 51] } } });
same(page.data?.items.map((row) => row.id), [ids[0]]);

const found = await client.GET("/collections/facilities/items", {
  params: { query: { filter: "name = 'Quay' AND status = 'active'" } },
});
// Other formats are text.
if (typeof found.data !== "object") throw new Error("no features");
same(found.data.features.map((feature) => feature.properties?.name), ["Quay"]);

const id = ids[0];
const read = await client.GET(path, { params: { path: { id } } });
const tag = read.response.headers.get("ETag") ?? "";
const condition = { path: { id }, header: { "If-Match": tag } };
const changed = await client.PATCH(path, { params: condition, body: { status: "closed" } });
same(changed.data?.status, "closed");
const stale = await client.PATCH(path, { params: condition, body: { status: null } });
same([stale.response.status, stale.error?.status], [412, 412]);

for (const id of ids) {
  const { response } = await client.DELETE(path, { params: { path: { id } } });
  same(response.status, 204);
}
const gone = await client.GET(path, { params: { path: { id } } });
same([gone.error?.status, gone.error?.detail], [404, `there is no row ${id}`]);
