"""What the tests share: renderings of the template, and a PostGIS."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import presets
import proof
import pytest
import rendering
from rendering import TEMPLATE, Project
from variants import VARIANTS, Variant

Bake = Callable[..., Project]

#: What is put over a rendered project, and runs there.
collect_ignore = ["odd_kinds", "odd_tables"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--presets", type=Path, help="prove the sets of parameters of this YAML file")


CHOSEN = pytest.StashKey[Sequence[Variant]]()


def pytest_configure(config: pytest.Config) -> None:
    # The server to test on; what the tests run takes DATABASE_URL for a service's own database.
    if url := os.environ.pop("DATABASE_URL", ""):
        os.environ.setdefault("TEST_DATABASE_URL", url)
    file = config.getoption("presets")
    try:
        config.stash[CHOSEN] = presets.load(file) if file else VARIANTS
    except presets.WrongPresets as error:
        raise pytest.UsageError(str(error)) from None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table of the variants: the seconds of each step that has passed."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call" and "test_variant[" in report.nodeid
    ]
    if not reports:
        return
    steps = ("render", *proof.STEPS)
    terminalreporter.section("variants: seconds of each step, and the files of tests left out")
    terminalreporter.line(_row("", "", *steps, "all"))
    for report in sorted(reports, key=lambda report: report.nodeid):
        seconds = dict(report.user_properties)
        name = report.nodeid.partition("[")[2].removesuffix("]")
        # The first step that has no seconds is the one that failed.
        columns = [seconds.get(step, "") for step in steps]
        if report.failed and "" in columns:
            columns[columns.index("")] = "failed"
        row = _row(name, report.outcome, *columns, f"{report.duration:.1f}")
        terminalreporter.line(f"{row}  {seconds.get('left out', '')}".rstrip())


def _row(name: str, outcome: str, *columns: str) -> str:
    return f"{name:<55.55} {outcome:<6}" + "".join(f"{column:>9}" for column in columns)


@pytest.fixture
def bake(tmp_path: Path) -> Bake:
    """Render the template with some parameters, without its hooks."""
    return _baker(tmp_path)


@pytest.fixture(scope="module")
def bake_once(tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """The same, for renderings that several tests of a module read and none changes."""
    return _baker(tmp_path_factory.mktemp("baked"))


def _baker(folder: Path) -> Bake:
    def bake(*, hooks: bool = False, **parameters: Any) -> Project:
        number = len(list(folder.iterdir()))
        return rendering.render(folder / f"{number}", parameters, hooks=hooks)

    return bake


@pytest.fixture(scope="session")
def postgis() -> ModuleType:
    """The tools/postgis.py of the rendered projects."""
    file = TEMPLATE / "{{cookiecutter.project_slug}}" / "tools" / "postgis.py"
    spec = importlib.util.spec_from_file_location("postgis", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with pytest.MonkeyPatch.context() as patch:
        # A __pycache__ beside it would be rendered, too.
        patch.setattr(sys, "dont_write_bytecode", True)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def server(postgis: ModuleType) -> Iterator[Any]:
    """A server with PostGIS, shared by all processes of the tests; without one there is nothing to test."""
    try:
        with postgis.server() as server:
            yield server
    except postgis.PostgisUnavailable as error:
        pytest.exit(f"the tests need PostGIS: {error}", returncode=1)


@pytest.fixture
def database_url(server: Any) -> Iterator[str]:
    """An empty database with PostGIS."""
    with server.database() as url:
        yield url


@pytest.fixture(scope="session")
def mypy_cache(worker_id: str) -> Path:
    """What mypy remembers of the libraries, for all variants; of each worker its own."""
    return TEMPLATE / "build" / "mypy" / worker_id
