"""What browsers and their pages may do, and which hosts the service answers for."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from contract import faces
from rows import Rows

Serve = Callable[..., TestClient]


@faces("rest")
def test_hosts(any_rows: Rows, serve: Serve) -> None:
    client = serve(allowed_hosts="places.example.org, *.test")
    for host, status in {
        "places.example.org": 200,
        "PLACES.example.org:8000": 200,
        "a.test": 200,
        "example.org": 421,
        "places.example.org.evil": 421,
        "xtest": 421,
        "": 421,
    }.items():
        response = client.get(any_rows.path, headers={"Host": host})
        assert response.status_code == status, host
        assert client.get("/health/live", headers={"Host": host}).status_code == 200


@faces("rest")
def test_pages_from_elsewhere(any_rows: Rows, client: TestClient, serve: Serve) -> None:
    origin = {"Origin": "https://example.org"}
    assert "Access-Control-Allow-Origin" not in client.get(any_rows.path, headers=origin).headers
    shared = serve(cors_origins="https://example.org")
    assert (
        shared.get(any_rows.path, headers=origin).headers["Access-Control-Allow-Origin"]
        == origin["Origin"]
    )
    preflight = origin | {"Access-Control-Request-Method": "PUT"}
    assert shared.options(any_rows.path, headers=preflight).status_code == 200
    other = shared.get(any_rows.path, headers={"Origin": "https://other.org"}).headers
    assert "Access-Control-Allow-Origin" not in other


@pytest.mark.parametrize("path", ["/docs", "/nowhere", "/health/live"])
def test_every_answer_protects_the_browser(client: TestClient, path: str) -> None:
    assert_protects(client, path)


@faces("rest", "ogc", "webmap")
@pytest.mark.parametrize("path", ["/{table}/", "/", "/map"])
def test_every_answer_of_a_face_protects_the_browser(
    any_rows: Rows, client: TestClient, path: str
) -> None:
    assert_protects(client, path.format(table=any_rows.table.name))


def assert_protects(client: TestClient, path: str) -> None:
    """See that an answer tells the browser what not to do with it."""
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
