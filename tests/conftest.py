"""What the tests share: renderings of the template, and a PostGIS."""

import fcntl
import html
import importlib.util
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
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
    parser.addoption("--presets", type=Path, help="prove the presets of this YAML file")
    parser.addoption("--preset", help="of these the one of this name alone")
    parser.addoption(
        "--changed", help="those that render otherwise than at this commit of the template"
    )
    parser.addoption("--presets-changed", help="or than at this commit of the file's repository")
    parser.addoption("--summary", type=Path, help="write the results as Markdown to this file")


CHOSEN = pytest.StashKey[Sequence[Variant]]()
#: Why presets are not proved, by their names.
SKIPPED = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    # Bytecode in the template would be rendered.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    # A job in the background ignores Ctrl-C, and so would all that the tests run and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The server to test on; what the tests run takes DATABASE_URL for a service's own database.
    if url := os.environ.pop("DATABASE_URL", ""):
        os.environ.setdefault("TEST_DATABASE_URL", url)
    config.stash[CHOSEN], config.stash[SKIPPED] = VARIANTS, {}
    if config.getoption("presets") is None:
        if any(map(config.getoption, ("preset", "changed", "presets_changed"))):
            raise pytest.UsageError("of which presets? PRESETS=FILE names them")
        return
    try:
        # The processes of pytest-xdist are told what the first one has found.
        worker = getattr(config, "workerinput", None)
        chosen = json.loads(worker["presets"]) if worker else _chosen(config)
    except presets.WrongPresets as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[CHOSEN] = [Variant(name, parameters) for name, parameters in chosen.items()]


def _chosen(config: pytest.Config) -> presets.Presets:
    file = config.getoption("presets")
    chosen = presets.load(file)
    if (name := config.getoption("preset")) and name not in chosen:
        raise presets.WrongPresets(f"no preset is called {name}; they are {', '.join(chosen)}")
    if name:
        chosen = {name: chosen[name]}
    commit, presets_commit = config.getoption("changed"), config.getoption("presets_changed")
    if not (commit or presets_commit):
        return chosen
    if not presets_commit and presets.is_of_the_template(file):
        presets_commit = commit
    before = presets.load_at(file, presets_commit) if presets_commit else chosen
    with tempfile.TemporaryDirectory() as folder:
        files = presets.changed(chosen, before, commit, Path(folder))
    when = " and ".join(dict.fromkeys(filter(None, (commit, presets_commit))))
    for name, differing in files.items():
        if differing:
            print(f"{name}: {len(differing)} files render otherwise than at {when}")
        else:
            config.stash[SKIPPED][name] = f"skipped: it renders as at {when}"
            if not presets_commit:
                config.stash[SKIPPED][name] += (
                    f"; whether {file.name} has changed is seen with PRESETS_CHANGED"
                )
            print(f"{name}: {config.stash[SKIPPED][name]}")
    return {name: given for name, given in chosen.items() if name not in config.stash[SKIPPED]}


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    chosen = node.config.stash[CHOSEN]
    node.workerinput["presets"] = json.dumps({each.name: dict(each.parameters) for each in chosen})


def pytest_sessionfinish(session: pytest.Session) -> None:
    # There was nothing to prove, which is no failure.
    if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash[SKIPPED]:
        session.exitstatus = pytest.ExitCode.OK


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep passwords out of what is printed and written of a test."""
    report = yield
    text = str(report.longrepr or "")
    if (masked := proof.masked(text)) != text:
        report.longrepr = masked
    report.sections = [(name, proof.masked(section)) for name, section in report.sections]
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: of what comes last, each process has some until the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table of the variants: the seconds of each step that has passed, and why one failed."""
    config = terminalreporter.config
    reports = [
        report
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.getreports(outcome)
        if "test_variant[" in report.nodeid and (report.when == "call" or report.failed)
    ]
    skipped = config.stash[SKIPPED]
    if not reports and not skipped:
        return
    steps = ("render", *proof.STEPS)
    head = ("", "", *steps, "all", "")
    rows = [_row(report, steps) for report in sorted(reports, key=lambda report: report.nodeid)]
    rows += [(name, "skipped", *[""] * len(steps), "", reason) for name, reason in skipped.items()]
    terminalreporter.section(
        "variants: seconds of each step, and why it failed, or the tests left out"
    )
    for name, outcome, *columns, reason in (head, *rows):
        seconds = "".join(f"{column:>9}" for column in columns)
        terminalreporter.line(f"{name:<55.55} {outcome:<7}{seconds}  {reason}".rstrip())
    if file := config.getoption("summary"):
        file.parent.mkdir(parents=True, exist_ok=True)
        head = ("preset", "result", *steps, "all", "reason")
        lines = [head, ["---"] * len(head), *rows]
        text = "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)
        file.write_text(f"{text}\n", encoding="utf-8")


def _row(report: pytest.TestReport, steps: Sequence[str]) -> tuple[str, ...]:
    values = dict(report.user_properties)
    name = report.nodeid.partition("[")[2].removesuffix("]")
    columns = [values.get(step, "") for step in steps]
    # The first step that has no seconds is the one that failed; before the first, what all need.
    if report.failed and report.when == "call" and "" in columns:
        columns[columns.index("")] = "failed"
    reason = values.get("reason" if report.failed else "left out", "")
    if report.failed and not reason:
        text = str(report.longrepr)
        found = re.search(r"^E +(.*)", text, re.MULTILINE)
        reason = found[1] if found else text.strip().partition("\n")[0]
    return name, report.outcome, *columns, f"{report.duration:.1f}", reason


def _cell(text: str) -> str:
    """A cell of a Markdown table."""
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


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
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def server(postgis: ModuleType, worker_id: str) -> Iterator[Any]:
    """A server with PostGIS, shared by all processes of the tests; without one there is nothing to test."""
    try:
        with postgis.server() as server:
            yield server
    except postgis.PostgisUnavailable as error:
        reason = f"the tests need PostGIS: {error}"
        if worker_id == "master":
            pytest.exit(reason, returncode=1)
        # pytest-xdist takes a process that exits for a crash of its own.
        raise pytest.fail.Exception(reason, pytrace=False) from None


@pytest.fixture
def database_url(server: Any) -> Iterator[str]:
    """An empty database with PostGIS."""
    with server.database() as url:
        yield url


@pytest.fixture(scope="session")
def mypy_cache(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy remembers of the libraries, for all variants; of each worker its own, of which one is made and the others are copies."""
    folder = TEMPLATE / "build" / "mypy"
    folder.mkdir(parents=True, exist_ok=True)
    own, first = folder / worker_id, folder / "first"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not first.exists():
            # What it finds wrong is told of the variants.
            project = rendering.render(tmp_path_factory.mktemp("typed"), {})
            project.python("-m", "mypy", MYPY_CACHE_DIR=str(first))
    if not own.exists():
        shutil.copytree(first, own)
    return own
