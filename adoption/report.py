"""What is said of a relation to who runs `make adopt`: on standard error, in lines that a terminal shows."""

import textwrap
from collections.abc import Iterator, Sequence

from .findings import Finding
from .survey import UNREAD, Survey

WIDTH = 110


def heading(survey: Survey) -> str:
    """Which relation it is, and how much of it was looked at."""
    relation, rows = survey.relation, survey.rows
    where = f"{relation.sql}, a {relation.kind} of the database {relation.server.database}"
    if rows is UNREAD or rows.unknown:
        looked = "its rows were not looked at"
    elif rows.complete and not rows.read:
        looked = "it has no rows"
    elif rows.complete:
        looked = f"all of its {rows.read:,} {'row' if rows.read == 1 else 'rows'} were looked at"
    else:
        about = f" of about {rows.estimate:,}" if rows.estimate else ""
        looked = f"a sample of {rows.read:,} rows{about} was looked at: counts are of the sample"
    return f"{where}: {looked}"


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings, the worst first: those that keep it from being served, and those that do not."""
    said: set[str] = set()
    refused = [each for each in findings if each.refused]
    told = [each for each in findings if not each.refused]
    if refused:
        yield "It cannot be served:"
        for each in refused:
            yield from _lines(each, said)
    if told:
        yield "Besides:" if refused else "It is served as it is. Worth knowing:"
        for each in told:
            yield from _lines(each, said)
    if not findings:
        yield "Nothing is misaligned."


def _lines(finding: Finding, said: set[str]) -> Iterator[str]:
    """A finding; what a statement costs is said once in all."""
    yield from _wrapped(f"{finding.what}.", "- ")
    yield from _wrapped(f"{_sentence(finding.why)}.", "  ")
    for statement in finding.statements:
        # A statement is one line, to be copied.
        yield f"    {statement.sql};"
        lock, _, rest = statement.cost.partition(": ")
        if rest and statement.cost in said:
            yield f"      -- {lock}, as above"
        else:
            yield from _wrapped(statement.cost, "      -- ")
        said.add(statement.cost)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wrapped(text: str, indent: str) -> list[str]:
    later = indent if indent.endswith("-- ") else " " * len(indent)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
