"""Render a service for a table that is there: `make adopt DATABASE_URL=… TABLE=schema.table`.

The database is read, and never written to. What is misaligned is said first, with the statements that would fix it.
"""

import argparse
import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import parameters
from parameters import project
from parameters.names import sql_name

from . import catalogue, mapping, report, survey
from .catalogue import Unreadable
from .findings import Finding

ROOT = Path(__file__).parents[1]

#: The parameters of a table.
OF_ONE = project.TABLE_NAMES

#: Variables that name a database: a hook that has one of them makes tables in it, and rolls them back.
URLS = ("DATABASE_URL", "DATABASE_READ_URL", "TEST_DATABASE_URL", "PGOPTIONS")

#: Lines of `check` that are about nothing found.
COUNT = re.compile(r"check: \d+ found wrong")


class Refused(Exception):
    """Nothing is rendered; the message says why."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A relation that is served: its name, the answers, and what was said of it."""

    name: str
    answers: dict[str, str]
    project: dict[str, str]
    findings: list[Finding]


def main(arguments: Sequence[str] | None = None) -> int:
    """Adopt a table, or all of a schema; 1 where nothing can be served."""
    parser = argparse.ArgumentParser(prog="python -m adoption", description=__doc__)
    parser.add_argument("table", nargs="?", default="", help="schema.table")
    parser.add_argument(
        "--all", default="", metavar="SCHEMA", help="every table with geometry of a schema"
    )
    parser.add_argument("--key", default="", help="the column that tells its rows apart")
    parser.add_argument(
        "--out", default=".", help="the folder for the project's folder (%(default)s)"
    )
    parser.add_argument(
        "--arguments", default="", help="parameters of the template, quoted as in a shell"
    )
    parser.add_argument(
        "--answers-json", action="store_true", help="print the table's answers, and render nothing"
    )
    options = parser.parse_args(arguments)
    try:
        return run(options)
    except (Refused, Unreadable) as reason:
        say(f"adopt: {reason}")
        return 1
    except KeyboardInterrupt:
        return 130


def run(options: argparse.Namespace) -> int:
    """Do what the command line says.

    Raises:
        Refused: It cannot be done; nothing was rendered.
        Unreadable: The database cannot be read.
    """
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise Refused("DATABASE_URL has to name the database: postgresql://user@host/database")
    if bool(options.table) == bool(options.all):
        raise Refused("say which: TABLE=schema.table, or ALL=schema for every table with geometry")
    asked = parsed(options.arguments)
    if options.all and (
        single := [name for name in asked if name in OF_ONE and name not in OF_ALL]
    ):
        raise Refused(
            f"ARGS: {', '.join(single)} can only be said of one table: with ALL, leave it out"
        )
    adopted = list(read(url, options, asked))
    if not adopted:
        say("Nothing was rendered." if not options.answers_json else "It is not served.")
        return 1
    if options.answers_json:
        print(json.dumps(adopted[0].answers, ensure_ascii=False))
        return 0
    folder, first, further = render_first(adopted, asked, Path(options.out))
    served = [first, *add(folder, further)]
    agrees = check(folder, url, served)
    say("\n".join(next_steps(folder, served)))
    return 0 if agrees else 1


def say(text: str) -> None:
    """Standard output has the answers."""
    print(text, file=sys.stderr, flush=True)


def parsed(arguments: str) -> dict[str, str]:
    """The parameters that were asked for.

    Raises:
        Refused: One is no parameter, or has no value.
    """
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise Refused(f"ARGS={arguments}: {error}") from None
    asked: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in parameters.NAMES:
            raise Refused(f"ARGS: {parameters.unknown(name, value)}")
        asked[name] = value
    return asked


# -- Reading -------------------------------------------------------------------------------------


def read(url: str, options: argparse.Namespace, asked: Mapping[str, str]) -> Iterator[Adopted]:
    """Read the relations, and say what is misaligned; those that can be served."""
    with catalogue.reading(url) as connection:
        names = [options.table]
        if options.all:
            schema = catalogue.find_schema(connection, options.all)
            names = [
                f"{sql_name(schema)}.{sql_name(each)}"
                for each in catalogue.spatial_relations(connection, schema)
            ]
        for name in names:
            found = survey.look_at(
                connection,
                name,
                key=options.key,
                srid=asked.get("srid", ""),
                geometry_column=asked.get("geometry_column", ""),
                collection=asked.get("table_name", ""),
            )
            said = {each: value for each, value in asked.items() if each in MAY_BE_SAID}
            given, listed = mapping.answered(found, said)
            refuse_contradictions(given, asked)
            say("\n".join([report.heading(found), *report.lines(listed), ""]))
            if not any(each.refused for each in listed):
                yield Adopted(name, given, mapping.project(found, bool(options.all)), listed)


