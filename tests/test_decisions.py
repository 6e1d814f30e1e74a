"""The documents of decisions: each decision has an id and names its files, which are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Bake
from rendering import TEMPLATE


def entries(document: str) -> Iterator[tuple[str, list[str]]]:
    """The id of each decision, with the files that it names."""
    for entry in re.split(r"^(?=\*\*)", document, flags=re.MULTILINE)[1:]:
        head = re.match(r"\*\*([A-Z]\d+)\. ", entry)
        assert head, f"a decision without an id: {entry[:60]}"
        line = re.search(r"^Files: (.+)$", entry, re.MULTILINE)
        assert line, f"{head[1]} names no files"
        yield head[1], re.findall(r"`([^`]+)`", line[1])


def assert_files_are_there(document: str, root: Path) -> None:
    decisions = list(entries(document))
    ids = [id for id, _ in decisions]
    assert len(ids) > 5
    assert len(set(ids)) == len(ids)
    missing = {
        id: [file for file in files if not (root / file).is_file()] for id, files in decisions
    }
    assert {id: files for id, files in missing.items() if files} == {}
    assert all(files for _, files in decisions)


@pytest.mark.parametrize("parameters", [{}, {"auth": "none", "ci": "none", "deployment": "none"}])
def test_decisions_of_a_project_name_its_files(bake: Bake, parameters: dict[str, str]) -> None:
    project = bake(**parameters)
    assert_files_are_there(project.files["docs/decisions.md"], project.path)


def test_decisions_of_the_template_name_its_files() -> None:
    document = (TEMPLATE / "docs/decisions.md").read_text(encoding="utf-8")
    assert_files_are_there(document, TEMPLATE)
