"""Render a new service: ask what most teams answer, or read it from a file of features.

`make new` asks; `make new FILE=trees.gpkg` reads, and `make demo FILE=trees.gpkg` serves it besides.
"""

import argparse
import logging
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from cookiecutter.config import get_user_config
from cookiecutter.exceptions import (
    CookiecutterException,
    FailedHookException,
    OutputDirExistsException,
)
from cookiecutter.generate import generate_context
from cookiecutter.main import cookiecutter
from cookiecutter.prompt import prompt_for_config
from demo import Service, postgis

import parameters
from parameters.names import plural
from parameters.project import defaults

#: What most teams answer: the first parameters of cookiecutter.json.
ASKED = parameters.NAMES[: parameters.NAMES.index("deployment") + 1]


class Refused(Exception):
    """Nothing is rendered; the message says why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", default="", help="of features, for which the service is made")
    parser.add_argument("--layer", default="", help="of the file")
    parser.add_argument("--load", default="", help="options of the command load, as in a shell")
    parser.add_argument("--out", default="..", help="the folder for the project's folder")
    parser.add_argument("--arguments", default="", help="answers, as in a shell")
    parser.add_argument("--serve", default="", metavar="PORT", help="load the file, and serve it")
    options = parser.parse_args()
    try:
        return run(options)
    except Refused as reason:
        print(f"new: {reason}", file=sys.stderr)
    except FailedHookException:
        # The hook has said what is wrong.
        pass
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was made.", file=sys.stderr)
        return 130
    return 1


def run(options: argparse.Namespace) -> int:
    asked = parsed(options.arguments)
    out, file = Path(options.out).expanduser(), Path(options.file).expanduser().absolute()
    load: list[str] = []
    answers: dict[str, str] = {}
    if options.file:
        of_layer = f" --layer {shlex.quote(options.layer)}" if options.layer else ""
        answers, load, features = read(file, options.load + of_layer, asked)
    if not options.serve:
        print(f"The project's folder is made in {out.resolve()} (OUT=… names another).\n")
        known = answers | asked
        answers |= ask([name for name in ASKED if name not in known], known)
    elif not is_free(options.serve):
        raise Refused(f"port {options.serve} is in use: PORT=8001 takes another")
    folder = render(answers | asked, out)
    package = next((folder / "src").glob("*/main.py")).parent.name
    if options.serve:
        # From here on there is a project: to end what serves it is no failure.
        with suppress(KeyboardInterrupt):
            serve(folder, package, ["load", str(file), *load] if features else [], options.serve)
        return 0
    print(f"\n{folder} is ready. Next:\n\n  cd {shlex.quote(str(folder))}\n  make run")
    if options.file and features:
        loading = shlex.join(["python", "-m", package, "load", str(file), *load])
        print(
            "\nTo load the file, once the packages are installed:\n\n"
            f"  . .venv/bin/activate && python tools/postgis.py run --database {package} -- sh -c \\\n"
            f"    {shlex.quote(f'python -m {package} migrate && {loading}')}"
        )
    return 0


def serve(folder: Path, package: str, load: list[str], port: str) -> None:
    """Load the file into the project's development database, and serve it.

    Raises:
        Refused: The database has the tables of an earlier project; the new one is removed.
    """
    with postgis(folder).server(("DATABASE_URL",)) as server:
        url = server.ensure_database(package)
        if server.own and has_tables(url):
            shutil.rmtree(folder)
            raise Refused(
                f"the development database {package} has the rows of an earlier project of this name: give the new one another,"
                " COOKIECUTTER_ARGS=\"project_name='Trees 2'\""
            )
        service = Service(folder, package, url)
        service.environment.setdefault("LOG_FORMAT", "text")
        service("migrate")
        if load:
            rejects = folder.parent / f"{folder.name}.rejects.geojsonl"
            service(*load, "--skip-invalid", "--rejects", rejects)
        else:
            print("The file has no features: nothing was loaded.")
        print(
            f"\n  http://127.0.0.1:{port}/map and /docs   (Ctrl-C ends it)\n\n"
            f"  The project is yours, and its database keeps the rows. Later:\n"
            f"  cd {shlex.quote(str(folder))} && make run\n",
            flush=True,
        )
        service("serve", "--port", port)


def has_tables(url: str) -> bool:
    """Whether a revision has been applied in a database."""
    import psycopg2

    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_class WHERE relname LIKE 'alembic_version%'")
        return cursor.fetchone() is not None


def is_free(port: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError:
            return False
    return True


def parsed(arguments: str) -> dict[str, str]:
    """The answers that are given.

    Raises:
        Refused: One is of no parameter.
    """
    asked = {}
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise Refused(f"{arguments}: {error}") from None
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in parameters.NAMES:
            raise Refused(f"{parameters.unknown(name, value)}")
        asked[name] = value
    found = parameters.problems(defaults() | asked)
    if wrong := [f"{each}" for each in found if each.parameter in asked]:
        raise Refused("\n- ".join(["these answers are wrong:", *wrong]))
    return asked


def read(file: Path, load: str, asked: dict[str, str]) -> tuple[dict[str, str], list[str], int]:
    """The answers for a file, the options of its loading, and how many features it has."""
    # They need packages that the prompts do without.
    import file_answers
    from geotables.files.sources import SourceError

    try:
        found = file_answers.answers(file, load, asked)
    except SourceError as error:
        reason = str(error).replace("with --layer", "with LAYER=name")
        raise Refused(re.sub(r"--[a-z][-\w]*( EPSG:\w+)?", r"LOAD_ARGS='\g<0>'", reason)) from None
    except parameters.AttributesError as error:
        raise Refused(str(error)) from None
    print("\n  ".join(found.lines), flush=True)
    return found.answers, found.load, found.features


def ask(names: list[str], known: dict[str, str]) -> dict[str, str]:
    """Have cookiecutter ask for some parameters; the extension asks again where an answer is wrong."""
    if not names:
        return {}
    config = get_user_config()
    context: Any = generate_context(
        str(ROOT / "cookiecutter.json"), default_context=config["default_context"]
    )
    every = context["cookiecutter"]
    every["__prompts__"]["deployment"]["__prompt__"] = "Deployment"
    kept = {name: value for name, value in every.items() if name in names}
    settings = {name: every[name] for name in ("__prompts__", "_extensions", "_jinja2_env_vars")}
    if "table_name" in kept and "resource_name" in known:
        kept["table_name"] = plural(known["resource_name"])
    context["cookiecutter"] = {"_answers": known} | kept | settings
    given = prompt_for_config(context)
    return {name: given[name] for name in names}


def render(answers: dict[str, str], out: Path) -> Path:
    """Render the template; the project's folder.

    Raises:
        FailedHookException: The template refuses the answers.
        Refused: The folder is there.
    """
    # It would print a traceback where a hook refuses the parameters, which says itself what is wrong.
    logging.getLogger("cookiecutter").addHandler(logging.NullHandler())
    try:
        made = cookiecutter(
            str(ROOT), no_input=True, extra_context=answers, output_dir=str(out.resolve())
        )
    except FailedHookException:
        raise
    except OutputDirExistsException:
        raise Refused(
            f"there is a project of this name in {out.resolve()}: OUT=… names another folder,"
            " and project_name='Trees 2' another project"
        ) from None
    except CookiecutterException as error:
        raise Refused(f"nothing was rendered: {error}") from None
    return Path(made)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        print()
