"""A read-only collection: it is read as any other, and nothing writes it."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from geotables.checks.models import check_collections
from geotables.collection import Collection
from geotables.service import Service

import apps
from contract import faces, writes
from rows import Rows


@pytest.fixture
def reading(
    service: Service,
    collection: Collection,
    database_url: str,
    client_of: Callable[..., TestClient],
) -> TestClient:
    """A client of an application whose only collection is read-only."""
    read_only = apps.read_only(collection)
    return client_of(apps.create(service, database_url, [read_only]))


@pytest.fixture
def id(rows: Rows, connection: sa.Connection) -> Any:
    """The id of a row."""
    rows.insert(connection, rows.spread(1))
    return connection.scalar(sa.select(rows.key))


@faces("rest")
def test_rows_are_read_and_not_written(reading: TestClient, rows: Rows, id: Any) -> None:
    row = reading.get(rows.at(id))
    assert row.status_code == 200
    known = {"If-None-Match": row.headers["ETag"]}
    assert reading.get(rows.at(id), headers=known).status_code == 304
    for method, path, allowed in (
        ("POST", rows.path, "GET, HEAD, OPTIONS"),
        ("PUT", rows.at(id), "GET, HEAD, OPTIONS"),
        ("PATCH", rows.at(id), "GET, HEAD, OPTIONS"),
        ("DELETE", rows.at(id), "GET, HEAD, OPTIONS"),
    ):
        response = reading.request(method, path, json={})
        assert (response.status_code, response.headers["Allow"]) == (405, allowed)


@faces("features", "ogc")
def test_features_are_read_and_not_edited(reading: TestClient, rows: Rows, id: Any) -> None:
    assert (
        reading.get(rows.item(id)).json()["id"]
        == reading.get(rows.item(id), params={"f": "json"}).json()["id"]
    )
    for method, path in (
        ("POST", rows.items),
        ("PUT", rows.item(id)),
        ("PATCH", rows.item(id)),
        ("DELETE", rows.item(id)),
    ):
        response = reading.request(method, path, json={})
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    classes = reading.get("/conformance").json()["conformsTo"]
    assert any("ogcapi-features-1" in name for name in classes)
    assert not any("ogcapi-features-4" in name for name in classes)


def test_the_document_has_no_writes(reading: TestClient, rows: Rows) -> None:
    document = reading.get("/openapi.json").json()
    methods = {method for path in document["paths"].values() for method in path}
    assert methods == {"get"}
    assert not any(
        "requestBody" in operation
        for path in document["paths"].values()
        for operation in path.values()
    )
    schemas = document["components"]["schemas"]
    assert schemas
    assert not any(name.startswith("New") or name.endswith("Patch") for name in schemas)
    if rows.collection.create is not None:
        assert rows.collection.create.__name__ not in schemas


@writes
def test_a_view_that_clients_would_write_is_named(
    collection: Collection, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version of its rows is a hash, which no write returns."""
    fault = f"{collection.name} is a view (is_view), whose rows have no versions"
    assert not any(fault in problem for problem in check_collections(service))
    monkeypatch.setitem(collection.table.info, "is_view", True)
    assert any(fault in problem for problem in check_collections(service))


@faces("files")
def test_nothing_is_loaded_into_it(collection: Collection, connection: sa.Connection) -> None:
    from geotables.files.load import Options, load
    from geotables.files.refusals import LoadError

    read_only = apps.read_only(collection)
    with pytest.raises(LoadError, match=f"{collection.name} is read-only"):
        # It is refused before the file is looked at.
        load(connection, read_only, None, Options(), print, print)  # type: ignore[arg-type]
