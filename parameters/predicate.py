"""What the condition of a partial index may be, as far as that is known without a database.

PostgreSQL wants a boolean expression over the table's own columns in which everything is
immutable: the result depends on nothing but the row, not on the clock, the time zone or a setting.
`findings` reads the text with PostgreSQL's precedence of operators and follows the types, and of
geometries the SRIDs: PostGIS refuses to compare two, each time that a row is written. It refuses
what it does not know, so that CREATE INDEX takes whatever it accepts.
"""

import contextlib
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

from . import immutable
from .epsg import crs
from .immutable import COMPARISONS, LITERAL, NULL, NUMBERS, SPATIAL, UNKNOWN, converts
from .reserved import POSTGRESQL_RESERVED, SYSTEM_COLUMNS

MAX_LENGTH = 4000
MAX_DEPTH = 40


class Finding(NamedTuple):
    """Something wrong: the reason, where it is, and what to write there instead, if that is known."""

    reason: str
    start: int = 0
    end: int = 0
    repaired: str | None = None


class _Stop(Exception):
    """What follows cannot be read."""


def findings(text: str, columns: Mapping[str, str]) -> list[Finding]:
    """What keeps the text from being a condition over columns of these types ("": not known).

    The type of a geometry column may say more, as PostGIS writes it: geometry(POINT,4326).
    """
    if len(text) > MAX_LENGTH:
        return [Finding(f"{len(text)} characters long, at most {MAX_LENGTH} are checked")]
    parser = _Parser(text, columns)
    with contextlib.suppress(_Stop):
        parser.read()
    return parser.findings


def repaired(text: str, columns: Mapping[str, str]) -> str:
    """The text with every finding put right, or "" where that is not known."""
    # A repair in one place may uncover a mistake in another.
    for _ in range(4):
        found = findings(text, columns)
        if not found:
            return text.strip()
        for finding in sorted(found, key=lambda finding: finding.start, reverse=True):
            if finding.repaired is None:
                return ""
            text = text[: finding.start] + finding.repaired + text[finding.end :]
    return ""


# -- Tokens --------------------------------------------------------------------------------------

