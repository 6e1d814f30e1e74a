"""Python command lines, run in copies of a process that has already imported the libraries.

An interpreter spends 1.7 s on importing what a rendered service needs before it reads the service's first line. These
command lines run in forks of a process that has done so once. They see the libraries alone: nothing of a rendered
project, of these tests, or of another command line.
"""

import gc
import multiprocessing
import os
import runpy
import shlex
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Pytest without plugins: it warns of those that are imported before it.
LIBRARIES = (
    *("alembic.command", "alembic.config", "anyio._backends._asyncio", "cql2", "cryptography.x509"),
    *("fastapi", "fastapi.testclient", "geoalchemy2", "httpcore2", "jinja2", "jwt", "numpy.random"),
    *("openapi_spec_validator", "orjson", "prometheus_client", "psycopg2.extras", "pydantic.v1"),
    *("pydantic_settings", "pyogrio", "pytest", "shapely"),
    *("sqlalchemy.dialects.postgresql.psycopg2", "sqlalchemy.orm", "starlette.middleware.cors"),
    *("starlette.middleware.gzip", "unittest.mock", "uvicorn", "xml.sax.xmlreader"),
)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(list(LIBRARIES))

OWN_PATHS = {str(Path(__file__).parent), str(Path(__file__).parents[1])}


@dataclass(frozen=True, slots=True)
class Run:
    """A command that has ended: its exit code, and all that it printed."""

    command: tuple[str, ...]
    code: int
    output: str

    def passed(self) -> None:
        """Fail with what it printed, unless it has exited with 0."""
        if self.code:
            raise AssertionError(f"{self}")

    def __str__(self) -> str:
        return f"{shlex.join(self.command)}\nexit code {self.code}\n{self.output}"


def python(*arguments: str, folder: Path, environment: Mapping[str, str]) -> Run:
    """Run ``python -m MODULE ARGUMENT…`` in a folder, with this environment and no other."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "output")
        process = PROCESSES.Process(
            target=_run, args=(arguments, folder, dict(environment), output)
        )
        process.start()
        process.join()
        text = output.read_text(encoding="utf-8", errors="replace")
    assert process.exitcode is not None
    return Run(("python", *arguments), process.exitcode, text)


def _run(
    arguments: tuple[str, ...], folder: Path, environment: dict[str, str], output: Path
) -> None:
    # The libraries stay: the collector of garbage does not have to go through them each time.
    gc.freeze()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    inherited = [path for path in sys.path if path not in OWN_PATHS]
    sys.path[:] = [str(folder), *(str(folder / path) for path in paths), *inherited]
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    option, module, *sys.argv[1:] = arguments
    assert option == "-m", f"python {option}"
    sys.argv[0] = module
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit:
        raise
    except BaseException:
        # Printed here, so that it stands in the output.
        traceback.print_exc()
        raise SystemExit(1) from None
