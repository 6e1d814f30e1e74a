"""The order of a page's rows, and where the next page begins.

A page is found by the sort values of the last row before it (a keyset), so that a deep page costs what the first one
does, and rows that come or go before it do not move it. The values travel in a token, opaque to clients.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from geotables.collection import Collection
from geotables.column_types import text_of
from geotables.db.statements import Condition


class TokenError(ValueError):
    """A token that does not say where a page of this order begins."""


class Key(NamedTuple):
    """A column to sort by."""

    column: sa.Column[Any]
    descending: bool = False

    @property
    def value(self) -> sa.ColumnElement[Any]:
        """What is compared: of a column that is shown as text, its text."""
        # Blanks make no difference to char(n), which has an index as it is.
        return self.column if isinstance(self.column.type, sa.CHAR) else text_of(self.column)


class Order:
    """A total order of the rows: by the keys given, then by id. NULL is last, whether ascending or descending."""

    def __init__(self, collection: Collection, keys: Sequence[Key] = ()) -> None:
        self.keys = [*keys, Key(collection.key)]
        #: The sort values before the id as text, which PostgreSQL turns back into the very same values.
        self.columns = [sa.cast(key.column, sa.Text()) for key in keys]
        self._after = cache(self._following)

    @property
    def is_by_id(self) -> bool:
        """Whether it is the order of the primary key."""
        return len(self.keys) == 1

    def by(self) -> list[sa.ColumnElement[Any]]:
        """What to ORDER BY."""
        return [
            key.value.desc().nulls_last() if key.descending else key.value.asc()
            for key in self.keys
        ]

    def after(self, values: Sequence[str | None]) -> Condition:
        """The rows that follow the one with these sort values, the id last."""
        expression = self._after(tuple(text is None for text in values))
        return Condition(expression, dict(zip(self._names(), values, strict=True)))

    def _names(self) -> list[str]:
        return [f"after{number}" for number in range(len(self.keys))]

    def _following(self, unset: tuple[bool, ...]) -> sa.ColumnElement[bool]:
        """The rows that follow one of which these sort values are NULL."""
        following: list[sa.ColumnElement[bool]] = []
        same: list[sa.ColumnElement[bool]] = []
        for key, name, is_null in zip(self.keys, self._names(), unset, strict=True):
            if is_null:
                same.append(key.column.is_(None))
                continue
            value = sa.cast(sa.bindparam(name, type_=sa.Text()), key.value.type)
            beyond = key.value < value if key.descending else key.value > value
            if key.column.nullable:
                beyond |= key.column.is_(None)
            following.append(sa.and_(*same, beyond))
            same.append(key.value == value)
        return sa.or_(*following)

    def token(self, values: Sequence[str | None]) -> str:
        """The token of the page after the row with these sort values."""
        content = orjson.dumps([self._digest(values), *values])
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def read(self, token: str) -> list[str | None]:
        """The sort values of a token.

        Raises:
            TokenError: It is malformed, or of another order or table.
        """
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            digest, *values = orjson.loads(base64.b64decode(padded, b"-_", validate=True))
        except (TypeError, ValueError):
            raise TokenError("malformed: take it from a link to the next page") from None
        if digest != self._digest(values) or not self._fit(values):
            raise TokenError("of another order: it goes with the link that it came in")
        return list(values)

    def _fit(self, values: Sequence[Any]) -> bool:
        if len(values) != len(self.keys) or values[-1] is None:
            return False
        return all(
            value is None or (isinstance(value, str) and "\0" not in value) for value in values
        )

    def _digest(self, values: Sequence[str | None]) -> str:
        keys = [(str(column), descending) for column, descending in self.keys]
        return hashlib.blake2s(repr((keys, list(values))).encode(), digest_size=8).hexdigest()


@cache
def by_id(collection: Collection) -> Order:
    """The order of the primary key."""
    return Order(collection)
