"""Versions of rows as entity tags, so that concurrent changes do not undo one another (RFC 9110, section 13)."""

from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException


def etag(version: str, representation: str) -> str:
    """The tag of a row's version in one of its representations."""
    return f'"{version}-{representation}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the client has this very answer already (If-None-Match)."""
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    return known.strip() == "*" or tag in _tags(known)


def expected(request: Request) -> list[str] | None:
    """The versions that a client takes a row to have (If-Match); None: any."""
    tags = request.headers.get("if-match")
    return None if tags is None or tags.strip() == "*" else _versions(tags)


def check(request: Request, version: str | None) -> None:
    """Check that a row, which is locked, still is as the client knows it (If-Match).

    Args:
        request: The request that changes the row.
        version: The version of the row; None: there is no such row.

    Raises:
        HTTPException: The row has changed, or is gone, since the client read it.
    """
    wanted, unwanted = (request.headers.get(name) for name in ("if-match", "if-none-match"))
    if wanted is not None and not (version and _names(wanted, version)):
        reason = "it has changed, or is gone, since the client read it"
        raise HTTPException(HTTPStatus.PRECONDITION_FAILED, reason)
    if unwanted is not None and version and _names(unwanted, version):
        raise HTTPException(HTTPStatus.PRECONDITION_FAILED, "it is there already")


def _names(tags: str, version: str) -> bool:
    return tags.strip() == "*" or version in _versions(tags)


def _versions(tags: str) -> list[str]:
    return [tag.strip('"').partition("-")[0] for tag in _tags(tags)]


def _tags(header: str) -> list[str]:
    """The tags of a header. Ours are strong; a weak one went through a proxy that compresses, and means the same row."""
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]
