"""What a valid parameter is.

The parameters come from prompts, the command line or a replay file, always as text. `problems`
checks all of them at once and gives for each wrong one the reason and a value that would do. It and
the modules that it imports need the standard library only: they run in whatever Python 3.11+ runs
cookiecutter, and without cookiecutter.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import names, predicate
from .attributes import (
    MAX_ATTRIBUTES,
    OWN,
    STORED_TYPES,
    TIMES,
    Attribute,
    Declaration,
    count,
    parse_declarations,
)
from .columns import StatementError
from .epsg import crs, srid_candidates, why_refused
from .names import (
    CLASS_LETTERS,
    Repair,
    Rule,
    byte_count,
    cleaned,
    first_valid,
    is_hidden,
    printable,
    renamed,
    shown,
)
from .relation import (
    DEFAULTS,
    PRIVATE,
    Relation,
    contradictions,
    own_columns,
    relation,
    why_not_writable,
)

__all__ = [
    "CHOICES",
    "CLASS_LETTERS",
    "DERIVED",
    "NAMES",
    "OPTIONAL",
    "PRIVATE",
    "SOURCES",
    "AttributesError",
    "Problem",
    "Relation",
    "derived_names",
    "geometry_column",
    "parse_attributes",
    "problems",
    "relation",
    "unknown",
    "usable",
]

_TEMPLATE = json.loads(
    Path(__file__).parents[1].joinpath("cookiecutter.json").read_text(encoding="utf-8")
)
NAMES = tuple(name for name in _TEMPLATE if not name.startswith("_"))
# What each parameter is by default: its choices, the first one being the default, or a template of cookiecutter's.
SOURCES: dict[str, str | list[str]] = {name: _TEMPLATE[name] for name in NAMES}
# The values that follow from those of the parameters, as cookiecutter's templates.
DERIVED = {
    name: source
    for name, source in _TEMPLATE.items()
    if name.startswith("__") and isinstance(source, str)
}
CHOICES = {name: tuple(_TEMPLATE[name]) for name in NAMES if isinstance(_TEMPLATE[name], list)}
# A replay file of an earlier version of the template has none of these.
OPTIONAL = frozenset(
    {"deployment", "auth", "table_schema", "key_column", "timestamps", "read_only"}
)

# -- Problems ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the parameter, its value, the reason, and a value that would do."""

    parameter: str
    value: str
    reason: str
    suggestion: str

    def __str__(self) -> str:
        if self.suggestion:
            advice = f"try {shown(self.suggestion, 4000)}"
        else:
            advice = "leave it empty" if self.parameter in NAMES else "leave it out"
        return f"{shown(self.parameter)[1:-1]} = {shown(self.value)}: {self.reason}; {advice}"


