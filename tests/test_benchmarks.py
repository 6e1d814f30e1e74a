"""The benchmark of what each mechanism gives replaces it in the source: what it replaces is there."""

import ast
import shutil
import sys
from pathlib import Path

import pytest
from rendering import TEMPLATE

sys.path.append(str(TEMPLATE / "benchmarks"))
from mechanisms import MECHANISMS, Mechanism

GEOTABLES = TEMPLATE / "{{cookiecutter.project_slug}}/src/geotables"


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda each: each.name)
def test_a_mechanism_is_where_the_benchmark_replaces_it(
    mechanism: Mechanism, tmp_path: Path
) -> None:
    copy = tmp_path / mechanism.file
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(GEOTABLES / mechanism.file, copy)

    mechanism.undo(tmp_path)

    ast.parse(copy.read_text(encoding="utf-8"))
    assert copy.read_text(encoding="utf-8") != (GEOTABLES / mechanism.file).read_text("utf-8")
