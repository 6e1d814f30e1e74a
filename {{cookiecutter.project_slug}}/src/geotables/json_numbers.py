"""Numbers of JSON with all their digits: parsers make doubles of them, which keep 15.

PostgreSQL's numeric and jsonb store every digit, and a double beyond 2**53 is not the integer that was sent. So numbers are
read as ``Decimal``, and written as they were.
"""

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

#: The most digits of a number, written out as PostgreSQL does: 1e999999999 has a billion. Python's ``int`` reads as many.
LONGEST = 4_300

#: The most other characters of a number: a minus, a zero and a point.
SIGNS = 3


def loads(text: bytes | str) -> Any:
    """Parse JSON; takes twice as long as orjson, which has doubles only."""
    return json.loads(text, parse_float=read, parse_int=read_integer)


def loads_stored(text: bytes | str) -> Any:
    """Parse JSON that comes from the database, where a number may have any length."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def read(text: str) -> Decimal | float:
    """A number; infinity, which no column takes, if it is too long."""
    if len(text) > LONGEST + SIGNS:
        return math.inf
    try:
        number = Decimal(text)
    except InvalidOperation:
        return math.inf
    return number if digits(number) <= LONGEST else math.inf


def digits(number: Decimal) -> int:
    """How many digits a finite number has before and after the point."""
    exponent = number.as_tuple().exponent
    return max(number.adjusted() + 1, 0) + max(-int(exponent), 0)


def read_integer(text: str) -> int | Decimal | float:
    """A whole number; beyond 64 bits, which orjson cannot write, it is a ``Decimal``."""
    return int(text) if len(text) < len(str(2**63)) else read(text)


def write(value: Any) -> orjson.Fragment:
    """What orjson asks of its option ``default``.

    Raises:
        TypeError: It is not a ``Decimal``.
    """
    if not isinstance(value, Decimal):
        raise TypeError(f"JSON has no {type(value).__name__}")
    return orjson.Fragment(str(value).encode())
