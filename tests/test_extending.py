"""docs/extending.md, section by section: its own commands and edits, on a project as it was made, and what each promises."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import documents
import pytest
import templates
from conftest import Bake
from rendering import CACHES, DEFAULTS, Project, rewrite
from test_rendering import UNLIKE
from warm import Run

#: Projects whose documents differ the most.
VARIANTS: dict[str, dict[str, str]] = {
    "default": {},
    "far": {
        "srid": "27700",
        "geometry_type": "POLYGON",
        "primary_key": "uuid",
        "output_format": "wkt",
        "auth": "none",
        "attributes": "",
        "table_name": "trails",
        "resource_name": "trail",
    },
}

SECTIONS = (
    *("A column", "A constraint", "A hidden column", "Another table", "A table without a geometry"),
    *("A business rule", "An event after a commit", "An owner", "An endpoint"),
    *("An endpoint that writes", "A dependency of every route", "Another auth"),
    *("A smaller service", "Another answer", "Another deployment", "Another output format"),
    *("Another SRID", "Another predicate", "Another index name", "Other attributes"),
    *("Another geometry column", "Another table name"),
)

#: Those that are not in the document of a table without attributes.
OF_ATTRIBUTES = {"Other attributes"}

#: Those that are followed in each: in the far one, where it has another text, or works on other rows.
FOLLOWED = {
    "default": SECTIONS,
    "far": (
        *("A column", "Another table", "A table without a geometry", "An owner"),
        *("An endpoint that writes", "Another auth", "Another SRID"),
    ),
}

#: Those that change a table with rows, which stay.
KEEPING = SECTIONS[SECTIONS.index("Another output format") :]

#: Those that the template is asked for.
ASKING = ("Another answer", "Another deployment")

#: Where the promises of the sections are, which run in the project's own processes.
PROMISES = Path(__file__).with_name("extending")

#: Folders of geotables that a project may delete.
FACES = ("features", "tiles", "rest", "ogc", "webmap", "files")


class Block(NamedTuple):
    """A block of the document: its language, the text before it since the last, and its own."""

    language: str
    before: str
    text: str


def sections(document: str) -> dict[str, list[Block]]:
    """The blocks of each section, by its heading."""
    headings = re.split(r"^## (.+)\n", document, flags=re.MULTILINE)[1:]
    return {
        heading: [
            Block(language, before, text)
            for before, language, text in re.findall(
                r"(.*?)^```(\w+)\n(.*?)^```\n", content, re.DOTALL | re.MULTILINE
            )
        ]
        for heading, content in zip(headings[::2], headings[1::2], strict=True)
    }


def commands(text: str) -> list[list[str]]:
    """The commands of a block, each with the lines that it is shown to print."""
    return [lines.splitlines() for lines in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]


class Reader:
    """Somebody who does in a project what its document says."""

    def __init__(self, project: Project, **environment: str) -> None:
        self.project = project
        self._environment = environment
        #: What make takes from the environment.
        self.variables: dict[str, str] = {}

    def follow(self, heading: str) -> None:
        """Do all that a section says."""
        document = (self.project.path / "docs/extending.md").read_text(encoding="utf-8")
        for block in sections(document)[heading]:
            if block.language == "console":
                for command, *shown in commands(block.text):
                    self.type(command, *shown)
            elif block.language == "diff":
                documents.apply(self.project.path, block.text)
            else:
                self.write(block)

    def write(self, block: Block) -> None:
        """Write a file that stands as a whole in the document, or a revision's functions; the text before ends with its name."""
        assert block.language == "python"
        (name,) = re.findall(r"`([\w./…]+)`(?:, as a whole)?:\n\n\Z", block.before)
        path, head = self.project.path / name, ""
        if "…" in name:
            path = documents.find(self.project.path, name)
            head, _, _ = path.read_text(encoding="utf-8").partition("def upgrade")
        path.parent.mkdir(exist_ok=True)
        rewrite(path, head + block.text)

    def type(self, command: str, *shown: str) -> None:
        """Type a command, which has to end well, or to print the lines that the document shows.

        What ``make`` would run is run without its shells, which would import everything each time.
        """
        output = ""
        for line in self._planned(command):
            run = self._run(line)
            output += run.output
            if not shown:
                run.passed()
        lines = iter(output.splitlines())
        for line in shown:
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert any(re.fullmatch(pattern, printed) for printed in lines), f"{line}\n{output}"

    def _planned(self, command: str) -> list[str]:
        """The commands that one stands for."""
        if not command.startswith("make "):
            return [command]
        # These tests may be run by a make of their own, whose flags this one would take over.
        own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        make = [*shlex.split(command), "--dry-run", "PYTHON=python"]
        planned = subprocess.run(
            make,
            cwd=self.project.path,
            env=own | self.variables,
            check=True,
            capture_output=True,
            text=True,
        )
        # A backslash at the end of a line goes on with the next.
        lines = planned.stdout.replace("\\\n", " ").splitlines()
        # The database is there: tools/postgis.py would take the one that DATABASE_URL names.
        there = r"^python tools/postgis\.py run --database \w+ -- "
        # What another make would run is planned as well.
        return [re.sub(there, "", line) for line in lines if not line.startswith("make ")]

    def _run(self, command: str) -> Run:
        program, *arguments = shlex.split(command)
        if program == "python" and arguments[0] == "-m":
            return self.python(*arguments)
        assert program in ("python", "rm", "mv"), command
        program = sys.executable if program == "python" else program
        ended = subprocess.run(
            [program, *arguments],
            cwd=self.project.path,
            env=os.environ | templates.GIT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Run((program, *arguments), ended.returncode, ended.stdout)

    def python(self, *arguments: str, **environment: str) -> Run:
        """Run ``python …`` in the project."""
        return self.project.python(*arguments, **self._environment | environment)


@pytest.fixture(scope="module")
def made(bake_once: Bake) -> Callable[[str], Project]:
    """The projects of the variants, as they were made."""
    projects: dict[str, Project] = {}

    def make(variant: str) -> Project:
        if variant not in projects:
            projects[variant] = bake_once(**VARIANTS[variant])
        return projects[variant]

    return make


@pytest.fixture
def reader(
    request: pytest.FixtureRequest,
    made: Callable[[str], Project],
    tmp_path: Path,
    server: Any,
    database_url: str,
    mypy_cache: Path,
) -> Iterator[Reader]:
    """A reader of a project's own copy, with an empty database."""
    project = copied(made(request.param), tmp_path)
    before = contents(project)
    yield Reader(
        project,
        DATABASE_URL=database_url,
        TEST_DATABASE_URL=server.url,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        MYPY_CACHE_DIR=str(mypy_cache),
        PYTHONPATH=f"src:{PROMISES}",
        PACKAGE=project.package,
        TABLE=project.table,
    )
    after = contents(project)
    assert after == {name: before[name] for name in after}, "the section has changed geotables"


def copied(project: Project, folder: Path, *without: str) -> Project:
    """A copy of a project, to be changed."""
    ignored = shutil.ignore_patterns(*without)
    path = shutil.copytree(project.path, folder / project.path.name, ignore=ignored)
    return replace(project, path=path)


def contents(project: Project) -> dict[str, str]:
    """The hash of each file of geotables."""
    root = project.path / "src/geotables"
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and CACHES.isdisjoint(path.parts)
    }


