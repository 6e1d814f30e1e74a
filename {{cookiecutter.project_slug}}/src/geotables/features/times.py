"""The parameter ``datetime``: instants and intervals (RFC 3339, OGC API - Features part 1, 7.15.4)."""

import datetime
import re
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa

from geotables.db.statements import Condition

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))?", re.ASCII)
_DAY = datetime.timedelta(days=1) - datetime.timedelta(microseconds=1)


class Interval(NamedTuple):
    """From one time to another, both included; None is open."""

    start: datetime.datetime | None
    end: datetime.datetime | None


def interval(text: str) -> Interval:
    """Read an instant, or an interval whose ends may be open (``..`` or empty).

    Raises:
        ValueError: It is neither; the message has the reason.
    """
    first, slash, last = text.partition("/")
    if not slash:
        return Interval(_read(first), _read(first, end=True))
    start = None if first in ("", "..") else _read(first)
    end = None if last in ("", "..") else _read(last, end=True)
    if start is not None and end is not None and start > end:
        raise ValueError("its end is before its start")
    return Interval(start, end)


def during(column: sa.Column[datetime.datetime], when: Interval) -> Condition:
    """The rows whose time is in an interval, and those without a time, which may be in it."""
    start, end = (
        each.date() if each is not None and isinstance(column.type, sa.Date) else each
        for each in when
    )
    expression = _during(column, start is not None, end is not None)
    return Condition(expression, {"start": start, "end": end})


@cache
def _during(
    column: sa.Column[datetime.datetime], has_start: bool, has_end: bool
) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = sa.true()
    if has_start:
        found &= column >= sa.bindparam("start", type_=column.type)
    if has_end:
        found &= column <= sa.bindparam("end", type_=column.type)
    return found | column.is_(None) if column.nullable else found


def _read(text: str, *, end: bool = False) -> datetime.datetime:
    """Read an instant; a date alone is its whole day in UTC, of which it is the start or the end."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(f"{text!r:.50} is not like 2020-01-31T12:00:00Z")
    try:
        if len(text) == len("2020-01-31"):
            day = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)
            return day + _DAY if end else day
        return datetime.datetime.fromisoformat(text.upper()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"there is no {text!r:.50}") from None
