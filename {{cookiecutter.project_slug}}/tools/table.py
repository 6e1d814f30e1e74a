"""Add a table to this project: ``make table ARGS="resource_name=road geometry_type=LINESTRING srid=27700 attributes='lanes:int?'"``.

The template's ``table/`` is rendered in the version that the project has. A copy of the project gets the new files, is checked,
and only then they are copied in: the table's module, its tests, a revision on the newest one, and a line in COLLECTIONS.
Nothing else is changed, and nothing is left where the table is refused.
"""

import argparse
import ast
import hashlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from update import (
    CACHES,
    Refused,
    Template,
    answers,
    configuration,
    cookiecutter,
    is_remote,
    manifest,
    read_answers,
    recorded,
)

EXAMPLE = "make table ARGS=\"resource_name=road geometry_type=LINESTRING srid=27700 attributes='name:str(100) lanes:int?'\""

#: Folders of the project that the table has files in: the copy has copies of these, and links to all others.
CHANGED = ("migrations", "src", "tests")

#: Prints what the project has, as JSON, in its last line.
DESCRIBE = """
import contextlib, importlib, json, sys
import sqlalchemy as sa
from alembic.script import ScriptDirectory
package = sys.argv[1]
tables = importlib.import_module(f"{package}.tables")
metadata = tables.MIGRATIONS.metadata
relations = set()
for table in metadata.tables.values():
    keys = [c.name for c in table.constraints if isinstance(c, sa.PrimaryKeyConstraint | sa.UniqueConstraint)]
    sequences = [f"{table.name}_{column.name}_seq" for column in table.columns]
    names = {table.name, *sequences, *(index.name for index in table.indexes), *keys} - {None}
    relations |= {f"{table.schema}.{name}" if table.schema else name for name in names}
paths = set()
with contextlib.suppress(ImportError, AttributeError):
    routes = importlib.import_module(f"{package}.routes").router.routes
    paths = {route.path.split("/")[1] for route in routes}
scripts = ScriptDirectory.from_config(tables.MIGRATIONS.config())
modules = [module for name, module in sys.modules.items() if f"{name}.".startswith(f"{package}.tables.")]
print(json.dumps({
    "heads": sorted(scripts.get_heads()),
    "revisions": [script.revision for script in scripts.walk_revisions()],
    "relations": sorted(relations),
    "collections": [collection.name for collection in tables.COLLECTIONS],
    "classes": sorted(
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    ),
    "paths": sorted(paths),
    "names": [name for name in vars(tables) if not name.startswith("__")],
}))
"""