def test_every_section_is_followed(made: Callable[[str], Project]) -> None:
    for variant in VARIANTS:
        document = made(variant).files["docs/extending.md"]
        left_out = () if VARIANTS[variant].get("attributes") != "" else OF_ATTRIBUTES
        assert [*sections(document)] == [name for name in SECTIONS if name not in left_out]
        assert all(sections(document).values())
        # No block is of a language that the reader overlooks.
        assert set(re.findall(r"^```(\w+)", document, re.MULTILINE)) == {
            "console",
            "diff",
            "python",
        }


#: Projects whose tables are not the usual ones: their documents leave out what is not for them.
UNUSUAL: dict[str, dict[str, str]] = {
    "key": {"key_column": "gid", "primary_key": "text", "timestamps": "no"},
    "schema": {
        "table_schema": "cadastre",
        "attributes": "status:str(20)='open' area:numeric(8,2)?",
    },
    "read-only": {"read_only": "yes", "key_column": "gid", "output_format": "wkt"},
    "adopted": {
        "geometry_column": "the_geom",
        "timestamps": "no",
        "_columns": '[{"name": "Land Use", "type": "text"}, {"name": "tags", "type": "text[]", "nullable": true}]',
        "_table": '{"name": "Land Parcels", "schema": "Cadastre", "adopted": true, "geometry_column": "The Geom",'
        ' "geometry_nullable": true}',
    },
    "view": {
        "read_only": "yes",
        "timestamps": "no",
        "_table": '{"name": "Land Parcels", "kind": "view", "adopted": true}',
    },
}


@pytest.mark.parametrize("parameters", UNUSUAL.values(), ids=UNUSUAL)
def test_edits_are_of_the_project_whatever_its_table(
    bake: Bake, tmp_path: Path, parameters: dict[str, str]
) -> None:
    """Each diff of what a project has at first fits, and leaves Python that can be read."""
    project = bake(**parameters)
    document = project.files["docs/extending.md"]
    assert "{" + "{" not in document
    found = sections(document)
    assert set(found) <= {*SECTIONS, "Another answer about the table"}
    for number, (heading, blocks) in enumerate(found.items()):
        copy = copied(project, tmp_path / f"{number}", "geotables", "tests", "docs")
        for block in blocks:
            for part in re.split(r"^(?=--- a/)", block.text, flags=re.MULTILINE):
                if block.language == "diff" and part.startswith("--- a/src/"):
                    if heading == "Another table name":
                        continue
                    documents.apply(copy.path, part)
        for file in (copy.path / "src" / project.package).rglob("*.py"):
            compile(file.read_bytes(), file.name, "exec")
    # What it links to is there.
    anchors = {name.lower().replace(" ", "-") for name in found} | {"changing-an-answer"}
    assert {*re.findall(r"\]\(#(.+?)\)", document)} <= anchors


