"""What the names of projects, packages, tables, columns and indexes may be.

A rule says why a value is refused, "" if it is not. A repair suggests values instead.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator

from . import reserved
from .reserved import claim, words

Rule = Callable[[str], str]
Repair = Callable[[str], Iterable[str]]

# -- Text that shows on a screen -----------------------------------------------------------------


def printable(text: str) -> bool:
    """Whether text is one line that shows on a screen and can be written to a file."""
    return not any(map(is_hidden, text))


def is_hidden(character: str) -> bool:
    # Joiners and tags make up emoji and the words of some scripts. The other format characters
    # show nothing, or turn the text's direction around and hide what a file says (CVE-2021-42574).
    if character in "\u200c\u200d" or "\U000e0020" <= character <= "\U000e007f":
        return False
    noncharacter = ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
    return noncharacter or unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def shown(text: str, limit: int = 80) -> str:
    """The text in quotes, on one line: hidden characters escaped, a long text shortened."""
    if len(text) > limit:
        text = f"{text[: limit * 2 // 3]}…{text[-(limit // 4) :]}"
    escaped = (c.encode("unicode_escape").decode("ascii") if is_hidden(c) else c for c in text)
    return "'" + "".join(escaped) + "'"


# -- Names ---------------------------------------------------------------------------------------


def first_valid(candidates: Iterable[str], rule: Rule) -> str:
    return next(candidate for candidate in candidates if not rule(candidate))


# PostgreSQL cuts longer names off (NAMEDATALEN - 1 bytes).
NAME_BYTES = 63
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def byte_count(name: str) -> int:
    return len(name.encode("utf-8", "surrogatepass"))


def _too_long(name: str, limit: int = NAME_BYTES) -> str:
    size = byte_count(name)
    return f"{size} bytes long, {size - limit} more than the {limit} possible" * (size > limit)


def _identifier(name: str) -> str:
    if not name:
        return "no name given"
    if not IDENTIFIER.fullmatch(name):
        return "not a name of a-z, 0-9 and _ that begins with a letter"
    return _too_long(name)


def cleaned(text: str, joint: str = "_") -> str:
    """What is left of the text as an identifier: 'Größe (m)' gives grosse_m."""
    parts = re.findall(r"[a-z0-9]+", _ascii(text).lower())
    return joint.join(parts).lstrip("0123456789" + joint)[:40].rstrip(joint)


def _ascii(text: str) -> str:
    """The text in ASCII, as far as its letters have a likeness there."""
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore")
    return folded.decode("ascii")


def sql_name(name: str) -> str:
    """A name as SQL writes it: in quotes where it needs them.

    >>> print(sql_name("roads"), sql_name("Land Use"), sql_name("order"))
    roads "Land Use" "order"
    """
    is_plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    return name if is_plain and name not in reserved.POSTGRESQL_RESERVED else _in_quotes(name)


def sql_spellings(name: str) -> tuple[str, ...]:
    """A name in all the ways in which PostgreSQL writes it: `position`, say, it puts in quotes that SQL does not need."""
    return tuple(dict.fromkeys((sql_name(name), _in_quotes(name))))


def _in_quotes(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def renamed(example: str, ending: str, joint: str = "_") -> Repair:
    """Names like the one given: cleaned, else with an ending, else the example, else numbered."""

    def repair(name: str) -> Iterator[str]:
        name = cleaned(name, joint)
        yield from (name, f"{name}{joint}{ending}", example)
        yield from (f"{example}{joint}{number}" for number in range(2, 10_000))

    return repair


def class_name(resource_name: str) -> str:
    """The model's class: facility gives Facility, charging_station gives ChargingStation."""
    return "".join(part[:1].upper() + part[1:] for part in resource_name.split("_"))


# bus, leaf, knife, potato, axis, datum, index and appendix, stomach, quiz, taxi, plateau,
# soliloquy, woman, software, watercraft, jellyfish, phenomenon
_UNSURE_ENDINGS = (
    *("s", "f", "fe", "o", "um", "ex", "ix", "ch", "z", "i", "au", "quy"),
    *("man", "men", "ware", "craft", "fish", "sheep", "non", "foot", "tooth", "mouse", "goose"),
    *("child", "person", "people", "data"),
)
# glass, video, studio, zoo, pitch, bench, beach, coach, couch
_SURE_ENDINGS = ("ss", "eo", "io", "oo", "tch", "nch", "each", "oach", "ouch", "church", "search")
# Nouns without a plural of their own, nouns that are plurals, and nouns with an irregular plural
# that the rules of `plural` would otherwise get wrong.
_IRREGULAR = words("""
    advice alga aircraft alumna antenna arctic bacteria baggage bison caribou cattle child
    clothing cod corn corpus criteria criterion crossroad data datum deer die dice ditch
    equipment evidence feet firmware fish foot formula furniture geese goose hardware health
    housing information infrastructure knowledge land larva lice lightning livestock louse
    luggage lumber machinery mail matrix media men mice money moose mouse nebula news ox
    parking pending penny people person phenomena phenomenon police poultry power progress
    rain research rice salmon sand schema sewage shrimp snow software soil spacecraft squid
    staff strata swine teeth tooth traffic trout tuna vegetation vertebra vertex vortex
    watercraft water waste weather wheat wildlife women wood
""")