class AttributesError(ValueError):
    """Some declarations of attributes are wrong, as `problems` says."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


def parse_attributes(text: str) -> tuple[Attribute, ...]:
    """The columns that `attributes` declares; none is as good as many: id and geometry remain."""
    if found := list(_attribute_problems(text)):
        raise AttributesError(found)
    return tuple(declaration.attribute for declaration in parse_declarations(text))


# -- Rules for one parameter ---------------------------------------------------------------------


def _text(limit: int, *, required: bool = False) -> Rule:
    def rule(value: str) -> str:
        if required and not value.strip():
            return "no text given"
        if not printable(value):
            return "has line breaks, control characters or other characters that do not show"
        if len(value) > limit:
            return f"{len(value)} characters long, at most {limit} are possible"
        return ""

    return rule


def _visible(example: str, limit: int) -> Repair:
    def repair(value: str) -> Iterable[str]:
        spaced = "".join(" " if c.isspace() else c for c in value)
        return "".join(c for c in spaced if not is_hidden(c))[:limit].strip(), example

    return repair


def _one_of(choices: Sequence[str]) -> tuple[Rule, Repair]:
    def rule(value: str) -> str:
        return "" if value in choices else f"not one of {', '.join(choices)}"

    def repair(value: str) -> Iterator[str]:
        folded = {choice.casefold(): choice for choice in choices}
        nearest = difflib.get_close_matches(value[:30].casefold(), folded, 1)
        yield from (folded[choice] for choice in nearest)
        yield choices[0]

    return rule, repair


def _number(
    lowest: int, highest: int, default: int, *, also: int | None = None
) -> tuple[Rule, Repair]:
    def rule(value: str) -> str:
        if also is not None and value == str(also):
            return ""
        number = count(value)
        if number >= 0 and lowest <= number <= highest:
            return ""
        otherwise = f" or {also}" if also is not None else ""
        return f"not a whole number from {lowest} to {highest}{otherwise}, in plain digits"

    def repair(value: str) -> Iterator[str]:
        if shape := re.fullmatch(r"\s*\+?0*([0-9]{1,9})(\.0*)?\s*", value):
            yield shape[1]
        yield str(default)

    return rule, repair


# PostgreSQL's src/backend/utils/misc/guc: work_mem is 64 kB to MAX_KILOBYTES.
KILOBYTES = {"kB": 1, "MB": 1024, "GB": 1024**2}
MAX_KILOBYTES = 2**31 - 1


def _memory(value: str) -> str:
    shape = re.fullmatch(r"([1-9][0-9]{0,11})(kB|MB|GB)", value)
    if not shape:
        return "not a whole number with the unit kB, MB or GB (in this case), without a space"
    if not 64 <= int(shape[1]) * KILOBYTES[shape[2]] <= MAX_KILOBYTES:
        return f"PostgreSQL takes 64kB to {MAX_KILOBYTES}kB"
    return ""


def _as_memory(value: str) -> Iterator[str]:
    if shape := re.fullmatch(r"\s*0*([1-9][0-9]{0,11})\s*([kKmMgG]?)[bB]?\s*", value):
        yield shape[1] + {"k": "kB", "m": "MB", "g": "GB", "": "MB"}[shape[2].lower()]
    yield "32MB"


# PostgreSQL's max_connections is 100 by default, of which it keeps 3 for superusers.
CONNECTIONS = 97

_PARAMETERS: dict[str, tuple[Rule, Repair]] = {
    "project_name": (_text(200, required=True), _visible("Facilities Service", 200)),
    "project_slug": (names.project_rule, renamed("facilities-service", "service", "-")),
    "package_name": (names.package_rule, renamed("facilities_service", "service")),
    "description": (_text(1000), _visible("", 1000)),
    "author_name": (_text(200), _visible("", 200)),
    "resource_name": (names.resource_rule, renamed("facility", "record")),
    "table_name": (names.table_rule, renamed("facilities", "records")),
    "table_schema": (names.schema_rule, lambda value: (cleaned(value), "")),
    "key_column": (names.column_rule, renamed("id", "key")),
    "geometry_column": (names.column_rule, renamed("location", "geom")),
    "srid": (why_refused, srid_candidates),
    "index_name": (names.index_rule, renamed("idx_facilities_location_gist", "gist")),
    "pool_size": _number(1, CONNECTIONS, 10),
    "max_overflow": _number(0, CONNECTIONS - 1, 5),
    "pool_timeout": _number(1, 300, 30),
    # SQLAlchemy's -1 never recycles a connection.
    "pool_recycle": _number(30, 86_400, 1800, also=-1),
    "work_mem": (_memory, _as_memory),
    **{name: _one_of(choices) for name, choices in CHOICES.items()},
}


def usable(parameter: str, value: str) -> str:
    """The value, or one like it that the parameter may have by itself: a default that is made of another answer."""
    rule, repair = _PARAMETERS[parameter]
    return value if not rule(value) else first_valid(repair(value), rule)


def geometry_column(attributes: str) -> str:
    """The geometry column's name where none is given: one that no attribute has."""
    taken = {declaration.attribute.name for declaration in parse_declarations(attributes)}
    candidates = ("location", "geom", *(f"geom_{number}" for number in range(2, 10_000)))
    return next(name for name in candidates if name not in taken)


# -- Rules for several parameters ----------------------------------------------------------------


def derived_names(
    table_name: str,
    geometry_column: str,
    attributes: Iterable[Attribute],
    *,
    geographic: bool,
    key_column: str = "id",
) -> dict[str, tuple[tuple[str, str], ...]]:
    """The names that the database gets beside those given, each with the parameters in it."""
    table = ("table_name", table_name)
    both = (table, ("geometry_column", geometry_column))
    derived: dict[str, tuple[tuple[str, str], ...]] = {
        f"pk_{table_name}": (table,),
        f"{table_name}_{key_column}_seq": (table, ("key_column", key_column)),
        f"ck_{table_name}_{geometry_column}_range": both,
        f"ck_{table_name}_{geometry_column}_type": both,
    }
    if geographic:
        derived[f"idx_{table_name}_{geometry_column}_geog"] = both
    for attribute in attributes:
        if attribute.unique:
            derived[f"uq_{table_name}_{attribute.name}"] = (table, ("attributes", attribute.name))
    return derived


