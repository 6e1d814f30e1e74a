"""What a team adds by FastAPI's own means works: dependencies hold on every path, and endpoints may be of any kind."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response, StreamingResponse

from geotables.collection import Collection
from geotables.db.sessions import SessionDep
from geotables.http.ids import id_convertor
from geotables.service import Service

from contract import faces, only, writes
from rows import Rows, refused

Serve = Callable[..., TestClient]


def requests(service: Service, faces: set[str]) -> list[tuple[str, str]]:
    """A method and a path of every kind that the application has, of every collection."""
    reads = ["/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"]
    writes: list[tuple[str, str]] = []
    if "ogc" in faces:
        reads += ["/", "/conformance", "/collections"]
    if "tiles" in faces:
        reads += ["/tileMatrixSets", "/tileMatrixSets/WebMercatorQuad"]
    if "webmap" in faces:
        reads += ["/map"]
    for rows in map(Rows.of, service.collections):
        path, items, row = rows.path, rows.items, rows.at(rows.no_id)
        item = rows.item(rows.no_id)
        written: list[tuple[str, str]] = []
        if "ogc" in faces:
            reads += [rows.collection_path]
        if "rest" in faces:
            reads += [path, f"{path}nearby?lon=0&lat=0&radius=1", row]
            written += [("POST", path), *((method, row) for method in ("PUT", "PATCH", "DELETE"))]
        if "features" in faces:
            reads += [f"{rows.collection_path}/queryables", items, f"{items}?f=jsonseq", item]
            written += [("POST", items), *((method, item) for method in ("PUT", "PATCH", "DELETE"))]
        if "tiles" in faces:
            reads += [f"{rows.collection_path}/tiles", rows.tileset, f"{rows.tileset}/0/0/0"]
        if rows.collection.is_writable:
            writes += written
    return [*(("GET", path) for path in reads), *writes]


@pytest.fixture
def modes(service: Service) -> list[dict[str, Any]]:
    """Settings with which the routers depend on nothing, and with which they depend on who asks."""
    closed = [{"read_access": "closed"}] if "read_access" in service.settings.model_fields else []
    return [{}, *closed]


def refuse() -> None:
    """A dependency that lets nobody in."""
    raise HTTPException(418, "not for you")


def statuses(client: TestClient, requests: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """What each request is answered with; their bodies could not be read."""
    body = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    return {
        (method, path): client.request(
            method, path, **({} if method in ("GET", "DELETE") else body)
        ).status_code
        for method, path in requests
    }


def test_a_dependency_of_the_application_holds_on_every_path(
    service: Service,
    served_faces: set[str],
    modes: list[dict[str, Any]],
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_dependency = partial(FastAPI, dependencies=[Depends(refuse)])
    module = importlib.import_module(service.factory.partition(":")[0])
    monkeypatch.setattr(module, "FastAPI", with_dependency)
    asked = requests(service, served_faces)
    for mode in modes:
        client = serve(**mode)
        assert statuses(client, asked) == dict.fromkeys(asked, 418)
        client.app.dependency_overrides[refuse] = lambda: None
        answers = statuses(client, asked)
        assert answers["GET", "/health/live"] == 200
        for rows in map(Rows.of, service.collections):
            for path in {rows.path, rows.items} & {path for _, path in asked}:
                assert answers["GET", path] == 200
        assert 418 not in answers.values()


def test_a_dependency_of_a_router_holds_on_every_path(
    service: Service,
    served_faces: set[str],
    modes: list[dict[str, Any]],
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    include = FastAPI.include_router

    def include_with_dependency(app: FastAPI, router: APIRouter, **options: Any) -> None:
        dependencies = [*options.pop("dependencies", ()), Depends(refuse)]
        include(app, router, dependencies=dependencies, **options)

    monkeypatch.setattr(FastAPI, "include_router", include_with_dependency)
    asked = requests(service, served_faces)
    for mode in modes:
        assert statuses(serve(**mode), asked) == dict.fromkeys(asked, 418)


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


def leaves_words(collection: Collection) -> bool:
    """Whether words in the place of an id are left to other routes: a text may be any word."""
    return id_convertor(collection) != "text_id"


def own_paths(rows: Rows) -> list[str]:
    """Paths of the team's own, beside those of each face."""
    paths = ["/own/", f"{rows.collection_path}/", f"{rows.tileset}/"]
    return [rows.path, *paths] if leaves_words(rows.collection) else paths


def test_endpoints_of_every_kind_can_be_added_beside_those_of_the_service(
    any_rows: Rows, modes: list[dict[str, Any]], serve: Serve
) -> None:
    paths, router = own_paths(any_rows), APIRouter()
    for path in paths:
        for endpoint in ENDPOINTS:
            router.get(f"{path}{endpoint.__name__}")(endpoint)
        router.post(f"{path}taking")(taking)
        router.get(f"{path}closed", dependencies=[Depends(refuse)])(as_response)
    for mode in modes:
        client = serve(**mode)
        # After the service's own, those of rows too, whose path ends with an id.
        client.app.include_router(router)
        for path in paths:
            assert_answers(client, path)


def assert_answers(client: TestClient, path: str) -> None:
    """See that each of the endpoints answers."""
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
    refused(client.get(f"{path}parameters"), "query.number")
    assert client.post(f"{path}taking", json={"number": 5}).json() == {"number": 5}
    refused(client.post(f"{path}taking", json={"number": "x"}), "body.number")
    assert client.get(f"{path}closed").status_code == 418
    client.app.dependency_overrides[caller] = lambda: "somebody else"
    assert client.get(f"{path}parameters?number=2").json()["name"] == "somebody else"
    client.app.dependency_overrides.clear()


@writes
@only(leaves_words)
@faces("rest")
def test_a_path_beside_those_of_rows_may_be_declared_anywhere(rows: Rows, serve: Serve) -> None:
    app = serve().app

    @app.get(f"{rows.path}count")
    def count(request: Request) -> dict[str, int]:
        return {"number": 3}

    client = TestClient(app)
    assert client.get(f"{rows.path}count").json() == {"number": 3}
    row = client.post(rows.path, json=rows.body()).json()
    assert client.get(rows.at(row[rows.key.name])).json() == row
    assert client.get(rows.at(rows.no_id)).json()["detail"] == f"there is no row {rows.no_id}"


def test_a_session_ends_with_its_endpoint(serve: Serve) -> None:
    """What used it later would take a connection that nobody gives back."""
    app, kept = serve(pool_size=1, max_overflow=0, pool_timeout=0.5).app, []

    @app.get("/own/number")
    def number(session: SessionDep) -> int:
        kept.append(session)
        return int(session.scalar(sa.text("SELECT 3")) or 0)

    def texts(session: Session) -> Iterator[str]:
        yield str(session.scalar(sa.text("SELECT 3")))

    @app.get("/own/stream")
    def stream(session: SessionDep) -> StreamingResponse:
        return StreamingResponse(texts(session))

    client, database = TestClient(app), app.state.database
    for _ in range(2):
        with pytest.raises(sa.exc.InvalidRequestError, match="ends when its endpoint returns"):
            client.get("/own/stream")
        assert client.get("/own/number").json() == 3
        with pytest.raises(sa.exc.InvalidRequestError, match="ends when its endpoint returns"):
            kept[-1].scalar(sa.text("SELECT 3"))
        assert database.usage(database.engine)["in_use"] == 0
