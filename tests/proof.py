"""The proof that a rendered project works: what is run of every variant, and of every preset."""

import os
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rendering import WrongParameters, render
from variants import FILES, Variant

#: A plugin of pytest, for variants that do not run their whole suite.
SHARE = '''
def pytest_addoption(parser):
    parser.addoption("--once", action="append", default=[], help="a file to run without what is about a collection")


def pytest_collection_modifyitems(config, items):
    """Deselect of those files what is about a collection; without any, of tests/geotables what is about none."""
    files = {config.rootpath / file for file in config.getoption("once")}
    folder = config.rootpath / "tests" / "geotables"

    def is_left(item):
        is_about_one = hasattr(item, "callspec") and "collection" in item.callspec.params
        if files:
            return is_about_one and item.path in files
        return not is_about_one and folder in item.path.parents

    left = [item for item in items if is_left(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not is_left(item)]
'''

#: The commands of each step, in the project's folder, with a database that is empty when the first begins.
STEPS = {
    "lint": ("-m ruff check --output-format concise .", "-m ruff format --check --diff ."),
    "types": ("-m mypy",),
    "database": (
        "-m {package} migrate",
        "-m alembic check",
        "-m {package} check --database",
        "-m alembic downgrade base",
        "-m {package} migrate",
    ),
    "tests": ("-m pytest -q -p no:cacheprovider {share}",),
}


class StepFailed(AssertionError):
    """A step of a variant failed: its name, its seconds, the reason in one line, and all that it printed."""

    def __init__(
        self, variant: Variant, step: str, seconds: float, reason: str, details: str
    ) -> None:
        super().__init__(masked(f"{variant.name}: the step {step} failed: {reason}\n{details}"))
        self.step, self.seconds, self.reason = step, seconds, masked(reason)


def prove(
    variant: Variant, folder: Path, server: Any, mypy_cache: Path
) -> Iterator[tuple[str, float]]:
    """Render a variant and run every step; the name and the seconds of each that has passed.

    Raises:
        StepFailed: The message has what the step printed, and how to have the same by hand.
    """
    share = arguments(variant)
    began = time.perf_counter()
    try:
        project = render(folder, variant.parameters)
    except WrongParameters as error:
        seconds, (first, *_) = time.perf_counter() - began, f"{error}".splitlines()
        raise StepFailed(variant, "render", seconds, first, f"{error}") from None
    yield "render", time.perf_counter() - began
    with server.database() as url:
        environment = {
            "DATABASE_URL": url,
            "TEST_DATABASE_URL": server.url,
            "MYPY_CACHE_DIR": str(mypy_cache),
            # The plugins that are installed here are those of the template's tests.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": with_plugin(folder),
        }
        for step, templates in STEPS.items():
            began = time.perf_counter()
            commands = [
                template.format(package=project.package, share=share) for template in templates
            ]
            for number, command in enumerate(commands, 1):
                run = project.python(*shlex.split(command), **environment)
                if run.code:
                    how = by_hand(variant, project.path.name, commands[:number])
                    details = f"in {project.path}:\n{run}\n{how}"
                    seconds = time.perf_counter() - began
                    raise StepFailed(variant, step, seconds, reason(run.output), details)
            yield step, time.perf_counter() - began


def reason(output: str) -> str:
    """The line of a failed command's output that says why: of pytest's summary, of a linter's errors, or the last one."""
    for pattern in (r"^(?:FAILED|ERROR) .*", r"(?i)^.*\berror: .*", r"^\S+:\d+:\d+: .*"):
        if found := re.search(pattern, output, re.MULTILINE):
            return found[0].strip()
    return next(iter(reversed(output.strip().splitlines())), "it printed nothing")


def masked(text: str) -> str:
    """A text without the passwords of URLs and of the servers that the environment names."""
    text = re.sub(r"(?<=://)([^\s/@:\'\"]*):[^\s@]+@", r"\1:***@", text)
    for name in ("DATABASE_URL", "TEST_DATABASE_URL"):
        try:
            url = urlsplit(os.environ.get(name, ""))
        except ValueError:
            continue
        password = url.password or ""
        # A password that is the name of the user tells nothing; masked, the word would be missing everywhere.
        for spelling in {password, unquote(password)} - {"", url.username}:
            text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", "***", text)
    return text


def arguments(variant: Variant) -> str:
    """What pytest is told to run of a variant's suite."""
    share = ["-p share"] if variant.left_out else []
    option = "once" if variant.once else "ignore"
    share += [f"--{option}={FILES[name]}" for name in variant.left_out]
    return " ".join(share if variant.processes else [*share, '-m "not process"'])


def with_plugin(folder: Path) -> str:
    """The PYTHONPATH of a rendered project, with the plugin in a folder below this one."""
    plugins = folder / "plugins"
    plugins.mkdir(exist_ok=True)
    (plugins / "share.py").write_text(SHARE, encoding="utf-8")
    return f"src{os.pathsep}{plugins}"


def by_hand(variant: Variant, slug: str, commands: list[str]) -> str:
    """What to type in the template's folder for the same."""
    given = [f"{name}={value}" for name, value in variant.parameters.items()]
    options = ["--no-input", "--default-config", "--overwrite-if-exists", "--output-dir", "build"]
    python = os.path.relpath(".venv/bin/python", f"build/{slug}")
    # The plugin is here alone: by hand, those tests run, too.
    steps = " && ".join(f"{python} {command}" for command in commands)
    steps = re.sub(r"-p share |--once=\S+ ?", "", steps)
    return "\n".join(
        [
            "To have the same by hand:",
            shlex.join([".venv/bin/cookiecutter", ".", *options, *given]),
            f"cd build/{slug} && export PYTHONPATH=src",
            f"{python} tools/postgis.py run -- sh -c '{steps}'",
        ]
    )