def _long_names(
    values: Mapping[str, str], all_derived: Mapping[str, tuple[tuple[str, str], ...]]
) -> Iterator[Problem]:
    """Derived names that would be cut off, told of the part that is too long in them."""
    shortest: dict[tuple[str, str], tuple[int, str]] = {}
    for derived, parts in all_derived.items():
        taken = sum(byte_count(given) for _, given in parts)
        room = names.NAME_BYTES - (byte_count(derived) - taken)
        for part in parts:
            size = byte_count(part[1])
            # Each part may take its share of the room, and what the others leave of theirs.
            allowed = max(room // len(parts), room - (taken - size))
            if size > allowed and names.IDENTIFIER.fullmatch(part[1]):
                shortest[part] = min(shortest.get(part, (names.NAME_BYTES, "")), (allowed, derived))
    for (parameter, given), (allowed, derived) in shortest.items():
        reason = (
            f"the derived name {derived} is {byte_count(derived)} bytes long, at most {names.NAME_BYTES} are"
            f" possible: cut {byte_count(given) - allowed} off {shown(given)}"
        )
        shorter = _shortened(values[parameter], given, given[:allowed].rstrip("_"))
        yield Problem(parameter, values[parameter], reason, shorter)


def _shortened(value: str, name: str, shorter: str) -> str:
    """The parameter's value with the name made shorter, be it the value or one attribute's."""
    if value == name:
        return shorter
    words = [(d.attribute.name, d.word) for d in parse_declarations(value)]
    return " ".join(shorter + word[len(n) :] if n == name else word for n, word in words)


def _clashes(values: Mapping[str, str], attributes: Sequence[Attribute]) -> Iterator[Problem]:
    """Names that are right by themselves, but not beside the others."""
    table, column, index = (values[n] for n in ("table_name", "geometry_column", "index_name"))
    system = crs(values["srid"])
    geographic = system is not None and system.geographic
    key = values["key_column"]
    derived = derived_names(table, column, attributes, geographic=geographic, key_column=key)
    yield from _long_names(values, derived)

    if key in TIMES and values["timestamps"] == "yes":
        yield Problem("key_column", key, "is a column that the table has with timestamps", "id")

    taken = {attribute.name for attribute in attributes} | own_columns(values)
    if column in taken:
        free = first_valid(
            renamed("location", "geom")(f"{column}_geom"),
            lambda name: names.column_rule(name) or "taken" * (name in taken),
        )
        what = "of the key or of a time" if column in own_columns(values) else "of an attribute"
        yield Problem("geometry_column", column, f"is also the name {what}", free)

    if index in {table, *derived}:
        free = first_valid(
            renamed("idx_location_gist", "gist")(f"{index[:30]}_gist"),
            lambda name: names.index_rule(name) or "taken" * (name in {table, *derived}),
        )
        yield Problem("index_name", index, "is also the name of the table or of its own", free)


def _columns(declaration: Declaration) -> Iterator[tuple[str, str]]:
    """The column's name and type; of a wrong declaration the type is not known."""
    attribute = declaration.attribute
    if declaration.reasons:
        yield from ((name, "") for name in (attribute.name, declaration.given.partition(":")[0]))
    else:
        yield attribute.name, STORED_TYPES[attribute.type]


def _predicate_problems(
    values: Mapping[str, str], declarations: Sequence[Declaration]
) -> Iterator[Problem]:
    condition = values["index_predicate"]
    if not condition:
        return
    srid = values["srid"] if crs(values["srid"]) else ""
    columns = {
        values["key_column"]: values["primary_key"],
        **(dict.fromkeys(TIMES, "timestamptz") if values["timestamps"] == "yes" else {}),
        values["geometry_column"]: f"geometry({values['geometry_type']},{srid})",
        **{name: kind for declaration in declarations for name, kind in _columns(declaration)},
    }
    if not condition.strip() or not printable(condition):
        visible, _ = _visible("", len(condition))(condition)
        reason = "is blank, or has line breaks or other characters that do not show"
        fixed = predicate.repaired(visible, columns)
        yield Problem("index_predicate", condition, reason, fixed)
        return
    found = predicate.findings(condition, columns)
    fixed = predicate.repaired(condition, columns) if found else ""
    for finding in found:
        yield Problem("index_predicate", condition, finding.reason, fixed)


def _pool_problems(values: Mapping[str, str]) -> Iterator[Problem]:
    size, overflow = count(values["pool_size"]), count(values["max_overflow"])
    if 1 <= size <= CONNECTIONS and 0 <= overflow < CONNECTIONS < size + overflow:
        reason = (
            f"pool_size {size} + max_overflow {overflow} = {size + overflow} connections, more than"
            f" the {CONNECTIONS} that PostgreSQL has (max_connections 100 less 3 reserved)"
        )
        yield Problem("max_overflow", str(overflow), reason, str(CONNECTIONS - size))


def _single_problems(values: Mapping[str, str]) -> Iterator[Problem]:
    for name, (rule, repair) in _PARAMETERS.items():
        if name in OPTIONAL and name not in values:
            continue
        value = values[name]
        if name == "table_name" and not value:
            noun = values["resource_name"]
            # The name that is suggested instead has a plural of its own.
            if names.plural(noun) or not names.plural(names.cleaned(noun)):
                yield _plural_needed(noun)
        elif reason := rule(value):
            yield Problem(name, value, reason, first_valid(repair(value), rule))


def _plural_needed(noun: str) -> Problem:
    if one := names.singular(noun):
        reason = (
            "looks like a plural, and is to be what one row is: give table_name, too, if it is none"
        )
        return Problem("resource_name", noun, reason, one)
    certain = names.plural(noun)
    reason = "is empty" if certain else f"the plural of {shown(noun)} is not certain: give it"
    candidates = (certain, f"{names.cleaned(noun)}_records", "facilities")
    return Problem("table_name", "", reason, first_valid(candidates, names.table_rule))


def _attribute_problems(text: str, own: frozenset[str] = OWN) -> Iterator[Problem]:
    declarations = parse_declarations(text, own)
    repaired = " ".join(d.word for d in declarations[:MAX_ATTRIBUTES])
    for declaration in declarations:
        for reason in declaration.reasons:
            yield Problem("attributes", text, f"{shown(declaration.given)}: {reason}", repaired)
    if len(declarations) > MAX_ATTRIBUTES:
        reason = f"{len(declarations)} attributes, a table has room for {MAX_ATTRIBUTES}"
        yield Problem("attributes", text, reason, repaired)


def _private_problems(values: Mapping[str, str]) -> Iterator[Problem]:
    """What was found in a database, and does not fit together or with the parameters."""
    for name in PRIVATE:
        try:
            found = relation({**values, **{other: "" for other in PRIVATE if other != name}})
        except StatementError as error:
            yield Problem(name, values.get(name, ""), str(error), "")
            return
    found = relation(values)
    if reason := contradictions(found):
        name = "_table" if reason.startswith("table") else "_columns"
        yield Problem(name, values.get(name, ""), reason, "")
    elif not found.is_read_only and (reason := why_not_writable(found)):
        yield Problem("read_only", values["read_only"], reason, "yes")


def _missing(name: str) -> Problem:
    if name not in _PARAMETERS:
        return Problem(name, "", "is missing", "")
    rule, repair = _PARAMETERS[name]
    return Problem(name, "", "is missing", first_valid(repair(""), rule))


def unknown(name: str, value: str, known: Sequence[str] = NAMES) -> Problem:
    """The problem of a name that no parameter has, with the one that is meant."""
    if source := DERIVED.get(name):
        parameter = re.findall(r"cookiecutter\.([a-z]\w*)", source)[0]
        return Problem(name, value, f"no parameter, but derived from {parameter}", parameter)
    folded = re.sub(r"\W", "_", name[:60].casefold())
    nearest = difflib.get_close_matches(folded, known, 1)
    reason = "no parameter has this name"
    if not nearest:
        reason += f", they are {', '.join(known)}"
    return Problem(name, value, reason, *(nearest or [""]))


def problems(
    context: Mapping[str, object], asked: Mapping[str, object] | None = None
) -> list[Problem]:
    """Every problem that the parameters have; none when a project can be rendered from them.

    `asked` are the values that were asked for by name: cookiecutter leaves out of the context what is no parameter.
    """
    given = {
        name: f"{value}"
        for name, value in context.items()
        if not name.startswith("_") or name in PRIVATE
    }
    missing = [_missing(name) for name in NAMES if name not in given and name not in OPTIONAL]
    values = DEFAULTS | {problem.parameter: problem.suggestion for problem in missing} | given
    own = own_columns(values)
    declarations = parse_declarations(values["attributes"], own)
    attributes = [declaration.attribute for declaration in declarations[:MAX_ATTRIBUTES]]
    found = [
        *missing,
        *_single_problems(values),
        *_attribute_problems(values["attributes"], own),
        *_clashes(values, attributes),
        *_predicate_problems(values, declarations),
        *_pool_problems(values),
    ]
    # Of wrong parameters it is not known what they make together.
    found += [] if found else _private_problems(values)
    order = {name: number for number, name in enumerate((*NAMES, *PRIVATE))}
    named = given | {name: f"{value}" for name, value in (asked or {}).items()}
    others = [unknown(name, value) for name, value in named.items() if name not in order]
    return [*sorted(found, key=lambda problem: order[problem.parameter]), *others]
