"""Numbers of JSON with all their digits: parsers make doubles of them, which keep 15.

PostgreSQL's numeric and jsonb store every digit, and a double beyond 2**53 is not the integer that was sent. So numbers are
read as ``Decimal``, and written as they were.
"""

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

#: The longest number: that of Python's ``int``. A short one like 1e999999999 is as long once it is written out.
LONGEST = 4_300


def loads(text: bytes | str) -> Any:
    """Parse JSON; takes twice as long as orjson, which has doubles only."""
    return json.loads(text, parse_float=read, parse_int=read_integer)


def read(text: str) -> Decimal | float:
    """A number; infinity, which no column takes, if it is too long."""
    if len(text) > LONGEST:
        return math.inf
    try:
        number = Decimal(text)
    except InvalidOperation:
        return math.inf
    return number if abs(number.adjusted()) <= LONGEST else math.inf


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
