"""Resources that are JSON for programs and a page for people."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from geotables.http.formats import HTML, PAGES, Format, FormatName, negotiated
from geotables.http.openapi import answers
from geotables.http.parameters import documented, parsed


class FormatQuery(BaseModel):
    """How to write a resource."""

    model_config = ConfigDict(extra="forbid")

    f: FormatName[Literal["json", "html"]] = None


def options(offered: Sequence[Format] = PAGES) -> dict[str, Any]:
    """The options of a route that has no parameter but the format."""
    return {
        "response_class": Response,
        "responses": answers(HTTPStatus.BAD_REQUEST, formats=offered),
        "openapi_extra": {"parameters": documented(FormatQuery)},
    }


def wants_html(request: Request, offered: Sequence[Format] = PAGES) -> bool:
    """Whether the client wants the page.

    Raises:
        ParameterError: The request has a parameter other than the format, or a format that is not offered.
    """
    return negotiated(request, parsed(request, FormatQuery).f, offered) is HTML
