"""Tables as they are found: each is served, or refused with what to do, and left as it was."""

from collections.abc import Iterator
from typing import Any

import legacy
import pytest
from legacy import LEGACY, Legacy

import adoption


@pytest.fixture(scope="module")
def url(server: Any) -> Iterator[str]:
    """A database with all of them, which tests leave as they found it."""
    with server.database() as url:
        legacy.make(url)
        yield url


@pytest.mark.parametrize("table", LEGACY, ids=lambda table: f"{table.name} {table.key}".strip())
def test_a_table_is_served_or_refused_with_what_to_do(url: str, table: Legacy) -> None:
    answers, findings = adoption.answers(url, table.table, table.key)
    report = "\n".join(
        line
        for finding in findings
        for line in (
            finding.what,
            finding.why,
            *(statement.sql for statement in finding.statements),
        )
    )
    assert any(finding.refused for finding in findings) is not table.served, report
    assert bool(answers) is table.served
    for words in table.says:
        assert words in report
    if table.served:
        assert answers["read_only"] == ("yes" if table.read_only else "no")