# A run of operator characters is one operator, up to a comment. It may end in + or - only if it
# has one of the SPECIAL characters (PostgreSQL's documentation, 4.1.3): n=-1 is n = -1.
_COMMENT = r"(?:--|/\*)"
_SPECIAL = rf"(?!{_COMMENT})[~!@#%^&|`?]"
_ANY = rf"(?!{_COMMENT})[-+*/<>=~!@#%^&|`?]"
_TOKENS = re.compile(
    rf"""
    (?P<space>\ +)
    |(?P<comment>--.*|/\*.*?\*/|/\*.*)
    |(?P<prefix>(?:[uU]&|[eEbBxXnN])')
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<open>['"])
    |(?P<dollar>\$(?:[A-Za-z_]\w*)?\$)
    |(?P<parameter>\$\d+|%\(\w+\)s|%s\b|:[A-Za-z_]\w*)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w))
    |(?P<name>[A-Za-z_][\w$]*)
    |(?P<operator>(?:{_ANY})*{_SPECIAL}(?:{_ANY})*|(?:{_ANY})*(?!{_COMMENT})[*/<>=]|[-+])
    |(?P<symbol>::|[()\[\],.])
    |(?P<semicolon>;.*)
    |(?P<digit>\d)
    |(?P<foreign>[^\x00-\x7f])
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_REFUSED = {
    "comment": "a comment is no part of a condition",
    "prefix": "strings with a prefix, such as E'…', are not supported: use plain quotes",
    "open": "a quote is not closed",
    "dollar": "dollar quotes are not supported: use single quotes",
    "parameter": "{} is a placeholder for a parameter, and an index has none: write the value",
    "semicolon": "a condition ends without a ;",
    "digit": "a name cannot begin with a digit",
    "foreign": "letters and spaces other than ASCII are possible in quotes only",
    "other": "the character {!r} has no place in a condition",
}


class Token(NamedTuple):
    """A word of SQL. Names are in lower case, the text of strings and quoted names is unquoted."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        """The keyword, operator or symbol; "" for strings, numbers and quoted names."""
        return self.text if self.kind in {"name", "operator", "symbol"} else ""


# -- The condition -------------------------------------------------------------------------------

# How tightly operators bind, the loosest first (PostgreSQL's documentation, 4.1.6).
OR, AND, NOT, IS, COMPARISON, MEMBERSHIP, OTHER, SUM, PRODUCT, POWER, AT, SIGN, CAST = range(1, 14)
BINDING = {
    **{"or": OR, "and": AND, "at": AT, "^": POWER, "::": CAST},
    **dict.fromkeys(("is", "isnull", "notnull"), IS),
    **dict.fromkeys((*COMPARISONS, "=="), COMPARISON),
    **dict.fromkeys(("in", "between", "like", "ilike", "similar"), MEMBERSHIP),
    **dict.fromkeys("+-", SUM),
    **dict.fromkeys("*/%", PRODUCT),
}
# What SQL has, but not what is read here.
_INSTEAD = {
    "both": "is not supported: write btrim(text, characters)",
    "collate": "is not supported: texts are compared as their columns are",
    "leading": "is not supported: write ltrim(text, characters)",
    "trailing": "is not supported: write rtrim(text, characters)",
}
_PATTERN_LIST = "a list of patterns is not supported: write (… OR …)"
_NOT_ASSOCIATIVE = {IS, COMPARISON, MEMBERSHIP}
_QUERIES = {"select", "with", "values", "exists", "table"}


class Part(NamedTuple):
    """A part of the condition: its type, where it is, whether it is the same for every row."""

    type: str
    start: int
    end: int
    constant: bool = True
    # The text of a string or number that stands alone.
    literal: str = ""
    # Of geometries, where they are known: the SRID, and the type.
    srid: int | None = None
    shape: str = ""


class _Parser:
    """Reads a condition from left to right and follows the types of its parts."""

    def __init__(self, text: str, columns: Mapping[str, str]) -> None:
        self.text = text
        self.columns = columns
        self.findings: list[Finding] = []
        self.tokens: list[Token] = []
        self.position = 0
        self.depth = 0

    def read(self) -> None:
        self.divide()
        if self.next.word == "where":
            self.note("a condition begins after WHERE", self.take(), "")
        condition = self.expression()
        if self.next.kind != "end":
            self.unexpected()
        if condition.constant:
            self.note("is the same for every row: leave it empty to index all rows", condition)
        elif condition.type not in {"boolean", UNKNOWN}:
            whole = Part(condition.type, 0, len(self.text))
            reason = f"is of type {condition.type}, not a condition"
            self.note(reason, whole, f"{self.text} IS NOT NULL")

    # Findings

    def note(self, reason: str, part: Part | Token, repaired: str | None = None) -> Part:
        """Notes what is wrong with a part; its type is not known from then on."""
        self.findings.append(Finding(reason, part.start, part.end, repaired))
        return Part(UNKNOWN, part.start, part.end, constant=False)

    def fail(self, reason: str) -> NoReturn:
        self.note(reason, self.next)
        raise _Stop

    def unexpected(self) -> NoReturn:
        if self.next.kind == "end":
            self.fail("something is missing at the end")
        if self.next.text == "?":
            self.fail(_REFUSED["parameter"].format("?"))
        reason = _INSTEAD.get(self.next.word, "is not expected there")
        self.fail(f"{self.written(self.next)} {reason}")

    def written(self, part: Part | Token) -> str:
        text = self.text[part.start : part.end] or "the end"
        return text if len(text) <= 40 else text[:39] + "…"

    # Tokens

    def divide(self) -> None:
        """Divides the text into tokens."""
        for match in _TOKENS.finditer(self.text):
            kind, text = match.lastgroup or "", match[0]
            if kind in {"string", "quoted"}:
                text = text[1:-1].replace(text[0] * 2, text[0])
            token = Token(kind, text.lower() if kind == "name" else text, *match.span())
            if kind in _REFUSED:
                repaired = "" if kind in {"comment", "semicolon"} else None
                self.note(_REFUSED[kind].format(text), token, repaired)
                raise _Stop
            if kind != "space":
                self.tokens.append(token)
        self.tokens.append(Token("end", "", len(self.text), len(self.text)))

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.next
        self.position += token.kind != "end"
        return token

    def accept(self, *words: str) -> bool:
        """Takes the next word if it is one of these."""
        found = self.next.word in words
        self.position += found
        return found

    def expect(self, *words: str) -> None:
        """Takes these words, which have to come next."""
        for word in words:
            if not self.accept(word):
                self.fail(f"{word.upper()} is expected instead of {self.written(self.next)}")

    # Expressions

    def result(self, kind: str, parts: Sequence[Part], start: int | None = None) -> Part:
        """What the parts make, from the start, or that of the first, to the last token taken."""
        first = parts[0].start if start is None else start
        end = self.tokens[self.position - 1].end
        return Part(kind, first, end, all(part.constant for part in parts))

    def expression(self, power: int = 0) -> Part:
        """Reads what binds more tightly than the power."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} levels deep")
        left, last = self.operand(), 0
        while (binding := self.binding()) > power:
            if binding == last and binding in _NOT_ASSOCIATIVE:
                self.fail(f"'{self.next.text}' after another comparison needs parentheses")
            left, last = self.combine(left, binding), binding
        self.depth -= 1
        return left

    def expressions(self, end: str) -> list[Part]:
        """Reads a list, and the word that ends it."""
        parts = [self.expression()]
        while self.accept(","):
            parts.append(self.expression())
        self.expect(end)
        return parts

    def binding(self) -> int:
        """How tightly the next word binds what stands before it; 0 if it does not."""
        word = self.next.word
        if word == "not":
            return MEMBERSHIP * (BINDING.get(self.peek().word) == MEMBERSHIP)
        return BINDING.get(word, OTHER * (self.next.kind == "operator"))

    def combine(self, left: Part, binding: int) -> Part:
        """Reads an operator and what follows it."""
        negated = self.accept("not")
        match word := self.take().word:
            case "isnull" | "notnull":
                return self.result("boolean", [left])
            case "is":
                return self.test(left)
            case "in":
                return self.membership(left, "<>" if negated else "=")
            case "between":
                return self.between(left)
            case "like" | "ilike" | "similar":
                return self.like(word, left)
            case "at":
                self.expect("time", "zone")
                zone = self.expression(AT)
                if zone.type not in {LITERAL, UNKNOWN}:
                    zone = self.note("the name of a time zone is expected in quotes: 'UTC'", zone)
                return self.apply(word, [left, zone])
            case "::":
                return self.cast(left, self.type_name())
            case "==":
                self.note("equality is written =", self.tokens[self.position - 1], "=")
                word = "="
        if self.next.word in {"any", "some", "all"} and binding not in {AND, OR}:
            return self.array_operation(word, left)
        return self.apply(word, [left, self.expression(binding)])

    def operand(self) -> Part:
        """Reads what can stand before or after an operator."""
        token, word, after = self.next, self.next.word, self.peek().word
        match word:
            case "(":
                return self.parenthesised()
            case "+" | "-":
                return self.signed()
            case "not":
                self.take()
                return self.apply("not", [self.expression(NOT)], token.start)
            case "case":
                return self.case()
            case "array":
                return self.array()
            case "cast" if after == "(":
                return self.written_cast()
            case "null" | "true" | "false":
                self.take()
                return Part(NULL if word == "null" else "boolean", token.start, token.end)
        if token.kind == "string":
            self.take()
            return Part(LITERAL, token.start, token.end, literal=token.text)
        if token.kind == "number":
            return self.number()
        if word in _QUERIES and (word in POSTGRESQL_RESERVED or after == "("):
            self.fail("a subquery cannot stand in an index's condition")
        if self.peek(self.type_ahead()[0]).kind == "string":
            return self.typed_literal()
        if token.kind not in {"name", "quoted"}:
            self.unexpected()
        if after == "(" and (word not in POSTGRESQL_RESERVED or word in immutable.SIGNATURES):
            return self.call()
        return self.column()

    def number(self) -> Part:
        token = self.take()
        if len(token.text) > 60 or re.search(r"[eE][+-]?\d{3}", token.text):
            self.fail("a number of at most 60 characters, below 1e100, is expected")
        kind = next(kind for kind in NUMBERS if immutable.READERS[kind](token.text))
        return Part(kind, token.start, token.end, literal=token.text)

    def signed(self) -> Part:
        token = self.take()
        operand = self.expression(SIGN)
        if operand.constant and operand.type in {*NUMBERS, "interval" * (token.text == "-")}:
            return operand._replace(start=token.start)
        return self.apply(token.text, [operand], token.start)

    def parenthesised(self) -> Part:
        start = self.take().start
        inner = self.expression()
        if self.next.word == ",":
            self.fail("comparisons of rows are not supported: compare column by column")
        if self.next.kind == "end":
            self.fail("a parenthesis is not closed")
        self.expect(")")
        return inner._replace(start=start, end=self.tokens[self.position - 1].end)

    def column(self) -> Part:
        token = self.take()
        name = token.text
        if self.next.word == "." and self.peek().kind in {"name", "quoted"}:
            self.take()
            table = Part(UNKNOWN, token.start, self.next.start)
            self.column()
            return self.note("a column is written without the table's name", table, "")
        if token.word in immutable.CHANGING and name not in self.columns:
            return self.note(f"{name} is not immutable: it changes, and the index does not", token)
        if token.word in POSTGRESQL_RESERVED:
            self.position -= 1
            self.unexpected()
        if name in self.columns:
            kind, _, limits = self.columns[name].partition("(")
            shape, _, srid = limits.rstrip(")").partition(",")
            return Part(
                kind,
                token.start,
                token.end,
                constant=False,
                srid=int(srid) if srid else None,
                shape=shape,
            )
        if name in SYSTEM_COLUMNS:
            return self.note(f"{name} is a system column of PostgreSQL", token)
        nearest = difflib.get_close_matches(name[:63], self.columns, 1)
        if token.kind == "quoted" and self.is_value():
            # In a condition of another language it would be a text.
            text = "'" + name.replace("'", "''") + "'"
            return self.note(
                f"{self.written(token)} is a column's name: a text is '…'", token, text
            )
        if token.kind == "name" and self.is_value() and not nearest:
            reason = f"the table has no column '{name}': a text is '{name}', and a shell keeps its quotes within \"…\""
            return self.note(reason, token, f"'{self.written(token)}'")
        return self.note(f"the table has no column '{name}'", token, *nearest)

    def is_value(self) -> bool:
        """Whether the word that was taken last stands where a condition has a value."""
        before = self.peek(-2).word if self.position > 1 else ""
        return before in {*COMPARISONS, "==", ",", "like", "ilike", "between"} or (
            before == "(" and self.position > 2 and self.peek(-3).word == "in"
        )

    # Types

    def require(self, part: Part, kind: str, by: str) -> bool:
        """Whether a part can stand for the type that something needs; notes it if it cannot."""
        if UNKNOWN in {part.type, kind} or part.type == NULL or converts(part.type, kind):
            return True
        written = self.written(part)
        if part.type != LITERAL:
            self.note(f"{written} is of type {part.type}, {by} needs {kind}", part)
        elif kind not in immutable.READERS:
            self.note(f"{written} is not supported as {kind}", part)
        elif immutable.READERS[kind](part.literal):
            return True
        elif kind == "time zone":
            near = difflib.get_close_matches(part.literal[:40], immutable.TIME_ZONES, 1)
            reason = f"{written} is no time zone of the IANA's database, such as 'Europe/Berlin'"
            self.note(reason, part, *(f"'{name}'" for name in near))
        elif part.literal.strip().lower() in {"now", "today", "tomorrow", "yesterday"}:
            self.note(f"{written} would mean the moment when the index is made", part)
        else:
            self.note(f"{written} cannot be read as {kind}", part)
        return False

    def united(self, parts: Sequence[Part], by: str, place: Part) -> Part:
        """The place, with the type that all the parts are converted to."""
        types = {part.type for part in parts}
        kind = immutable.common_type(types)
        if kind is None:
            self.note(f"{by} needs values of one type, not {' and '.join(sorted(types))}", parts[0])
            return place
        fits = [self.require(part, kind, by) for part in parts]
        if not all(fits) or kind not in SPATIAL:
            return place._replace(type=kind if all(fits) else UNKNOWN)
        return self.placed(by, parts, [kind] * len(parts), place._replace(type=kind))

    def type_ahead(self) -> tuple[int, str]:
        """How many of the next words are the name of a type, and which type it is."""
        for count in (4, 2, 1):
            name = " ".join(self.peek(ahead).word for ahead in range(count))
            if name in immutable.TYPES:
                return count, immutable.TYPES[name]
        return 0, UNKNOWN

    def type_name(self) -> str:
        """Reads the name of a type."""
        count, kind = self.type_ahead()
        if not count:
            self.fail(f"the type {self.written(self.next)} is not supported")
        self.position += count
        if kind == "text" and self.peek(-1).word in {"varchar", "varying"} and self.accept("("):
            length = self.take().text
            if not re.fullmatch(r"[1-9]\d{0,6}", length):
                self.fail("a length from 1 on is expected")
            self.expect(")")
        elif self.next.word == "(":
            self.fail(f"limits of {kind} are not supported: write the type without parentheses")
        if self.accept("["):
            self.expect("]")
            return f"{kind}[]"
        return kind

    def typed_literal(self) -> Part:
        """Reads a literal that begins with its type: DATE '2020-01-31'."""
        start, kind = self.next.start, self.type_name()
        return self.cast(self.operand(), kind)._replace(start=start)

    def written_cast(self) -> Part:
        start = self.take().start
        self.expect("(")
        operand = self.expression()
        self.expect("as")
        kind = self.type_name()
        self.expect(")")
        return self.cast(operand, kind)._replace(start=start)

    def cast(self, operand: Part, kind: str) -> Part:
        source = operand.type
        place = self.result(kind, [operand])
        if source in {LITERAL, NULL, UNKNOWN}:
            known = source != UNKNOWN and self.require(operand, kind, "the cast")
            if not known:
                return place._replace(type=UNKNOWN, constant=False)
            return self.located(place, operand) if source == LITERAL else place
        if converts(source, kind):
            return place._replace(srid=operand.srid, shape=operand.shape)
        if {source, kind} == SPATIAL:
            return self.located(place, operand)
        if kind in immutable.CASTS.get(source, "").split(", "):
            if not operand.constant:
                return place
            return self.note("a constant is cast: write its value in the other type", place)
        if not {source, kind} <= immutable.TIMES | {"text"}:
            return self.note(f"no cast from {source} to {kind} is supported", place)
        advice = ": convert it AT TIME ZONE 'UTC' first" * (source == "timestamptz")
        reason = f"it depends on the session's time zone or date style{advice}"
        return self.note(f"{source} to {kind} is not immutable, {reason}", place)

    # Operators and functions

    def apply(self, name: str, parts: Sequence[Part], start: int | None = None) -> Part:
        """What an operator or function gives for these arguments, as PostgreSQL would choose it."""
        given = [part.type for part in parts]
        place = self.result(UNKNOWN, parts, start)
        if NULL in given and name in COMPARISONS:
            return self.null_comparison(name, parts, place)
        if name in {"/", "%", "mod"} and re.fullmatch("[0.]+", parts[-1].literal):
            return self.note("divides by zero", place)
        if name == "split_part" and parts[-1].literal == "0":
            return self.note("the parts are numbered from 1", parts[-1])
        if name in {"substr", "substring"} and self.written(parts[-1]).startswith("-"):
            return self.note("a length cannot be negative", parts[-1])

        def takes(kind: str, source: str) -> bool:
            # A literal is read as text or as the type of another argument.
            literal = source in {LITERAL, NULL}
            return kind in {*immutable.TEXTS, *given} if literal else converts(source, kind)

        signatures = immutable.SIGNATURES.get(name, [])
        possible = [each for each in signatures if len(each[0]) == len(given)]
        if UNKNOWN in given and possible:
            return place._replace(constant=False)
        fitting = [each for each in possible if all(map(takes, each[0], given))]
        if not fitting and (len(possible) != 1 or name in immutable.CHANGING):
            return self.mismatch(name, parts, place)
        types, kind = max(
            fitting or possible, key=lambda each: sum(map(str.__eq__, each[0], given))
        )
        by = name.upper() if name in POSTGRESQL_RESERVED else name
        fits = [self.require(part, each, by) for part, each in zip(parts, types, strict=True)]
        if not all(fits):
            return place._replace(constant=False)
        if place.constant and name not in immutable.CONSTANT:
            return self.note(f"{self.written(place)} is constant: write its value", place)
        place = place._replace(type=kind)
        return self.placed(name, parts, types, place) if SPATIAL & {*types, kind} else place

    # Geometries

    def located(self, place: Part, operand: Part) -> Part:
        """The place, with the SRID and the geometry's type that the operand gives it."""
        srid, shape = operand.srid, operand.shape
        if operand.type == LITERAL:
            srid, shape = immutable.ewkt(operand.literal) or (None, "")
        if place.type == "geography" and srid is not None:
            # PostGIS takes what has no SRID for degrees of WGS 84.
            srid = srid or 4326
            system = crs(srid)
            if system is None or not system.geographic:
                reason = f"{self.written(operand)} has SRID {srid}, geography is of degrees"
                return self.note(reason, place)
        return place._replace(srid=srid, shape=shape)

    def placed(self, name: str, parts: Sequence[Part], types: Sequence[str], place: Part) -> Part:
        """The place, if PostGIS takes these geometries, with the SRID and the type of its own."""
        parts = [
            self.located(part._replace(type=kind), part) if part.type == LITERAL else part
            for part, kind in zip(parts, types, strict=True)
        ]
        first, last = parts[0], parts[-1]
        if (needed := immutable.NEEDED_SHAPES.get(name)) and first.shape != needed:
            reason = f"{name} takes a {needed} alone, and {self.written(first)} may be another"
            centre = f"ST_Centroid({self.text[first.start : first.end]})"
            return self.note(reason, first, centre if needed == "POINT" else None)
        spatial = [part for part in parts if part.type in SPATIAL and part.srid is not None]
        if len({part.srid for part in spatial}) > 1:
            return self.mixed_srids(spatial, place)
        if place.type not in SPATIAL:
            return place
        srid, shape = first.srid, immutable.SHAPES.get(name) or first.shape
        if types[0] not in SPATIAL:
            srid, shape = 0, shape or (immutable.ewkt(first.literal) or (0, ""))[1]
        if name in immutable.GIVE_SRID and types[-1] == "integer":
            number = self.text[last.start : last.end].strip("( )'")
            if not number.isdecimal():
                return self.note("the SRID is to be written as a number", last)
            srid = int(number)
        return place._replace(srid=srid, shape=shape)

    def mixed_srids(self, parts: Sequence[Part], place: Part) -> Part:
        """Notes that PostGIS would refuse to compare, and gives its SRID to a part without one."""
        listed = ", ".join(f"{self.written(part)} has SRID {part.srid}" for part in parts)
        reason = f"PostGIS refuses geometries of different SRIDs: {listed}"
        srid = max(part.srid or 0 for part in parts)
        for part in parts:
            if part.srid == 0 and part.constant:
                text = self.text[part.start : part.end]
                self.note(reason, part, f"ST_SetSRID({text}, {srid})")
                return place._replace(type=UNKNOWN, constant=False)
        return self.note(reason, place)

    def null_comparison(self, name: str, parts: Sequence[Part], place: Part) -> Part:
        test = {"=": "IS NULL", "<>": "IS NOT NULL", "!=": "IS NOT NULL"}.get(name)
        left = self.text[parts[0].start : parts[0].end]
        fixed = f"{left} {test}" if test and parts[1].type == NULL else None
        return self.note("nothing equals NULL: write IS NULL or IS NOT NULL", place, fixed)

    def mismatch(self, name: str, parts: Sequence[Part], place: Part) -> Part:
        """Notes that there is no such operator or function, and what was probably meant."""
        types = [part.type for part in parts]
        operator = name in BINDING or not name.isidentifier()
        call = f" {name} ".join(types) if operator else f"{name}({', '.join(types)})"
        if name in immutable.CHANGING or (operator and {*types} <= immutable.TIMES):
            reason = "is not immutable: it depends on the clock, the time zone or a setting"
            return self.note(f"{call} {reason}", place)
        for number, other in (parts, parts[::-1]) if operator and len(parts) == 2 else ():
            written, column = self.text[number.start : number.end], self.written(other)
            if number.type in NUMBERS and number.literal and other.type == "text":
                reason = f"{column} is text, {written} a number: quotes are missing"
                return self.note(reason, number, f"'{written}'")
            if other.type == "boolean" and written in {"0", "1"}:
                truth = "true" if written == "1" else "false"
                return self.note(f"{column} is true or false, not a number", number, truth)
        kind = "operator" if operator else "function"
        if name in immutable.SIGNATURES:
            return self.note(f"no immutable {kind} {call} is known", place)
        return self.note(
            f"the {kind} {name} is none of the immutable ones that are supported", place
        )

    def array_operation(self, operator: str, left: Part) -> Part:
        """Reads ANY (…) or ALL (…) after an operator."""
        self.take()
        self.expect("(")
        right = self.expression()
        self.expect(")")
        if operator in immutable.PATTERNS:
            return self.note(_PATTERN_LIST, right)
        if right.type == LITERAL:
            if left.type == UNKNOWN:
                return right._replace(type=UNKNOWN, constant=False)
            kind = f"{left.type}[]"
            if not self.require(right, kind, "ANY or ALL"):
                return right._replace(type=UNKNOWN, constant=False)
            right = right._replace(type=kind)
        if right.type and not right.type.endswith("[]"):
            return self.note("an array is expected: ARRAY['a', 'b']", right)
        element = right._replace(type=right.type.removesuffix("[]"), literal="")
        result = self.apply(operator, [left, element])
        self.require(result, "boolean", "ANY or ALL")
        return result

    def test(self, left: Part) -> Part:
        """Reads what follows IS."""
        self.accept("not")
        if self.accept("distinct"):
            self.expect("from")
            right = self.expression(IS)
            if NULL not in {left.type, right.type}:
                self.apply("=", [left, right])
            return self.result("boolean", [left, right])
        if self.accept("true", "false", "unknown"):
            self.require(left, "boolean", "IS TRUE, FALSE or UNKNOWN")
        elif not self.accept("null"):
            self.fail("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM is expected after IS")
        return self.result("boolean", [left])

    def membership(self, left: Part, operator: str) -> Part:
        self.expect("(")
        members = self.expressions(")")
        if left.type == LITERAL:
            return self.note("the column comes before IN, the values after it", left)
        for member in members:
            if member.type == NULL:
                self.note("IN never finds NULL: write IS NULL as well", member)
            else:
                self.apply(operator, [left, member])
        return self.result("boolean", [left, *members])

    def between(self, left: Part) -> Part:
        self.accept("symmetric", "asymmetric")
        first = self.position
        low = self.expression(MEMBERSHIP)
        words = {token.word for token in self.tokens[first : self.position]}
        if words & {"not", "at"} and self.tokens[first].word != "(":
            self.fail("what follows BETWEEN needs parentheses")
        self.expect("and")
        high = self.expression(MEMBERSHIP)
        for limit in (low, high):
            self.apply(">=", [left, limit])
        return self.result("boolean", [left, low, high])

    def like(self, word: str, left: Part) -> Part:
        if word == "similar":
            self.expect("to")
        if self.next.word in {"any", "some", "all"}:
            self.fail(_PATTERN_LIST)
        parts = [left, self.expression(MEMBERSHIP)]
        if self.accept("escape"):
            parts.append(self.expression(MEMBERSHIP))
        return self.apply(word, parts)

    def call(self) -> Part:
        token = self.take()
        name = token.text
        if name in immutable.NO_VALUES:
            self.fail(f"{name} is {immutable.NO_VALUES[name]}")
        self.expect("(")
        parts: list[Part] = []
        if name == "extract":
            field = self.take()
            self.expect("from")
            parts.append(Part(LITERAL, field.start, field.end, literal=field.text))
        if name == "substring":
            parts += self.substring()
        elif parts or not self.accept(")"):
            parts += self.expressions(")")
        if name not in immutable.UNITING:
            return self.apply(name, parts, token.start)
        if len(parts) < 2 or (name == "nullif" and len(parts) > 2):
            self.fail(f"{name} takes two arguments{' or more' * (name != 'nullif')}")
        place = self.united(parts, name, self.result(UNKNOWN, parts, token.start))
        if place.constant or (name == "coalesce" and parts[0].constant):
            return self.note(f"{self.written(place)} is constant: write its value", place)
        return place

    def substring(self) -> list[Part]:
        """Reads x, 1, 2) or x FROM 1 FOR 2)."""
        parts = [self.expression()]
        if self.next.word not in {"from", "for"}:
            self.expect(",")
            return parts + self.expressions(")")
        for word in ("from", "for"):
            if self.accept(word):
                parts.append(self.expression())
        self.expect(")")
        return parts

    def array(self) -> Part:
        start = self.take().start
        self.expect("[")
        members = self.expressions("]")
        place = self.united(members, "ARRAY", self.result(UNKNOWN, members, start))
        return place._replace(type=place.type and f"{place.type}[]")

    def case(self) -> Part:
        start = self.take().start
        parts = [] if self.next.word == "when" else [self.expression()]
        subject = parts[:1]
        results: list[Part] = []
        while self.next.word == "when" or not results:
            self.expect("when")
            parts.append(self.expression())
            if subject:
                self.apply("=", [*subject, parts[-1]])
            else:
                self.require(parts[-1], "boolean", "WHEN")
            if parts[0 if subject else -1].constant:
                self.note("a constant decides nothing: CASE needs a column", parts[-1])
            self.expect("then")
            results.append(self.expression())
        if self.accept("else"):
            results.append(self.expression())
        self.expect("end")
        return self.united(results, "CASE", self.result(UNKNOWN, [*parts, *results], start))