def refuse_contradictions(answers: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """Refuse what is said of a table, and is not so.

    Raises:
        Refused: Some is.
    """
    wrong = [name for name in asked if answers.get(name, asked[name]) != asked[name]]
    if wrong:
        listed = ", ".join(f"{name} is {answers[name]!r}" for name in wrong)
        raise Refused(f"ARGS: the table is as it is: {listed}; leave it out")


#: What a user may say of how a table is served: the rest is as it is.
MAY_BE_SAID = ("resource_name", "table_name", "output_format", "read_only")

#: Of these, what may be said of every table of a schema.
OF_ALL = ("output_format", "read_only")

# -- Rendering -----------------------------------------------------------------------------------


@contextmanager
def without_database() -> Iterator[None]:
    """Hide the database from the template's hooks, which would try tables in it."""
    hidden = {name: os.environ.pop(name) for name in URLS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def render(adopted: Adopted, asked: Mapping[str, str], folder: Path) -> Path:
    """Render the template with the answers; the folder of the project.

    Raises:
        FailedHookException: The template refuses them.
        Refused: The folder is there.
    """
    from cookiecutter.exceptions import (  # type: ignore[import-untyped]
        CookiecutterException,
        FailedHookException,
    )
    from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]

    # It would print a traceback where a hook refuses the parameters, which says itself what is wrong.
    logging.getLogger("cookiecutter").addHandler(logging.NullHandler())

    of_project = {name: value for name, value in asked.items() if name not in adopted.answers}
    context = {**adopted.project, **adopted.answers, **of_project}
    try:
        with without_database():
            return Path(
                cookiecutter(
                    str(ROOT), no_input=True, extra_context=context, output_dir=str(folder)
                )
            )
    except FailedHookException:
        raise
    except CookiecutterException as error:
        raise Refused(f"nothing was rendered: {error}") from None


def render_first(
    adopted: Sequence[Adopted], asked: Mapping[str, str], folder: Path
) -> tuple[Path, Adopted, Sequence[Adopted]]:
    """Render a project of the first table that the template takes: its folder, that table, and those after it.

    Raises:
        Refused: It takes none, or the folder is there.
    """
    from cookiecutter.exceptions import FailedHookException

    for number, each in enumerate(adopted, 1):
        try:
            return render(each, asked, folder), each, adopted[number:]
        except FailedHookException:
            # The hook has said what is wrong.
            say(f"{each.name} was left out, for the reason above.")
    raise Refused("nothing was rendered")


def add(project: Path, further: Sequence[Adopted]) -> Iterator[Adopted]:
    """Add further tables to the project, as its `make table` does; those that were added."""
    for adopted in further:
        with tempfile.TemporaryDirectory() as folder, without_database():
            file = Path(folder, "answers.json")
            file.write_text(json.dumps(adopted.answers, ensure_ascii=False), encoding="utf-8")
            command = ["tools/table.py", "--template", str(ROOT), "--answers", str(file)]
            ended = subprocess.run([sys.executable, *command], cwd=project, stdout=sys.stderr)
        if ended.returncode:
            say(f"{adopted.name} was left out, for the reason above.")
        else:
            yield adopted


# -- Checking ------------------------------------------------------------------------------------


def read_only(url: str) -> str:
    """The URL of sessions that cannot write."""
    # Without its host, urllib would write the URL of a socket with one slash.
    place, _, text = catalogue.driver_url(url).partition("?")
    query = dict(parse_qsl(text, keep_blank_values=True))
    query["options"] = f"{query.get('options', '')} -c default_transaction_read_only=on".strip()
    return f"{place}?{urlencode(query, quote_via=quote)}"


def check(project: Path, url: str, served: Sequence[Adopted]) -> bool:
    """Have the project compare itself with the database; whether it finds what was said above, and nothing else."""
    package = package_of(project)
    environment = {name: value for name, value in os.environ.items() if name not in URLS}
    environment |= {
        "DATABASE_URL": read_only(url),
        "PYTHONPATH": "src",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ended = subprocess.run(
        [sys.executable, "-m", package, "check", "--database"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    found = [line.removeprefix("- ") for line in ended.stderr.splitlines() if line.startswith("- ")]
    if not ended.returncode:
        say("check --database: the database agrees with the project.")
        return True
    if not found:
        # It could not be run: the last line says why.
        say(f"check --database could not be run: {hidden(ended.stderr.strip(), url)}")
        return False
    patterns = [
        pattern for each in served for finding in each.findings for pattern in finding.listed
    ]
    unsaid = [line for line in found if not any(re.search(pattern, line) for pattern in patterns)]
    say("check --database lists what was said above:")
    say("\n".join(f"- {hidden(line, url)}" for line in found if line not in unsaid) or "- nothing")
    if unsaid:
        say("and this, which was not: please report it, with the table's definition.")
        say("\n".join(f"- {hidden(line, url)}" for line in unsaid))
    return not unsaid


def package_of(project: Path) -> str:
    """The name of a project's package."""
    return next((project / "src").glob("*/main.py")).parent.name


def hidden(text: str, url: str) -> str:
    """The text without the password of a URL."""
    password = urlsplit(catalogue.driver_url(url)).password or ""
    for spelling in filter(None, (password, unquote(password))):
        text = text.replace(spelling, "***")
    return text


def next_steps(project: Path, served: Sequence[Adopted]) -> Iterator[str]:
    """What to do with the project."""
    path = project.resolve()
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    yield ""
    yield f"{name} serves {', '.join(each.answers['table_name'] for each in served)}. Next, with DATABASE_URL set:"
    yield f"  cd {shlex.quote(name)}"
    yield "  make migrate   records that the tables are there, in a version table of its own: its first write, and it changes no table"
    yield "  make check     compares the project with itself"
    yield f"  .venv/bin/python -m {package_of(project)} check --database   compares it with the database"
    yield "  make run       serves it"
    yield "What is misaligned is fixed by the statements above, or by a revision that has them; migrate never does by itself."


if __name__ == "__main__":
    sys.exit(main())
