"""What a relation and its columns are called in a service: the names that are there, where they will do."""

import re
from collections.abc import Collection, Set

from parameters import names

#: So long that the names that are made of it have room for another.
LONGEST = 39


def collection(name: str) -> str:
    """The name of the collection, its routes and its module: `Land Parcels` gives land_parcels."""
    if len(name) <= LONGEST and not names.table_rule(name):
        return name
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = names.cleaned(words)[:LONGEST].rstrip("_")
    candidates = (plain, names.plural(plain), f"{plain}_records", f"table_{plain}"[:40], "records")
    return names.first_valid(filter(None, candidates), names.table_rule)


def resource(collection: str) -> str:
    """What one row is: the singular, where a rule gives it for sure."""
    one = names.singular(collection)
    numbered = (f"record_{number}" for number in range(2, 100))
    candidates = (one, collection, f"{collection}_row", f"{one}_row", "record", *numbered)
    return names.first_valid(filter(None, candidates), names.resource_rule)


def column(name: str, others: Set[str], room: int) -> str:
    """The parameter for a column: its own name, or a Python name for it that no other column has, and that is no longer."""
    plain = names.identifier(name, others)[:room].rstrip("_")
    candidates = (
        name,
        plain,
        f"{plain}_column",
        *(f"column_{number}" for number in range(1, 2000)),
    )

    def rule(candidate: str) -> str:
        if candidate in others - {name} or len(candidate) > room:
            return "taken, or too long"
        return names.column_rule(candidate)

    return names.first_valid(candidates, rule)


def title(name: str) -> str:
    """A name as people read it: land_parcels gives Land parcels."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def index(table: str, column: str, ending: str, taken: Collection[str]) -> str:
    """The name of an index that is not there yet."""
    name = f"idx_{table}_{column}_{ending}"
    if len(name) > names.NAME_BYTES:
        name = f"idx_{table[:25]}_{column[:25]}_{ending}"
    numbered = (f"{name[:58]}_{number}" for number in range(2, 1000))
    return names.first_valid((name, *numbered), lambda each: "taken" * (each in taken))