def main() -> int:
    """Add a table to the project in the working folder; 1 if it was refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "parameters", nargs="*", metavar="name=value", help="the table's parameters"
    )
    parser.add_argument(
        "--arguments", default="", help="the same in one text, quoted as in a shell"
    )
    parser.add_argument("--template", help="the template, if not the one that is recorded")
    parser.add_argument(
        "--from", dest="found", help="serve this table or view of DATABASE_URL: schema.table"
    )
    parser.add_argument("--key", help="the column that is its key, if the database does not say")
    parser.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="a JSON file with all that is known of the table",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("table: terminated; nothing was added"))
    try:
        add_table(Path.cwd(), options)
    except Refused as reason:
        print(f"table: {reason}\nNothing was added.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("table: interrupted; nothing was added", file=sys.stderr)
        return 130
    return 0


def add_table(project: Path, options: argparse.Namespace) -> None:
    """Add a table to a project.

    Raises:
        Refused: The table, or the template, is not one for this project. The project is as it was.
    """
    asked = read_answers(options.arguments, options.parameters, example=EXAMPLE)
    stated = options.found or options.answers or "resource_name" in asked
    if not (stated or (not asked and sys.stdin.isatty())):
        raise Refused(f"say what one row is, resource_name=…: {EXAMPLE}")
    record = recorded(project, None)
    package = record["parameters"]["package_name"]
    found = describe(project, package)
    with tempfile.TemporaryDirectory(prefix="table-") as name:
        scratch = Path(name)
        source = options.template or remembered(project, record)
        template = find_template(project, record, source, scratch)
        known = json.loads(read(options.answers)) if options.answers else {}
        if options.found:
            known = adopted(template, options.found, options.key, asked)
        if others := [name for name, value in asked.items() if known.get(name, value) != value]:
            lines = (f"{name} is {known[name]!r} there: leave it out of ARGS" for name in others)
            raise Refused("\n".join(lines))
        private = context(project, record, found, asked)
        new = render(template, scratch, asked, {**known, **private}, prompts=not stated)
        tables = f"src/{package}/tables/__init__.py"
        before = read(project / tables)
        changed = tried(project, scratch / "copy", package, new, tables)
        if read(project / tables) != before:
            raise Refused(f"{tables} was edited meanwhile: try again")
        copy_in(project, changed, tables)
    print("Added:", *(f"  {file}" for file in new), sep="\n")
    print(f"  a line in COLLECTIONS of {tables}, and the import")
    print("Next: make migrate, then: make check test", flush=True)


# -- The template ---------------------------------------------------------------------------------


def remembered(project: Path, record: dict[str, Any]) -> str:
    """Where the project was made from, if that is no path; cruft has a record of its own."""
    place = str(record["template"])
    with suppress(Refused, ValueError, KeyError):
        place = place or json.loads(read(project / ".cruft.json"))["template"]
    if not is_remote(place):
        raise Refused("the project was made from a folder. Say where the template is: TEMPLATE=…")
    return place


def find_template(project: Path, record: dict[str, Any], source: str, scratch: Path) -> Path:
    """A folder with the template in the version of the project's own geotables.

    Raises:
        Refused: It has none that is the same.
    """
    version = own_version(project) or record["version"]
    folder = Path(source).expanduser()
    if not is_remote(source) and folder.is_dir():
        # A checkout may have changes that are not committed, and a copy has no commits.
        if fits(folder, project, version):
            return folder.absolute()
        if not (folder / ".git").exists() and not (folder / "HEAD").exists():
            raise Refused(another_version(source, [version_of(folder)], version))
    clone = Template(source, scratch)
    seen = []
    for name in filter(None, (record["commit"], version, "HEAD")):
        with suppress(Refused):
            checkout = clone.checkout(clone.find(name))
            if fits(checkout, project, version):
                return checkout
            seen.append(version_of(checkout))
    raise Refused(another_version(source, seen, version))


def another_version(source: str, seen: Sequence[str], version: str) -> str:
    """Why no version of a template is taken."""
    if others := sorted({each for each in seen if each} - {version}):
        return (
            f"{source} is of version {', '.join(others)}, and this project has geotables {version}."
            f" Take that version first, make update VERSION={others[-1]}; or say where {version} is: TEMPLATE=…"
        )
    if version in seen:
        return (
            f"{source} has another geotables {version} than this project: one from between two versions."
            f" Say which template the project was made of, TEMPLATE=…; or take a version: make update VERSION=…"
        )
    return f"{source} is no template of this project. Say where that is: TEMPLATE=…"


def own_version(project: Path) -> str:
    """The version of the project's geotables; empty if it comes from an index of packages."""
    with suppress(Refused):
        return read(project / "src/geotables/VERSION").decode().strip()
    return ""


def version_of(template: Path) -> str:
    """The version of a template; empty for a folder that is none."""
    return own_version(source_of(template))


def source_of(template: Path) -> Path:
    """The folder of what a template renders, whose name is itself rendered."""
    return next(template.glob("{*}"), template / "no folder")


def fits(template: Path, project: Path, version: str) -> bool:
    """Whether a template can add tables, and its geotables is what the project's was made from."""
    if version_of(template) != version or not (template / "table/cookiecutter.json").exists():
        return False
    folder = source_of(template) / "src/geotables"
    hashes = {
        path.relative_to(folder.parent).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and CACHES.isdisjoint(path.parts)
    }
    return manifest(project, "src/geotables") in (hashes, {})


