"""What the sections of docs/extending.md promise, seen by HTTP: run within a project, its environment names it."""

import hashlib
import importlib
import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shapely
import sqlalchemy as sa
from alembic import command
from fastapi.testclient import TestClient
from geotables.collection import Collection
from geotables.http.json_schemas import row_example
from shapely import affinity
from shapely.geometry import mapping, shape

PACKAGE = os.environ["PACKAGE"]
SERVICE = importlib.import_module(f"{PACKAGE}.cli").SERVICE
FIRST: Collection = SERVICE.collections[0]
PATH, ITEMS = f"/{FIRST.name}/", f"/collections/{FIRST.name}/items"

#: What each section promises, by its heading.
PROMISES: dict[str, Callable[[], None]] = {}


def promise(heading: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def note(function: Callable[[], None]) -> Callable[[], None]:
        PROMISES[heading] = function
        return function

    return note


def serve(**settings: Any) -> TestClient:
    """A client of the application."""
    client = TestClient(SERVICE.create_app(SERVICE.settings(_env_file=None, **settings)))
    if settings.get("environment") != "production":
        client.base_url = "http://testserver"
    return client


def row(collection: Collection = FIRST, **values: Any) -> dict[str, Any]:
    """A row as a client sends it."""
    return row_example(collection) | values


def added(client: TestClient, collection: Collection = FIRST, **options: Any) -> dict[str, Any]:
    """Add a row; what the service stored."""
    response = client.post(f"/{collection.name}/", json=row(collection), **options)
    assert response.status_code == 201, response.text
    stored: dict[str, Any] = response.json()
    return stored


def execute(client: TestClient, statement: str) -> Any:
    """Send SQL past the service."""
    with client.app.state.database.write() as connection:  # type: ignore[attr-defined]
        result = connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None


def check(*options: str) -> None:
    """See that the project's own check passes."""
    assert importlib.import_module(f"{PACKAGE}.cli").main(["check", *options]) == 0


@promise("A column")
def _() -> None:
    client = serve()
    plain = row()
    del plain["is_open"]
    assert client.post(PATH, json=plain).json()["is_open"] is True
    closed = client.post(PATH, json=row(is_open=False)).json()
    assert closed["is_open"] is False
    (found,) = client.get(ITEMS, params={"is_open": "false"}).json()["features"]
    assert found["id"] == closed["id"]
    assert found["properties"]["is_open"] is False
    assert client.get(f"/collections/{FIRST.name}/queryables").json()["properties"]["is_open"]
    refused = client.post(PATH, json=row(is_open="perhaps"))
    assert refused.status_code == 422
    assert "is_open" in refused.text


@promise("A constraint")
def _() -> None:
    client = serve()
    added(client)
    try:
        execute(client, f"UPDATE {FIRST.name} SET updated_at = created_at - interval '1 s'")
    except sa.exc.IntegrityError as error:
        assert f"ck_{FIRST.name}_in_order" in str(error)
    else:
        raise AssertionError("the constraint does not hold")


@promise("A hidden column")
def _() -> None:
    client = serve()
    stored = added(client)
    execute(client, f"UPDATE {FIRST.name} SET review = 'secret'")
    one = f"{PATH}{stored['id']}"
    answers = [client.get(path) for path in (PATH, one, ITEMS, f"{ITEMS}?f=csv", f"{ITEMS}?f=html")]
    answers.append(client.put(one, json=row()))
    for answer in answers:
        assert answer.status_code == 200
        assert "secret" not in answer.text
        assert "review" not in answer.text
    assert client.get(ITEMS, params={"review": "secret"}).status_code == 400
    assert client.get(ITEMS, params={"filter": "review = 'secret'"}).status_code == 400
    assert client.get(PATH, params={"review": "secret"}).status_code in (200, 422)
    assert "review" not in client.get("/openapi.json").text
    assert client.post(PATH, json=row(review="mine")).status_code == 422
    # A client that sends back what it got does not empty it.
    assert execute(client, f"SELECT review FROM {FIRST.name}") == "secret"


#: Where lines are not too short to be drawn.
ZOOM = 14


def tile_of(feature: dict[str, Any]) -> str:
    """The tile of the first place of a feature."""
    place = feature["geometry"]["coordinates"]
    while isinstance(place[0], list):
        place = place[0]
    lon, lat = place
    x, y = (lon + 180) / 360, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return f"{ZOOM}/{int(y * 2**ZOOM)}/{int(x * 2**ZOOM)}"


@promise("Another table")
def _() -> None:
    first, second = SERVICE.collections
    path, collection = f"/{second.name}/", f"/collections/{second.name}"
    client = serve()
    other = added(client)
    stored = added(client, second)
    assert set(stored) == {"gid", "name", "closed", "path"}
    assert stored["path"].startswith("LINESTRING")
    assert client.get(f"{path}{stored['gid']}").json() == stored
    assert client.put(f"{path}{stored['gid']}", json=stored).json() == stored
    assert client.get(f"{path}{other['id']}").status_code in (404, 422)
    hidden = client.post(path, json=row(second, closed=True)).json()

    # The index is partial: answers over many rows do not have the second.
    items = client.get(f"{collection}/items").json()
    assert [feature["id"] for feature in items["features"]] == [stored["gid"]]
    assert client.get(f"{path}{hidden['gid']}").status_code == 200
    (lon, lat), *_ = items["features"][0]["geometry"]["coordinates"]
    for box, number in ((f"{lon - 1},{lat - 1},{lon + 1},{lat + 1}", 1), ("-150,-10,-149,-9", 0)):
        found = client.get(f"{collection}/items", params={"bbox": box}).json()
        assert len(found["features"]) == number
    near = client.get(f"{path}nearby", params={"lon": lon, "lat": lat, "radius": 1000}).json()
    assert [each["gid"] for each in near["items"]] == [stored["gid"]]

    properties = client.get(f"{collection}/queryables").json()["properties"]
    assert set(properties) == {"gid", "name", "closed", "path"}
    tiles = f"{collection}/tiles/WebMercatorQuad"
    assert b"name 1" in client.get(f"{tiles}/{tile_of(items['features'][0])}").content
    tilejson = client.get(f"{tiles}?f=tilejson").json()
    assert tilejson["vector_layers"][0]["id"] == second.name

    listed = client.get("/collections").json()["collections"]
    assert [each["id"] for each in listed] == [first.name, second.name]
    described = client.get(collection).json()
    assert described["storageCrs"].endswith("/3035")
    west, south, east, north = described["extent"]["spatial"]["bbox"][0]
    assert west <= lon <= east
    assert south <= lat <= north
    assert f"collections/{second.name}" in client.get("/map").text
    document = client.get("/openapi.json").json()
    assert {path, f"{collection}/items"} <= document["paths"].keys()
    client.app.state.database.close()  # type: ignore[attr-defined]

    # Files, and GDAL.
    run_command = importlib.import_module(f"{PACKAGE}.cli").main
    one = Path("one.geojson")
    feature = items["features"][0] | {"properties": {"name": "loaded"}}
    one.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert run_command(["load", "one.geojson", "--table", second.name]) == 0
    assert run_command(["export", "out.csv", "--table", second.name]) == 0
    lines = Path("out.csv").read_text().splitlines()
    assert len(lines) == 3
    assert sum("loaded" in line for line in lines) == 1
    with served() as url:
        # In a process of its own: GDAL keeps Python's lock while it waits for an answer.
        command = [sys.executable, "-c", READ_BY_GDAL, f"OAPIF:{url}", second.name]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert json.loads(run.stdout) == [[first.name, second.name], ["loaded", "name 1"]], run.stderr


READ_BY_GDAL = """
import json, sys, pyogrio

source, layer = sys.argv[1:]
_, _, _, [names] = pyogrio.raw.read(source, layer=layer, columns=["name"])
print(json.dumps([list(pyogrio.list_layers(source)[:, 0]), sorted(names)]))
"""


@contextmanager
def served() -> Iterator[str]:
    """The service as a process of its own would be: on a port."""
    import uvicorn

    config = uvicorn.Config(SERVICE.factory, factory=True, port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        (socket,) = server.servers[0].sockets
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@promise("A table without a geometry")
def _() -> None:
    client = serve()
    assert client.post(PATH, json=row(operator="city")).json()["operator"] == "city"
    assert client.post(PATH, json=row(operator=None)).json()["operator"] is None
    unknown = client.post(PATH, json=row(operator="nobody"))
    assert unknown.status_code in (409, 422)
    assert "operator" in unknown.text
    assert client.get("/operators/").status_code == 404
    assert [each["id"] for each in client.get("/collections").json()["collections"]] == [FIRST.name]


@promise("A business rule")
def _() -> None:
    client = serve()
    new, old = added(client), added(client)
    execute(
        client,
        f"UPDATE {FIRST.name} SET created_at = now() - interval '2 years' WHERE id = '{old['id']}'",
    )
    for path in (f"{PATH}{old['id']}", f"{ITEMS}/{old['id']}"):
        refused = client.delete(path)
        assert refused.status_code == 422
        assert refused.json()["detail"] == "it has been there for a year, and stays"
        assert client.get(path).status_code == 200
    assert client.delete(f"{PATH}{new['id']}").status_code == 204


@promise("An event after a commit")
def _() -> None:
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    log = logging.getLogger(f"{PACKAGE}.events")
    log.addHandler(Listener())
    log.setLevel(logging.INFO)
    client = serve()
    id = added(client)["id"]
    client.put(f"{PATH}{id}", json=row())
    client.delete(f"{ITEMS}/{id}")
    assert heard == [f"somebody {verb} row {id}" for verb in ("added", "changed", "deleted")]
    # What was not committed is no event.
    assert client.post(PATH, json={}).status_code == 422
    assert len(heard) == 3


@promise("An owner")
def _() -> None:
    callers: dict[str, dict[str, str]]
    settings: dict[str, Any]
    if "api_keys" in SERVICE.settings.model_fields:
        keys = [f"{name}:{hashlib.sha256(name.encode()).hexdigest()}" for name in ("ann", "bob")]
        settings = {"api_keys": ",".join(keys)}
        callers = {name: {"X-API-Key": name} for name in ("ann", "bob")}
    else:
        settings = {"user_header": "X-User"}
        callers = {name: {"X-User": name} for name in ("ann", "bob")}
    client = serve(**settings, extent_lifetime=0)
    anns = added(client, headers=callers["ann"])
    assert anns["owner"] == "ann"
    assert client.post(PATH, json=row(owner="ann"), headers=callers["bob"]).json()["owner"] == "bob"
    for path in (f"{PATH}{anns['id']}", f"{ITEMS}/{anns['id']}"):
        assert client.get(path, headers=callers["ann"]).status_code == 200
        assert client.get(path, headers=callers["bob"]).status_code == 404
        assert client.delete(path, headers=callers["bob"]).status_code == 404
        assert client.get(path).status_code in (401, 403)
    changed = client.put(f"{PATH}{anns['id']}", json=anns, headers=callers["ann"])
    assert changed.json()["owner"] == "ann"
    tiles = f"/collections/{FIRST.name}/tiles/WebMercatorQuad"
    for name, other in (("ann", "bob"), ("bob", "ann")):
        items = client.get(ITEMS, params={"count": "exact"}, headers=callers[name]).json()
        assert items["numberMatched"] == 1
        assert [each["properties"]["owner"] for each in items["features"]] == [name]
        (listed,) = client.get(PATH, headers=callers[name]).json()["items"]
        assert listed["owner"] == name
        tile = f"{tiles}/{tile_of(items['features'][0])}"
        content = client.get(tile, headers=callers[name]).content
        assert name.encode() in content
        assert other.encode() not in content


@promise("An endpoint")
def _() -> None:
    client = serve()
    path = f"/statistics/{FIRST.name}/latest"
    assert client.get(path).json() == {"updated_at": None}
    stored = added(client)
    assert client.get(path).json()["updated_at"][:19] == stored["updated_at"][:19]
    assert client.get("/openapi.json").json()["paths"][path]["get"]["tags"] == ["statistics"]
    assert client.get(f"/statistics/{FIRST.name}").status_code == 200


@promise("An endpoint that writes")
def _() -> None:
    client = serve()
    ids = [added(client)["id"] for _ in range(3)]
    gone = added(client)["id"]
    client.delete(f"{PATH}{gone}")
    refused = client.delete(f"/batches/{FIRST.name}", params={"id": [*ids, gone]})
    assert refused.status_code == 404
    assert str(gone) in refused.json()["detail"]
    assert len(client.get(PATH).json()["items"]) == 3
    assert client.delete(f"/batches/{FIRST.name}", params={"id": ids[:2]}).status_code == 204
    assert [each["id"] for each in client.get(PATH).json()["items"]] == ids[2:]


@promise("A dependency of every route")
def _() -> None:
    client = serve(gateway_secret="s3cret")
    paths = ["/", "/docs", "/map", "/openapi.json", "/metrics", "/health/live", "/health/ready"]
    paths += ["/conformance", "/collections", "/tileMatrixSets", PATH, ITEMS, f"{PATH}nearby"]
    paths += [f"/collections/{FIRST.name}/tiles/WebMercatorQuad/0/0/0", "/statistics/" + FIRST.name]
    for path in paths:
        assert client.get(path).status_code == 403, path
        assert client.get(path, headers={"X-Gateway": "s3cret"}).status_code != 403, path
    for path in (PATH, ITEMS):
        assert client.post(path, json=row()).status_code == 403
    assert serve().get(PATH).status_code == 200


@promise("Another auth")
def _() -> None:
    client = serve(user_header="X-User")
    for path in (PATH, ITEMS):
        assert client.post(path, json=row()).status_code == 403
    assert client.get(PATH).status_code == 200
    assert added(client, headers={"X-User": "ann"})
    document = client.get("/openapi.json").json()
    assert document["paths"][PATH]["post"]["security"] == [{"Proxy": []}]


@promise("A smaller service")
def _() -> None:
    client = serve()
    stored = added(client)
    assert client.get(f"{PATH}{stored['id']}").json() == stored
    for path in (
        *("/", "/conformance", "/collections", "/map", "/tileMatrixSets", ITEMS),
        f"/collections/{FIRST.name}",
    ):
        assert client.get(path).status_code == 404, path
    document = client.get("/openapi.json").json()
    assert {path.split("/")[1] for path in document["paths"]} == {
        *(FIRST.name, "statistics", "health", "metrics"),
    }
    names = {name.split(".")[1] for name in sys.modules if name.startswith("geotables.")}
    assert names.isdisjoint({"features", "tiles", "ogc", "webmap", "files"})


#: The rows before a table is changed: what clients get of each, and what is stored.
BEFORE = Path("before.json")


def remember() -> None:
    """Add some rows in Great Britain, where every CRS of these tests is at home, and write down what they are."""
    SERVICE.migrations.upgrade(SERVICE.settings().database_url)
    client = serve()
    for number in range(3):
        body = row(**json.loads(json.dumps(FIRST.example(number), default=str)))
        body[FIRST.geometry.name] = moved(body[FIRST.geometry.name], -2 + number, 52.5 + number / 3)
        if number == 0:
            # It has its default.
            body.pop("status", None)
        assert client.post(PATH, json=body).status_code == 201
    stored = stored_rows(client, FIRST.name, FIRST.geometry.name)
    answers = {
        id: [client.get(f"{path}/{id}").json() for path in (ITEMS, PATH[:-1])] for id in stored
    }
    before = {"table": FIRST.name, "geometry": FIRST.geometry.name, "listed": listed(client)}
    BEFORE.write_text(json.dumps(before | {"answers": answers, "stored": stored}))


def listed(client: TestClient) -> int:
    """How many rows answers over many have."""
    return len(client.get(ITEMS).json()["features"])


def moved(geometry: dict[str, Any], lon: float, lat: float) -> dict[str, Any]:
    """A small geometry of the same shape around a place."""
    old = shape(geometry)
    size = max(old.bounds[2] - old.bounds[0], old.bounds[3] - old.bounds[1]) or 1
    small = affinity.scale(old, 0.1 / size, 0.1 / size)
    x, y = lon - small.centroid.x, lat - small.centroid.y
    return dict(mapping(affinity.translate(small, x, y)))


def stored_rows(client: TestClient, table: str, geometry: str) -> dict[str, Any]:
    """The values of each row as PostgreSQL has them, and its geometry as EWKT."""
    rows = execute(
        client,
        f"SELECT json_object_agg(id, json_build_array(to_jsonb(t) - '{geometry}', ST_AsEWKT({geometry}, 15)))"
        f" FROM {table} AS t",
    )
    assert len(rows) == 3
    return dict(rows)


def kept(
    *,
    renamed: dict[str, str] | None = None,
    listing: int | None = None,
    tolerance: float = 0,
    place_of: Callable[[Any], Any] = lambda geometry: geometry,
) -> None:
    """See that clients get the rows as before, and that the revisions can be undone and done again.

    Args:
        renamed: The new names of columns.
        listing: How many rows answers over many have, if not as many as before.
        tolerance: How far places may be from where they were, in degrees.
        place_of: Reads the geometry of the plain REST resource, before and after.
    """
    before, names = json.loads(BEFORE.read_text()), renamed or {}
    table, geometry = before["table"], before["geometry"]
    client = serve()
    for id, (feature, plain) in before["answers"].items():
        now = client.get(f"{ITEMS}/{id}").json()
        properties = {names.get(name, name): text for name, text in feature["properties"].items()}
        assert now["properties"] == properties
        assert_near(now["geometry"], feature["geometry"], tolerance)
        expected = {names.get(name, name): text for name, text in plain.items()}
        answer = client.get(f"{PATH}{id}").json()
        place = names.get(geometry, geometry)
        assert_near(place_of(answer.pop(place)), place_of(expected.pop(place)), tolerance)
        assert answer == expected
    assert listed(client) == (before["listed"] if listing is None else listing)
    # They are the same rows still: a new one has the next id.
    new = client.post(PATH, json=row(**json.loads(json.dumps(FIRST.example(9), default=str))))
    assert str(new.json()["id"]) not in before["answers"]
    execute(client, f"DELETE FROM {FIRST.name} WHERE id = '{new.json()['id']}'")

    alembic = SERVICE.migrations.config()
    command.check(alembic)
    revisions = len(SERVICE.migrations.revisions()) - 1
    if revisions:
        command.downgrade(alembic, f"-{revisions}")
        undone = stored_rows(client, table, geometry)
        for id, (values, place) in before["stored"].items():
            assert undone[id][0] == values
            assert_near(undone[id][1], place, tolerance * (1 if "SRID=4326" in place else 111_000))
        command.upgrade(alembic, "head")
        check("--database")


def assert_near(one: Any, other: Any, tolerance: float) -> None:
    """Compare geometries as GeoJSON, or as EWKT."""
    if tolerance == 0 or one is None:
        assert one == other
        return
    if isinstance(one, str):
        assert one.partition(";")[0] == other.partition(";")[0]
        one, other = (shapely.from_wkt(text.rpartition(";")[2]) for text in (one, other))
    else:
        one, other = shape(one), shape(other)
    assert one.equals_exact(other, tolerance), f"{one} is not {other}"


@promise("Another answer")
def _() -> None:
    client = serve(oidc_issuer="https://issuer.example.org", oidc_audience="places")
    assert client.post(PATH, json=row()).status_code == 401
    assert client.get(PATH).status_code == 200
    record = json.loads(Path(".template.json").read_text())
    assert record["parameters"]["auth"] == "oidc"


@promise("Another deployment")
def _() -> None:
    assert Path("deploy/kubernetes/deployment.yaml").exists()
    assert not Path("compose.yaml").exists()
    assert "kustomize" in Path("docs/deployment.md").read_text()


@promise("Another output format")
def _() -> None:
    def as_geojson(place: Any) -> Any:
        return place if isinstance(place, dict) else mapping(shapely.from_wkt(place))

    # GeoJSON has nine digits.
    kept(place_of=as_geojson, tolerance=1e-9)
    assert added(serve())[FIRST.geometry.name].startswith("POINT")


#: A centimetre, in degrees.
CENTIMETRE = 1e-7


@promise("Another SRID")
def _() -> None:
    old, new = (4326, 27700) if FIRST.crs.srid == 27700 else (27700, 4326)
    before = json.loads(BEFORE.read_text())
    assert all(place.startswith(f"SRID={old};") for _, place in before["stored"].values())
    client = serve()
    for id, (_, place) in stored_rows(client, FIRST.name, FIRST.geometry.name).items():
        assert place.startswith(f"SRID={new};")
        assert place != before["stored"][id][1]
    described = client.get(f"/collections/{FIRST.name}").json()
    assert described["storageCrs"].endswith(f"/{new}")
    near = {"lon": -2, "lat": 52.5, "radius": 20_000}
    assert len(client.get(f"{PATH}nearby", params=near).json()["items"]) == 1
    # WKT is in another CRS than before.
    kept(tolerance=CENTIMETRE, place_of=lambda place: place if isinstance(place, dict) else None)

    if old == 4326:
        # Sydney is not on the British grid: nothing is changed.
        alembic, geometry = SERVICE.migrations.config(), FIRST.geometry.name
        command.downgrade(alembic, "0001")
        sydney = "ST_GeomFromEWKT('SRID=4326;POINT(151 -34)')"
        execute(client, f"UPDATE {FIRST.name} SET {geometry} = {sydney}")
        try:
            command.upgrade(alembic, "head")
        except sa.exc.IntegrityError as error:
            assert f"ck_{FIRST.name}_{geometry}_range" in str(error)
        else:
            raise AssertionError("the constraint does not hold")
        places = [place for _, place in stored_rows(client, FIRST.name, geometry).values()]
        assert places == ["SRID=4326;POINT(151 -34)"] * 3


@promise("Another predicate")
def _() -> None:
    client = serve()
    assert len(client.get(PATH).json()["items"]) == 1
    assert len(client.get(PATH, params={"all": "true"}).json()["items"]) == 3
    kept(listing=1)


@promise("Another index name")
def _() -> None:
    kept()


@promise("Other attributes")
def _() -> None:
    client = serve()
    assert len(client.get(ITEMS, params={"title": "name 1"}).json()["features"]) == 1
    assert client.post(PATH, json=row(status="s" * 41)).status_code == 422
    kept(renamed={"name": "title"})


@promise("Another geometry column")
def _() -> None:
    assert FIRST.geometry.name == "place"
    kept(renamed={json.loads(BEFORE.read_text())["geometry"]: "place"})


@promise("Another table name")
def _() -> None:
    client = serve()
    assert FIRST.name == "places"
    assert client.get("/facilities/").status_code == 404
    assert (
        execute(client, "SELECT pg_get_serial_sequence('places', 'id')") == "public.places_id_seq"
    )
    kept()


#: A path of each face.
OF_FACE = {
    "rest": PATH,
    "features": ITEMS,
    "tiles": f"/collections/{FIRST.name}/tiles",
    "ogc": "/collections",
    "webmap": "/map",
}


def without(face: str) -> None:
    """See that the rest works where a face was deleted; no database is asked."""
    check()
    os.environ["DATABASE_URL"] = "postgresql://localhost/unused"
    app = SERVICE.create_app(SERVICE.settings(_env_file=None))
    paths = app.openapi()["paths"]
    for name, path in OF_FACE.items():
        # The map is for people.
        if name != "webmap":
            assert (path in paths) == (name != face), path
    client = TestClient(app, raise_server_exceptions=False)
    links = {link["href"] for link in client.get("/").json().get("links", ())}
    classes = " ".join(client.get("/conformance").json().get("conformsTo", ()))
    # It draws tiles.
    assert ("http://testserver/map" in links) == (face not in ("webmap", "tiles", "ogc"))
    assert ("http://testserver/tileMatrixSets" in links) == (face not in ("tiles", "ogc"))
    assert ("ogcapi-tiles" in classes) == (face not in ("tiles", "ogc"))
    assert ("ogcapi-features" in classes) == (face not in ("features", "ogc"))
    assert not [name for name in sys.modules if name.startswith(f"geotables.{face}")]


if __name__ == "__main__":
    section, *arguments = sys.argv[1:]
    if section == "without":
        without(*arguments)
    elif section == "before":
        remember()
    else:
        check("--database")
        PROMISES[section]()
