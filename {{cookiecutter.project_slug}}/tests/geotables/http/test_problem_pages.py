"""Problems as pages, where a browser asks; programs get problem details."""

from collections.abc import Callable

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from geotables.service import Service

import apps
import markup
from contract import faces
from markup import BROWSER
from rows import Rows

Serve = Callable[..., TestClient]


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/nowhere", 404, "There is nothing at this path"),
        pytest.param("{items}?limit=x", 400, "limit: Input should be", marks=faces("features")),
        pytest.param("{items}?Unknown=1", 400, "no such parameter", marks=faces("features")),
        pytest.param("{items}/{no_id}", 404, "There is no feature", marks=faces("features")),
    ],
)
def test_a_browser_gets_a_page(
    client: TestClient, any_rows: Rows, path: str, status: int, told: str
) -> None:
    path = path.format(items=any_rows.items, no_id=any_rows.no_id)
    response = client.get(path, headers=BROWSER)
    assert (response.status_code, response.headers["Vary"]) == (status, "Accept")
    page = markup.read(response)
    assert told in page.texts and f"{status} " in page.texts
    assert {"/", "/docs"} <= set(page.linked)
    # Programs, and what scripts send.
    assert client.get(path).headers["Content-Type"] == "application/problem+json"
    for accepted in ("application/json", "*/*", "application/geo+json, text/html;q=0.5"):
        headers = {"Accept": accepted}
        assert client.get(path, headers=headers).json()["status"] == status
    if status == 404:
        assert client.post(path, headers=BROWSER).headers["Content-Type"].startswith("application/")


def test_what_the_client_sends_is_text(client: TestClient) -> None:
    text = client.get("/collections?%3Cscript%3E=1", headers=BROWSER).text
    assert "<script>" not in text


def test_an_unexpected_error_tells_the_id_that_the_log_has(
    service: Service, database_url: str
) -> None:
    app = apps.create(service, database_url, [], [])

    @app.get("/broken")
    def broken() -> None:
        raise ValueError("inside")

    client = TestClient(app, raise_server_exceptions=False)
    response = client.get("/broken", headers={**BROWSER, "X-Request-ID": "the-id"})
    assert response.status_code == 500
    page = markup.read(response)
    assert "the-id" in page.texts and "inside" not in page.texts


@pytest.mark.parametrize("status", [401, 403])
def test_where_callers_have_to_say_who_they_are_the_page_takes_a_key(
    service: Service, database_url: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async def refuse() -> None:
        raise HTTPException(status, "a valid key is needed", {"WWW-Authenticate": "Bearer"})

    app: FastAPI = apps.create(service, database_url, [], [])

    @app.get("/closed", dependencies=[Depends(refuse)])
    async def closed() -> None:
        """Never reached."""

    client = TestClient(app)
    for asks in (True, False):
        monkeypatch.setattr(type(app.state.settings), "asks_who", asks)
        response = client.get("/closed", headers=BROWSER)
        assert response.status_code == status
        assert response.headers["WWW-Authenticate"] == "Bearer"
        page = markup.read(response)
        assert any(path.endswith("/key.js") for path in page.loaded) == asks
        assert bool(page.forms) == asks