def adopted(template: Path, found: str, key: str | None, asked: dict[str, str]) -> dict[str, str]:
    """The parameters of a table that is in the database, as the template finds it; what it finds wrong is printed.

    Raises:
        Refused: It cannot be served, or there is no database.
    """
    if not os.environ.get("DATABASE_URL"):
        raise Refused("DATABASE_URL has to name the database that has the table")
    given = shlex.join(f"{name}={value}" for name, value in asked.items())
    command = [sys.executable, "-m", "adoption", "--answers-json", found, "--arguments", given]
    ended = subprocess.run(
        [*command, *(["--key", key] if key else [])],
        cwd=template,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if ended.returncode:
        raise Refused(f"{found} is not served, for the reason above")
    known: dict[str, str] = json.loads(ended.stdout)
    return known


def render(
    template: Path,
    scratch: Path,
    asked: dict[str, str],
    known: dict[str, str],
    *,
    prompts: bool,
) -> dict[str, bytes]:
    """The files of a table, by their paths in the project.

    Raises:
        Refused: The parameters are wrong.
    """
    output = scratch / "rendered"
    described = json.loads(read(template / "table/cookiecutter.json"))
    # Cookiecutter itself stops at a value that is no choice; the hook refuses it together with all else.
    choices = {name: value for name, value in described.items() if isinstance(value, list)}
    given = {
        name: value
        for name, value in asked.items()
        if name in described and name[0] != "_" and value in choices.get(name, [value])
    }
    ended = subprocess.run(
        [
            *cookiecutter(),
            *(str(template), "--directory", "table", *([] if prompts else ["--no-input"])),
            *("--config-file", configuration(scratch), "--output-dir", str(output)),
            *answers({**given, **known}),
        ],
        stdout=None if prompts else subprocess.PIPE,
        stderr=None if prompts else subprocess.STDOUT,
        text=True,
        # It leaves the hooks that it has rendered in the temporary folder.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(scratch)},
    )
    if ended.returncode:
        printed = ended.stdout or "cookiecutter has ended before the table was rendered"
        problems = re.findall(r"^- .*", printed, re.MULTILINE)
        raise Refused("\n".join(["the parameters are wrong:", *problems]) if problems else printed)
    (root,) = output.iterdir()
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): read(path) for path in files}


# -- The project ----------------------------------------------------------------------------------


def describe(project: Path, package: str) -> dict[str, Any]:
    """What the project has: its tables, the names of all that is in them, and its revisions.

    Raises:
        Refused: It cannot be imported.
    """
    command = [sys.executable, "-c", DESCRIBE, package]
    ended = run_own(project, *command)
    if ended.returncode:
        raise Refused(
            f"the project's own tables cannot be imported by {sys.executable}:\n{ended.stderr.strip()}"
        )
    described: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return described


def context(
    project: Path, record: dict[str, Any], found: dict[str, Any], asked: dict[str, str]
) -> dict[str, str]:
    """What the template is told of the project: the private values of ``table/cookiecutter.json``.

    Raises:
        Refused: There is no single newest revision.
    """
    heads, revisions = found["heads"], found["revisions"]
    if len(heads) > 1:
        raise Refused(
            f"the revisions have several heads, {', '.join(heads)}. Merge them first: python -m alembic merge heads"
        )
    numbers = [int(revision) for revision in revisions if re.fullmatch("[0-9]{1,9}", revision)]
    package = record["parameters"]["package_name"]
    modules = (path.stem for path in (project / f"src/{package}/tables").glob("*.py"))
    tests = (path.stem.removeprefix("test_") for path in (project / "tests").glob("test_*.py"))
    names = {
        "parameters": record["parameters"] | {"auth": kind_of_auth(project, record)},
        "asked": asked,
        "modules": sorted({*found["names"], *modules}),
        "tests": sorted(tests),
        **{name: found[name] for name in ("classes", "collections", "paths", "relations")},
    }
    return {
        "_revision": f"{max([len(revisions), *numbers]) + 1:04}",
        "_down_revision": heads[0] if heads else "",
        "_project": json.dumps(names),
    }


def kind_of_auth(project: Path, record: dict[str, Any]) -> str:
    """The kind of authentication that the table's tests are for: one of the team's own has none of their names."""
    parameters: dict[str, str] = record["parameters"]
    kind = parameters.get("auth", "api_key")
    names = {"api_key": "def digest(", "oidc": "oidc_issuer:", "none": "write_access:"}
    text = read(project / f"src/{parameters['package_name']}/auth.py").decode()
    return kind if names[kind] in text else "other"


def tried(
    project: Path, copy: Path, package: str, new: dict[str, bytes], tables: str
) -> dict[str, bytes]:
    """The files of a table, and the one that names its module, as a copy of the project passes its check with them.

    Raises:
        Refused: It does not, or one of the files is there already.
    """
    module = next(path.stem for path in map(Path, new) if path.parent == Path(tables).parent)
    changed = {**new, tables: with_line(read(project / tables), module, tables)}
    for file in new:
        if (project / file).exists():
            raise Refused(f"{file} is there already: choose another table_name, or remove it")
    copied(project, copy)
    for file, content in changed.items():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        (copy / file).write_bytes(content)
    tidy(copy, [*new], tables if is_tidy(project, tables) else "")
    check(project, copy, package, [*new])
    return {file: read(copy / file) for file in changed}


