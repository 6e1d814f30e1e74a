"""Columns of Arrow's as the values of features."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from geotables.files.sources.base import SourceError


def packages(path: Path) -> tuple[Any, Any]:
    """pyarrow and pyogrio, which only the formats besides GeoJSON need."""
    try:
        import pyarrow
        import pyogrio
    except ImportError as error:
        raise SourceError(
            f"{path} is not GeoJSON; other formats need the packages pyogrio and pyarrow:"
            f" install this project with its extra, formats ({error})"
        ) from error
    return pyarrow, pyogrio


def cells(name: str, column: Any, encoding: str | None, problems: dict[int, str]) -> list[Any]:
    """The values of a column; what is no text of the encoding is noted."""
    kind = str(column.type)
    if "string" not in kind and "binary" not in kind:
        values: list[Any] = column.to_pylist()
        return values
    if encoding is None:
        with suppress(ValueError):
            texts: list[Any] = column.cast("string").to_pylist()
            return texts
    texts = []
    for at, cell in enumerate(column.cast("binary").to_pylist()):
        try:
            texts.append(cell if cell is None else cell.decode(encoding or "utf-8"))
        except UnicodeDecodeError as error:
            texts.append(cell.decode(errors="backslashreplace"))
            problems[at] = (
                f"{name}: {texts[-1]!r:.60} is not {error.encoding.upper()}"
                " (--encoding names another, such as latin1)"
            )
    return texts


def rows(columns: dict[str, list[Any]], length: int) -> list[dict[str, Any]]:
    """Columns as the properties of each feature."""
    if not columns:
        return [{} for _ in range(length)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