def plural(noun: str) -> str:
    """The plural of a noun where a rule gives it for sure, else "": it is then to be given."""
    last = noun.rpartition("_")[2]
    if not IDENTIFIER.fullmatch(noun) or not last.isalpha() or len(last) < 3:
        return ""
    if last in _IRREGULAR or (last.endswith(_UNSURE_ENDINGS) and not last.endswith(_SURE_ENDINGS)):
        return ""
    if re.search(r"[^aeiou]y$", last):
        return noun[:-1] + "ies"
    return noun + ("es" if last.endswith(("ss", "x", "ch", "sh")) else "s")


def singular(noun: str) -> str:
    """The noun whose plural this is by a sure rule, "" where there is none."""
    # bus, glass, axis, and plurals that are their own singular
    if noun.endswith(("us", "ss", "is", "series", "species")):
        return ""
    # Campus and virus: no rule makes their plural, but theirs has no other singular.
    if re.search(r"[bcinprst]uses$", noun):
        return noun[:-2]
    candidates = (noun[:-3] + "y", noun[:-2], noun[:-1])
    return next((each for each in candidates if plural(each) == noun), "")


# -- Rules ---------------------------------------------------------------------------------------


def project_rule(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", value) or value.endswith("-"):
        return "not a name of a-z, 0-9 and - that begins with a letter and ends without a -"
    # The names of containers and volumes are made from it, and a DNS label ends at 63.
    if len(value) > 50:
        return _too_long(value, 50)
    # A project that has the name of a package that it depends on depends on itself.
    return claim(value.replace("-", "_"), reserved.PROJECTS | reserved.COMMANDS)


def package_rule(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", value) or value.startswith("__"):
        return "not a Python name of a-z, 0-9 and _"
    return _too_long(value) or claim(value, reserved.PACKAGES)


# alembic_helpers.include_object of GeoAlchemy2 leaves out idx_* and gpkg_*; pg_* looks built in; a project's revision
# is in alembic_version_<package>.
TABLE_PREFIXES = ("alembic_version_", "gpkg_", "idx_", "pg_")


def table_rule(value: str) -> str:
    if prefix := next((p for p in TABLE_PREFIXES if value.startswith(p)), ""):
        return f"names that begin with {prefix} are left to PostgreSQL and its tools"
    return _identifier(value) or claim(value, reserved.TABLES)


# The code is laid out in lines of 100, and the longest has the name twice.
CLASS_LETTERS = 39


def resource_rule(value: str) -> str:
    if reason := table_rule(value):
        return reason
    name = class_name(value)
    if len(name) > CLASS_LETTERS:
        return f"its class would have {len(name)} letters, {len(name) - CLASS_LETTERS} too many"
    if reserved.is_class(name):
        return f"its class would be {name}, a name that the code already uses"
    return ""


def column_rule(value: str) -> str:
    if value.startswith("model_"):
        return f"'{value}' begins with model_, which Pydantic keeps for itself"
    return _identifier(value) or claim(value, reserved.COLUMNS)


def identifier(name: str, taken: Collection[str] = ()) -> str:
    """The Python name of a column: its own where that serves, else one like it.

    >>> identifier("Land Use"), identifier("class"), identifier("2nd"), identifier("order")
    ('land_use', 'class_', 'column_2nd', 'order')
    """

    def rule(candidate: str) -> str:
        # SQLAlchemy quotes what PostgreSQL reserves.
        if candidate in taken:
            return "taken"
        sql_only = candidate in reserved.POSTGRESQL_RESERVED - reserved.KEYWORDS
        return "" if sql_only else column_rule(candidate)

    plain = re.sub(r"[^a-z0-9]+", "_", _ascii(name).lower()).strip("_")[:50].strip("_")
    numbered = (f"column_{plain}_{number}".replace("__", "_") for number in range(2, 10_000))
    likely = (name, plain, f"{plain}_", f"column_{plain or 1}")
    return first_valid(itertools.chain(likely, numbered), rule)


def schema_rule(value: str) -> str:
    if value == "public":
        return "is where tables are by default"
    if value.startswith("pg_") or value == "information_schema":
        return "names that begin with pg_, and information_schema, are PostgreSQL's own"
    return (_identifier(value) or claim(value, reserved.NAMES)) if value else ""


def index_rule(value: str) -> str:
    if not value:
        return "no name given"
    # PostgreSQL's documentation, section 4.1.1: letters are all that is not ASCII.
    ascii_only = "".join(c if c.isascii() else "x" for c in value)
    spaced = any(is_hidden(c) or c.isspace() for c in value)
    if spaced or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", ascii_only):
        return "not an SQL name of letters, digits, _ and $ that begins with a letter or _"
    if value.lower() in reserved.POSTGRESQL_RESERVED:
        return f"'{value}' is a word that PostgreSQL reserves"
    return _too_long(value) or claim(value, reserved.INDEXES)
