"""Routes that FastAPI has no part in: those that it would do nothing for."""

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from {{ cookiecutter.package_name }}.api.routes import Route, plain


def refuse() -> None:
    raise PermissionError


def test_a_route_that_depends_on_something_is_not_plain() -> None:
    router = APIRouter(route_class=Route)

    @router.get("/open")
    def read(request: Request) -> Response:
        return Response()

    @router.post("/closed", dependencies=[Depends(refuse)])
    def write(request: Request) -> Response:
        return Response()

    assert [route.path for route in plain(router)] == ["/open"]