def copied(project: Path, copy: Path) -> Path:
    """A copy of the project, in which what a table changes can be written; all else are links."""
    copy.mkdir()
    for path in project.iterdir():
        if path.name in CHANGED:
            ignored = shutil.ignore_patterns(*CACHES, "*.egg-info")
            shutil.copytree(path, copy / path.name, symlinks=True, ignore=ignored)
        elif path.name not in CACHES | {".git", ".venv"}:
            (copy / path.name).symlink_to(path.absolute())
    return copy


# -- tables/__init__.py ----------------------------------------------------------------------------


def with_line(source: bytes, module: str, file: str) -> bytes:
    """The ``tables/__init__.py`` with a module's import, and its collection as the last; all else stays to the letter.

    Raises:
        Refused: It has no list, written out, to add the collection to.
    """
    collection, added = f"{module}.COLLECTION", ""
    with suppress(SyntaxError, ValueError):
        edited = Source(source)
        edited.add_to_list("COLLECTIONS", collection)
        edited.add_import(module)
        result = edited.encode()
        added = ast.unparse(list_of("COLLECTIONS", ast.parse(result)).elts[-1])
    if added != collection:
        raise Refused(
            f"{file} has no list COLLECTIONS = […] to add a line to. Write it so; these would be new:\n"
            f"  from . import {module}\n  COLLECTIONS = […, {collection}]"
        )
    return result


def list_of(name: str, tree: ast.Module) -> ast.List:
    """The list that a name is assigned, once.

    Raises:
        ValueError: It is assigned something else, or not once.
    """
    found = []
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)])
                | ast.AnnAssign(target=ast.Name(id=target))
            ):
                if target == name:
                    found.append(node.value)
    if len(found) != 1 or not isinstance(found[0], ast.List):
        raise ValueError(f"{name} is no list")
    return found[0]


