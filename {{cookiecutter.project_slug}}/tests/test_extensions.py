"""What a team adds by FastAPI's own means works: dependencies hold on every path, and endpoints may be of any kind."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import pytest
import rows
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel
from rows import PATH
from starlette.responses import Response

from {{ cookiecutter.package_name }} import routes
from {{ cookiecutter.package_name }}.main import create_app
from {{ cookiecutter.package_name }}.settings import Settings

Serve = Callable[..., TestClient]

COLLECTION = f"/collections{PATH.rstrip('/')}"
ITEMS = f"{COLLECTION}/items"
TILESET = f"{COLLECTION}/tiles/WebMercatorQuad"

READS = [
    *("/", "/conformance", "/collections", COLLECTION, f"{COLLECTION}/queryables"),
    *(ITEMS, f"{ITEMS}?f=jsonseq", f"{ITEMS}/{rows.NO_ID}"),
    *("/tileMatrixSets", "/tileMatrixSets/WebMercatorQuad"),
    *(f"{COLLECTION}/tiles", TILESET, f"{TILESET}/0/0/0"),
    *(PATH, f"{PATH}nearby?lon=0&lat=0&radius=1", f"{PATH}{rows.NO_ID}"),
    *("/health/live", "/health/ready", "/metrics", "/map", "/docs", "/openapi.json"),
]
REQUESTS = [
    *(("GET", path) for path in READS),
    *(("POST", path) for path in (PATH, ITEMS)),
    *((method, f"{PATH}{rows.NO_ID}") for method in ("PUT", "PATCH", "DELETE")),
    *((method, f"{ITEMS}/{rows.NO_ID}") for method in ("PUT", "PATCH", "DELETE")),
]

#: Settings with which the routers depend on nothing, and with which they depend on who asks.
MODES = [{}, {"read_access": "closed"}] if "read_access" in Settings.model_fields else [{}]


def refuse() -> None:
    """A dependency that lets nobody in."""
    raise HTTPException(418, "not for you")


def statuses(client: TestClient) -> dict[tuple[str, str], int]:
    """What each request is answered with; their bodies could not be read."""
    body = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    return {
        (method, path): client.request(
            method, path, **({} if method in ("GET", "DELETE") else body)
        ).status_code
        for method, path in REQUESTS
    }


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_dependency_of_the_application_holds_on_every_path(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, mode: dict[str, Any]
) -> None:
    with_dependency = partial(FastAPI, dependencies=[Depends(refuse)])
    monkeypatch.setattr(sys.modules[create_app.__module__], "FastAPI", with_dependency)
    client = serve(**mode)
    assert statuses(client) == dict.fromkeys(REQUESTS, 418)
    client.app.dependency_overrides[refuse] = lambda: None
    answers = statuses(client)
    assert answers["GET", PATH] == answers["GET", ITEMS] == 200
    assert 418 not in answers.values()


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_dependency_of_a_router_holds_on_every_path(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, mode: dict[str, Any]
) -> None:
    include = FastAPI.include_router

    def include_with_dependency(app: FastAPI, router: APIRouter, **options: Any) -> None:
        dependencies = [*options.pop("dependencies", ()), Depends(refuse)]
        include(app, router, dependencies=dependencies, **options)

    monkeypatch.setattr(FastAPI, "include_router", include_with_dependency)
    assert statuses(serve(**mode)) == dict.fromkeys(REQUESTS, 418)


class Count(BaseModel):
    """What endpoints return, or take."""

    number: int


def caller() -> str:
    """A dependency of an endpoint."""
    return "somebody"


def as_dict(request: Request) -> dict[str, Any]:
    return {"number": len(request.query_params)}


def as_model(request: Request) -> Count:
    return Count(number=3)


def as_response(request: Request) -> Response:
    return Response("3", headers={"X-Own": "yes"})


async def asynchronous(request: Request) -> dict[str, int]:
    return {"number": 3}


def unannotated(request: Request):  # type: ignore[no-untyped-def]
    return {"number": 3}


def failing(request: Request) -> Count:
    raise HTTPException(409, "it is counted already")


def parameters(
    number: int, request: Request, name: Annotated[str, Depends(caller)], more: int = 1
) -> dict[str, Any]:
    return {"number": number + more, "name": name, "method": request.method}


def taking(new: Count, request: Request) -> Count:
    return new


ENDPOINTS = (as_dict, as_model, as_response, asynchronous, unannotated, failing, parameters)

#: A path of the team's own, beside those of each face.
OWN = {
    "rest": PATH,
    "features": f"{COLLECTION}/",
    "landing": "/own/",
    "tiles": f"{TILESET}/",
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_endpoints_of_every_kind_can_be_added_beside_those_of_the_service(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, mode: dict[str, Any], name: str
) -> None:
    router, path = routes.router, OWN[name]
    monkeypatch.setattr(router, "routes", [*router.routes])
    # The last, those of rows below the path that ends with an id.
    for endpoint in ENDPOINTS:
        router.get(f"{path}{endpoint.__name__}")(endpoint)
    router.post(f"{path}taking")(taking)
    router.get(f"{path}closed", dependencies=[Depends(refuse)])(as_response)
    client = serve(**mode)
    assert client.get(f"{path}as_dict?a=1&b=2").json() == {"number": 2}
    for kind in ("as_model", "asynchronous", "unannotated"):
        assert client.get(f"{path}{kind}").json() == {"number": 3}
    response = client.get(f"{path}as_response")
    assert (response.text, response.headers["X-Own"]) == ("3", "yes")
    response = client.get(f"{path}failing")
    assert (response.status_code, response.json()["detail"]) == (409, "it is counted already")
    assert client.get(f"{path}parameters?number=2").json() == {
        "number": 3,
        "name": "somebody",
        "method": "GET",
    }
    rows.refused(client.get(f"{path}parameters"), "query.number")
    assert client.post(f"{path}taking", json={"number": 5}).json() == {"number": 5}
    rows.refused(client.post(f"{path}taking", json={"number": "x"}), "body.number")
    assert client.get(f"{path}closed").status_code == 418
    client.app.dependency_overrides[caller] = lambda: "somebody else"
    assert client.get(f"{path}parameters?number=2").json()["name"] == "somebody else"


def test_a_path_beside_those_of_rows_may_be_declared_anywhere(serve: Serve) -> None:
    app = serve().app

    @app.get(f"{PATH}count")
    def count(request: Request) -> dict[str, int]:
        return {"number": 3}

    client = TestClient(app)
    assert client.get(f"{PATH}count").json() == {"number": 3}
    row = client.post(PATH, json=rows.body()).json()
    assert client.get(f"{PATH}{row['id']}").json() == row
    assert client.get(f"{PATH}{rows.NO_ID}").json()["detail"] == f"there is no row {rows.NO_ID}"