@pytest.mark.parametrize(
    ("reader", "section"),
    [(variant, section) for variant in VARIANTS for section in FOLLOWED[variant]],
    indirect=["reader"],
)
def test_a_section_does_what_it_says(reader: Reader, section: str) -> None:
    if section == "An owner" and reader.project.context["auth"] == "none":
        reader.follow("Another auth")
    if section in ASKING:
        ask(reader)
    if section in KEEPING:
        reader.python("-m", "promises", "before").passed()
    reader.follow(section)
    if section in KEEPING:
        # Their types are those of the rendering that the template makes of the answer.
        reader.type("python -m ruff check .")
        reader.type("python -m ruff format --check .")
    elif section in ASKING:
        # `make update` has done so.
        reader.type("make migrate")
    else:
        reader.type("make migrate")
        reader.type("make lint")
    reader.python("-m", "promises", section).passed()
    if section == "Another auth":
        suite = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_auth.py")
        reader.python(*suite).passed()


def ask(reader: Reader) -> None:
    """Have the project in git, and the template at a place that ``make update`` finds."""
    template = templates.copy(reader.project.path.parent / "template")
    for folder in (template, reader.project.path):
        templates.commit(folder, "Made")
    # The record has the commit of the folder that it was rendered from.
    reader.variables = {"TEMPLATE": str(template), "FROM": "main"}


def asked(document: str) -> dict[str, list[str]]:
    """The answers that sections say make the same edits, by heading."""
    found = {}
    for section in re.split(r"^## ", document, flags=re.MULTILINE)[1:]:
        for command in re.findall(r"^.*\bOr(?:, but for the revisions?)?: `(.+?)`", section, re.M):
            make, update, arguments = shlex.split(command)
            assert (make, update) == ("make", "update")
            found[section.splitlines()[0]] = shlex.split(arguments.removeprefix("ARGS="))
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_template_makes_the_same_edits(
    made: Callable[[str], Project], bake: Bake, tmp_path: Path, variant: str
) -> None:
    project = made(variant)
    document = project.files["docs/extending.md"]
    answers = asked(document)
    assert [*answers] == [name for name in KEEPING if name in sections(document)]
    for number, (section, pairs) in enumerate(answers.items()):
        copy = copied(project, tmp_path / "copies" / f"{number}", "geotables", "tests", "docs")
        edit(copy, section, document)
        recorded = {name: project.context[name] for name in DEFAULTS}
        template = bake(**recorded | dict(pair.split("=", 1) for pair in pairs))
        assert sources(copy) == sources(template), section


def sources(project: Project) -> dict[str, str]:
    """What a project's own package is made of."""
    folder = f"src/{project.package}/"
    return {name: text for name, text in project.files.items() if name.startswith(folder)}


def edit(project: Project, section: str, document: str) -> None:
    """Make the edits of a section. The commands are left out but for those that move files, and what the others would write."""
    reader = Reader(project)
    for block in sections(document).get(section, ()):
        if block.language == "console":
            for command, *_ in commands(block.text):
                if command.startswith("mv "):
                    reader.type(command)
        elif "migrations/versions/…" in block.before + block.text:
            continue
        elif block.language == "python":
            reader.write(block)
        else:
            documents.apply(reader.project.path, block.text)


@pytest.mark.parametrize("parameters", UNLIKE, ids=lambda parameters: parameters["project_name"])
def test_the_edits_fit_every_project(
    bake: Bake, tmp_path: Path, parameters: dict[str, str]
) -> None:
    project = bake(**parameters)
    copies = tmp_path / "copies"
    for number, section in enumerate(SECTIONS):
        copy = copied(project, copies / f"{number}", "geotables", "tests", "docs")
        edit(copy, section, project.files["docs/extending.md"])
    for command in (("check",), ("format", "--check")):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *command, copies], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("face", FACES)
def test_each_face_may_be_deleted(
    made: Callable[[str], Project], tmp_path: Path, face: str
) -> None:
    project = copied(made("default"), tmp_path)
    file = project.source / ("cli.py" if face == "files" else "main.py")
    text = file.read_text(encoding="utf-8")
    text, lines = re.subn(rf"^    {face}\..*\n", "", text, flags=re.MULTILINE)
    text, imports = re.subn(
        rf"(?m)^from geotables import {face}\n|(?<=import ){face}, |, {face}(?=,|$)", "", text
    )
    assert (lines, imports) == (1, 1)
    file.write_text(text, encoding="utf-8")
    shutil.rmtree(project.path / "src/geotables" / face)
    reader = Reader(project, PYTHONPATH=f"src:{PROMISES}", PACKAGE=project.package)
    reader.python("-m", "promises", "without", face).passed()
    reader.python("-m", "ruff", "check", ".").passed()