class Source:
    """Python code that is added to; positions are those of its characters."""

    def __init__(self, source: bytes) -> None:
        self._text = source.decode()
        self._tree = ast.parse(self._text)
        ends = (match.end() for match in re.finditer("\n", self._text))
        self._starts = [0, *ends, len(self._text)]
        self._newline = "\r\n" if "\r\n" in self._text else "\n"
        without = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE}
        self._tokens = [
            (self._starts[token.start[0] - 1] + token.start[1], token.string)
            for token in tokenize.generate_tokens(io.StringIO(self._text, newline="").readline)
            if token.type not in without
        ]
        #: What is inserted, and where.
        self._inserted: list[tuple[int, str]] = []

    def encode(self) -> bytes:
        """The code with what was added."""
        text = self._text
        for position, inserted in sorted(self._inserted, reverse=True):
            text = text[:position] + inserted + text[position:]
        return text.encode()

    def add_to_list(self, name: str, item: str) -> None:
        """Add an item to the list that a name is assigned."""
        items = list_of(name, self._tree)
        if items.elts:
            self._add_after(items.elts[-1], item, closing="]")
        else:
            self._inserted.append((self._span(items)[0] + 1, item))

    def add_import(self, module: str) -> None:
        """Import a module of the same package, in the order of the names.

        Raises:
            ValueError: Nothing is imported yet.
        """
        imports = [
            node for node in self._tree.body if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        own = [node for node in imports if isinstance(node, ast.ImportFrom) and node.level == 1]
        if not imports:
            raise ValueError("no imports")
        for node in own:
            if node.module is None:
                names = [alias.name for alias in node.names]
                before = (
                    sum(name < module for name in names) if names == sorted(names) else len(names)
                )
                if before:
                    closing = ")" if self._text[self._span(node)[1] - 1] == ")" else ""
                    self._add_after(node.names[before - 1], module, closing)
                else:
                    self._inserted.append((self._span(node.names[0])[0], f"{module}, "))
                return
        position = self._span(own[0])[0] if own else self._span(imports[-1])[1]
        line = f"from . import {module}"
        text = f"{line}{self._newline}" if own else f"{self._newline}{line}"
        self._inserted.append((position, text))

    def _add_after(self, node: ast.expr | ast.alias, item: str, closing: str) -> None:
        """Add an item after another: on a line of its own if that one has one, and brackets are around them."""
        start, end = self._span(node)
        following = [(at, string) for at, string in self._tokens if at >= end]
        while following[0][1] == ")" != closing:
            end = following.pop(0)[0] + 1
        stop, has_comma = end, following[0][1] == ","
        if has_comma:
            stop = following.pop(0)[0] + 1
        indent = self._text[self._text.rfind("\n", 0, start) + 1 : start]
        if not closing or indent.strip() or "\n" not in self._text[stop : following[0][0]]:
            self._inserted.append((end, f", {item}"))
            return
        if not has_comma:
            self._inserted.append((end, ","))
        next_line = self._text.index("\n", stop) + 1
        self._inserted.append((next_line, f"{indent}{item},{self._newline}"))

    def _span(self, node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
        """Where a node begins and ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        places = ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        start, end = (self._starts[line - 1] + self._characters(line, n) for line, n in places)
        return start, end

    def _characters(self, line: int, count: int) -> int:
        """How many characters the first bytes of a line are."""
        return len(self._text[self._starts[line - 1] :].encode()[:count].decode())


# -- The check ------------------------------------------------------------------------------------


def is_tidy(project: Path, file: str) -> bool:
    """Whether the linter and the formatter leave a file as it is."""
    return not any(ruff(project, *command, file).returncode for command in (LINT, FORMAT_CHECK))


def tidy(copy: Path, new: Sequence[str], edited: str) -> None:
    """Lay files out as the project has its own laid out; one that was edited only if it was laid out so before."""
    if not importlib.util.find_spec("ruff"):
        print(f"{sys.executable} has no ruff: the new files were not laid out", file=sys.stderr)
        return
    files = [*new, *filter(None, [edited])]
    ruff(copy, "check", "--no-cache", "--quiet", "--fix", *files)
    ruff(copy, "format", "--no-cache", "--quiet", *files)
    found = ruff(copy, *LINT, *files)
    if found.returncode:
        print(f"The project's linter finds in the new files:\n{found.stdout}", file=sys.stderr)


LINT = ("check", "--no-cache", "--quiet")
FORMAT_CHECK = ("format", "--no-cache", "--quiet", "--check")


def ruff(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_own(folder, sys.executable, "-m", "ruff", *arguments)


def check(project: Path, copy: Path, package: str, new: Sequence[str]) -> None:
    """Have the copy check its models, and pytest find the tests of the table.

    Raises:
        Refused: Something is wrong; the message says whether it is without the table, too.
    """
    tests = [file for file in new if file.startswith("tests/")]
    own = ("-m", package, "check")
    collected = ("-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--collect-only", *tests)
    commands = [own, *([collected] if importlib.util.find_spec("pytest") else [])]
    for command in commands:
        ended = run_own(copy, sys.executable, *command)
        if not ended.returncode:
            continue
        output = f"{ended.stdout}{ended.stderr}".strip()
        if command is own and run_own(project, sys.executable, *own).returncode:
            raise Refused(
                f"{output}\nThe project does not pass its own check without the table, either: correct that first"
            )
        raise Refused(
            f"{output}\nWith the table the project does not pass: python {shlex.join(command)}"
        )


def run_own(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a project's own code, without its database."""
    own = {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {n: v for n, v in os.environ.items() if "DATABASE" not in n} | own
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


# -- Copying in -----------------------------------------------------------------------------------


def copy_in(project: Path, changed: dict[str, bytes], edited: str) -> None:
    """Write the new files and, last, the one that names them: all, or none.

    Raises:
        Refused: One is there already.
    """
    path = project / edited
    complete = path.with_name(f"{path.name}.new")
    # A name of its own until it is complete: then it takes the place of the one that is there.
    written: list[Path] = []
    with uninterrupted():
        try:
            for file in sorted(changed, key=edited.__eq__):
                target = complete if file == edited else project / file
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as opened:
                    written.append(target)
                    opened.write(changed[file])
            shutil.copymode(path, complete)
            complete.replace(path)
        except OSError as error:
            for target in written:
                target.unlink(missing_ok=True)
            raise Refused(f"the files could not be written: {error}") from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C for the milliseconds in which some files are there, and others are not."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
