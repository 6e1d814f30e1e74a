"""The proof that a rendered project works: what is run of every variant, and of every preset."""

import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rendering import WrongParameters, render
from variants import Variant

#: The commands of each step, in the project's folder, with a database that is empty when the first begins.
STEPS = {
    "lint": ("-m ruff check .", "-m ruff format --check --diff ."),
    "types": ("-m mypy",),
    "database": (
        "-m {package} migrate",
        "-m alembic check",
        "-m {package} check --database",
        "-m alembic downgrade base",
        "-m {package} migrate",
    ),
    "tests": ("-m pytest -q -p no:cacheprovider {without}",),
}


def prove(
    variant: Variant, folder: Path, server: Any, mypy_cache: Path
) -> Iterator[tuple[str, float]]:
    """Render a variant and run every step; the name and the seconds of each that has passed.

    Raises:
        AssertionError: A step failed; the message has what it printed, and how to have the same by hand.
    """
    without = " ".join(f"--ignore=tests/test_{name}.py" for name in variant.left_out)
    if variant.left_out:
        # Nor are services started as processes, which wait for seconds.
        without += ' -m "not process"'
    began = time.perf_counter()
    try:
        project = render(folder, variant.parameters)
    except WrongParameters as error:
        raise AssertionError(f"{variant.name}: the step render failed:\n{error}") from None
    yield "render", time.perf_counter() - began
    with server.database() as url:
        environment = {
            "DATABASE_URL": url,
            "TEST_DATABASE_URL": server.url,
            "MYPY_CACHE_DIR": str(mypy_cache),
            # The plugins that are installed here are those of the template's tests.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        for step, templates in STEPS.items():
            began = time.perf_counter()
            commands = [
                template.format(package=project.package, without=without) for template in templates
            ]
            for number, command in enumerate(commands, 1):
                run = project.python(*shlex.split(command), **environment)
                if run.code:
                    how = by_hand(variant, project.path.name, commands[:number])
                    raise AssertionError(
                        f"{variant.name}: the step {step} failed, in {project.path}:\n{run}\n{how}"
                    )
            yield step, time.perf_counter() - began


def by_hand(variant: Variant, slug: str, commands: list[str]) -> str:
    """What to type in the template's folder for the same."""
    given = [f"{name}={value}" for name, value in variant.parameters.items()]
    options = ["--no-input", "--default-config", "--overwrite-if-exists", "--output-dir", "build"]
    python = os.path.relpath(".venv/bin/python", f"build/{slug}")
    steps = " && ".join(f"{python} {command}" for command in commands)
    return "\n".join(
        [
            "To have the same by hand:",
            shlex.join([".venv/bin/cookiecutter", ".", *options, *given]),
            f"cd build/{slug} && export PYTHONPATH=src",
            f"{python} tools/postgis.py run -- sh -c '{steps}'",
        ]
    )
