"""geotables is built in layers: a lower one never imports a higher one, and no face imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from rendering import TEMPLATE

SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}" / "src" / "geotables"

#: From below. The parts of a layer do not import one another.
LAYERS = (
    {"crs", "identifiers", "json_numbers"},
    {"context", "column_types", "settings"},
    {"geometry"},
    {"db"},
    {"collection"},
    {"sql", "file_formats"},
    {"http"},
    {"rest", "features", "tiles", "webmap", "ogc", "files"},
    {"service"},
    {"checks"},
    {"commands"},
)
LEVELS = {part: level for level, parts in enumerate(LAYERS) for part in parts}

FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def part_of(path: Path) -> str:
    """The part of geotables that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """The parts that a file imports when it is imported itself or runs; not those that only its annotations name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "geotables":
                yield from ((node.lineno, name.name) for name in node.names)
            elif node.module.startswith("geotables."):
                yield node.lineno, node.module.split(".")[1]


def test_every_part_has_its_layer() -> None:
    assert {part_of(path) for path in FILES} == LEVELS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_point_down(path: Path) -> None:
    own = part_of(path)
    wrong = [
        f"line {line}: {part}"
        for line, part in imported(path)
        if part != own and LEVELS[part] >= LEVELS[own]
    ]
    assert wrong == [], f"{own} may import what is below it"
