"""Behind a proxy: links, the document and the pages name the service as its clients reach it."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from contract import faces
from rows import Rows

Serve = Callable[..., TestClient]


def links(node: Any) -> list[str]:
    """The addresses of a document, wherever they are in it."""
    if isinstance(node, dict):
        own = [node[name] for name in ("href", "next", "url") if isinstance(node.get(name), str)]
        return own + [link for each in node.values() for link in links(each)]
    return [link for each in node for link in links(each)] if isinstance(node, list) else []


def addresses(client: TestClient, rows: Rows, path: str, headers: dict[str, Any]) -> list[str]:
    """The addresses that the service's resources name, which are at a path."""
    pages = [
        *("/", "/conformance", "/collections", rows.collection_path, f"{rows.path}?limit=1"),
        *(f"{rows.items}?limit=1&f=json", f"{rows.tileset}?f=json"),
        *("/tileMatrixSets", "/openapi.json"),
    ]
    found = []
    for page in pages:
        response = client.get(f"{path}{page}", headers=headers)
        assert response.status_code == 200, response.text
        found += links(response.json())
    style = client.get(f"{path}/style.json", headers=headers).json()
    found.append(style["sources"][rows.collection.name]["url"])
    return [each for each in found if not each.startswith("http://www.opengis.net/")]


@faces("rest", "features", "tiles", "ogc")
@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"root_path": "/my/geo/"}, {}),
        ({"forwarded_allow_ips": "10.0.0.0/8, testclient"}, {"X-Forwarded-Prefix": "/my/geo"}),
        ({"forwarded_allow_ips": "*", "root_path": "/other"}, {"X-Forwarded-Prefix": "/my, /geo/"}),
    ],
    ids=str,
)
def test_every_address_has_the_prefix(
    any_rows: Rows, serve: Serve, settings: dict[str, str], headers: dict[str, str]
) -> None:
    """Whether the proxy removes it from the path or not."""
    client = serve(**settings)
    for number, in_path in enumerate(("", "/my/geo")):
        body = any_rows.body(number)
        created = client.post(f"{in_path}{any_rows.path}", json=body, headers=headers)
        found = addresses(client, any_rows, in_path, headers)
        assert len(found) > 30
        found.append(created.headers["Location"])
        assert {each.partition("/my/geo")[0] for each in found} == {"http://testserver"}
        assert all(each.count("/my/geo") == 1 for each in found)
        assert client.get(found[-1].removeprefix("http://testserver"), headers=headers).is_success
        document = client.get(f"{in_path}/openapi.json", headers=headers).json()
        assert document["servers"] == [{"url": "http://testserver/my/geo"}]
        docs = client.get(f"{in_path}/docs", headers=headers).text
        assert "'/my/geo/openapi.json'" in docs and '"/my/geo/docs/assets/swagger-ui.css"' in docs
        assert client.get(f"{in_path}/docs/assets/swagger-ui.css", headers=headers).is_success


@faces("ogc")
def test_a_prefix_that_might_do_harm_is_none(serve: Serve) -> None:
    client = serve(forwarded_allow_ips="testclient")
    for prefix in ("//evil.org", "/a//b", "http://evil.org", "geo", "/a b", "/<b>", "/%2e", "/é"):
        headers = {"X-Forwarded-Prefix": prefix.encode()}
        landing = client.get("/", headers=headers).json()
        found = links(landing) + links(client.get("/openapi.json", headers=headers).json())
        assert len(found) > 5
        assert {each.rpartition("://")[2].partition("/")[0] for each in found} == {"testserver"}
        assert landing["links"][0]["href"] == "http://testserver/", prefix


@faces("ogc")
def test_a_prefix_is_believed_of_trusted_proxies_alone(serve: Serve) -> None:
    client = serve(forwarded_allow_ips="127.0.0.1, 10.0.0.0/8")
    headers = {"X-Forwarded-Prefix": "/geo", "X-Forwarded-Proto": "https"}
    assert client.get("/", headers=headers).json()["links"][0]["href"] == "http://testserver/"


@faces("rest", "ogc")
def test_a_prefix_may_be_named_as_a_path_of_the_service(any_rows: Rows, serve: Serve) -> None:
    """Which the proxy then has to remove: only so are both told apart."""
    prefix = any_rows.path.rstrip("/")
    client = serve(root_path=prefix)
    row = client.post(any_rows.path, json=any_rows.body()).json()
    assert client.get(any_rows.at(row[any_rows.key.name])).json() == row
    assert client.get(any_rows.path).json().keys() == {"items", "next"}
    assert client.get("/").json()["links"][0]["href"] == f"http://testserver{prefix}/"


@pytest.mark.parametrize("wrong", ["geo", "//evil.org", "/a b", "/a?b", "https://example.org/geo"])
def test_a_root_path_that_is_none_is_refused(serve: Serve, wrong: str) -> None:
    with pytest.raises(ValueError, match="root_path"):
        serve(root_path=wrong)


@faces("ogc")
def test_health_and_hosts_go_by_the_path_without_the_prefix(serve: Serve) -> None:
    client = serve(root_path="/geo", allowed_hosts="example.org")
    for path in ("/health/live", "/geo/health/live"):
        assert client.get(path).status_code == 200
    assert client.get("/geo/conformance").status_code == 421
    assert client.get("/geo/conformance", headers={"Host": "example.org"}).status_code == 200


@faces("features")
def test_answers_are_compressed_where_no_proxy_does_it(any_rows: Rows, serve: Serve) -> None:
    for compress in (False, True):
        client = serve(compress=compress)
        for path in ("/openapi.json", "/docs/assets/swagger-ui.css", f"{any_rows.items}?f=html"):
            response = client.get(path, headers={"Accept-Encoding": "gzip"})
            assert response.is_success and len(response.content) > 1000
            assert response.headers.get("Content-Encoding") == ("gzip" if compress else None)
            assert client.get(path, headers={"Accept-Encoding": "br"}).content == response.content
        small = client.get("/health/live", headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in small.headers
