"""What the template renders: which files, and what they say; nothing is installed or run but the linter."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from conftest import Bake
from rendering import CACHES, DEFAULTS, TEMPLATE, Project, copied

from parameters import CLASS_LETTERS
from parameters.attributes import OWN
from parameters.columns import Column, Index, Table, dump
from parameters.names import column_rule, table_rule

SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}"

#: The files that say in literal words what the parameters ask for. Every other file of a project is the same in all
#: variants, up to the names of the project, the package, the table and the class.
LITERAL = {
    ".env.example": "pool and work_mem",
    ".template.json": "the parameters",
    ".github/dependabot.yml": "what the deployment has to be kept up to date",
    ".github/workflows/image.yml": "a file for each deployment",
    ".gitlab-ci.yml": "an image is published, where there is one",
    "LICENSE": "a file for each license",
    "Makefile": "make key, where keys are what authenticates",
    "README.md": "describes the service",
    "deploy/.gitignore": "a file for each deployment",
    "deploy/roles.sql": "the table's schema",
    "deploy/service.env.example": "what the kind of authentication has to be told",
    "docs/deployment.md": "a file for each deployment",
    "docs/extending.md": "changes of this table, and of what authentication is there",
    "docs/operations.md": "what a process keeps of the issuer, with OpenID Connect, and created_at where there is one",
    "docs/scaling.md": "the key, and created_at where there is one",
    "migrations/versions/0001_create_{table}.py": "the table, as it was at first",
    "pyproject.toml": "description, author, license; what authentication needs",
    "src/{package}/auth.py": "a file for each kind of authentication",
    "src/{package}/routes.py": "what is counted by: a column",
    "src/{package}/settings.py": "title and defaults",
    "src/{package}/tables/{table}.py": "the table, and the columns of its schemas",
    "tests/test_auth.py": "a file for each kind of authentication",
    "tests/test_{table}.py": "the table's columns, with values of theirs",
}

#: Unlike each other, and unlike every word of the template: so their names can be told from its own.
UNLIKE = (
    {
        "project_name": "Qaproject",
        "resource_name": "qaresource",
        "table_name": "qatables",
        "pool_size": "1",
        "max_overflow": "0",
        "pool_timeout": "1",
        "pool_recycle": "-1",
        "work_mem": "64kB",
    },
    {
        "project_name": "Qbbbbbproject",
        "description": "",
        "author_name": "Qb",
        "license": "Apache-2.0",
        "resource_name": "qbbbbbresource",
        "table_name": "qbbbbbtables",
        "attributes": "",
        "geometry_column": "shape",
        "geometry_type": "MULTIPOLYGON",
        "srid": "27700",
        "primary_key": "uuid",
        "output_format": "wkt",
        "ci": "gitlab",
        "deployment": "kubernetes",
        "auth": "oidc",
    },
    {
        "project_name": "Qcproject",
        "license": "BSD-3-Clause",
        "resource_name": "qcresource",
        "table_name": "qctables",
        "attributes": "a:text? b:int! c:bigint=1 d:float=0.5 e:numeric(9,2)=1.50 f2:bool=true g:date=today "
        "h:datetime=now i:uuid!=random j:json={}",
        "geometry_dimension": "XYZ",
        "index_predicate": "f2 AND c > 0",
        "srid": "4979",
        "primary_key": "text",
        "key_column": "code",
        "timestamps": "no",
        "table_schema": "qcschema",
        "read_only": "yes",
        "deployment": "none",
        "auth": "none",
    },
    {
        "project_name": "Qdproject",
        "license": "Proprietary",
        "resource_name": "qdresource",
        "table_name": "qdtables",
        "geometry_type": "GEOMETRY",
        "srid": "3857",
        "index_predicate": "status = 'active'",
        "deployment": "kubernetes",
        "auth": "oidc",
    },
)


@pytest.fixture(scope="module")
def unlike(bake_once: Bake) -> list[Project]:
    return [bake_once(**parameters) for parameters in UNLIKE]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"ci": "gitlab", "deployment": "kubernetes", "geometry_type": "POLYGON"},
        {"ci": "github", "deployment": "kubernetes", "auth": "oidc", "srid": "4258"},
        {"ci": "none", "deployment": "compose", "srid": "27700", "index_predicate": "id > 0"},
        {
            "ci": "none",
            "deployment": "none",
            "auth": "none",
            "srid": "3857",
            "geometry_type": "GEOMETRY",
        },
        {
            "ci": "github",
            "deployment": "none",
            "license": "Apache-2.0",
            "geometry_dimension": "XYZ",
            "srid": "4979",
        },
        {"package_name": "p", "resource_name": "r", "table_name": "t", "output_format": "wkt"},
    ],
    ids=str,
)
def test_files(bake: Bake, parameters: dict[str, str]) -> None:
    project = bake(**parameters)
    assert project.files.keys() == expected_files(project)


def expected_files(project: Project) -> set[str]:
    """The files that `files.txt` lists for the project's parameters."""
    text = Path(__file__).with_name("files.txt").read_text(encoding="utf-8")
    sections = re.findall(r"^\[(.+)\]\n((?:.+\n)+)", text, re.MULTILINE)
    listed = " ".join(
        files for condition, files in sections if eval(condition, dict(project.context))
    )
    files = set(listed.format(package=project.package, table=project.table).split())
    return files | copied(SOURCE).keys()


@pytest.mark.parametrize(
    ("license", "says"),
    [
        ("MIT", "Permission is hereby granted, free of charge"),
        ("Apache-2.0", "Apache License"),
        ("BSD-3-Clause", "Redistribution and use in source and binary forms"),
        ("Proprietary", "All rights reserved"),
    ],
)
def test_license(bake: Bake, license: str, says: str) -> None:
    files = bake(license=license, author_name="Ada").files
    assert says in files["LICENSE"]
    classified = tomllib.loads(files["pyproject.toml"])["project"].get("license", "Proprietary")
    assert classified == license


def test_no_jinja_is_left(unlike: list[Project]) -> None:
    # ${{ … }} is GitHub's; cookiecutter.json is a file, which tools/update.py reads.
    jinja = re.compile(r"cookiecutter\.(?!json\b)\w|\{%|%\}|\{#|(?<!\$)\{\{ \w")
    for project in unlike:
        for file, text in project.files.items():
            # MapLibre is not ours, and happens to have the signs; the pages of geotables are rendered by the service.
            if "/maplibre-gl/" not in file and not re.match("src/geotables/.*/templates/", file):
                assert not jinja.search(text), file


def test_other_files_are_the_same_in_all_variants(unlike: list[Project]) -> None:
    first, *others = [without_names(project) for project in unlike]
    for other in others:
        for file in (first.keys() & other.keys()) - LITERAL.keys():
            assert first[file] == other[file], file


def test_literal_files_differ(unlike: list[Project]) -> None:
    """A file that is the same in all variants does not stand in the list."""
    variants = [without_names(project) for project in unlike]
    assert {
        file for file in LITERAL if len({variant.get(file) for variant in variants}) > 1
    } == LITERAL.keys()


def without_names(project: Project) -> dict[str, str]:
    """The project's files, with a word for each name."""
    names = {
        project.context["__class_name"]: "{class}",
        project.context["project_slug"]: "{project}",
        project.package: "{package}",
        project.table: "{table}",
    }
    pattern = re.compile("|".join(map(re.escape, names)))

    def blank(text: str) -> str:
        return pattern.sub(lambda match: names[match[0]], text)

    return {blank(file): blank(text) for file, text in project.files.items()}


def test_little_jinja_in_python(
    unlike: list[Project], record_property: Callable[[str, object], None]
) -> None:
    """Fewer than one block tag for a hundred rendered lines."""
    tags = sum(
        path.read_text(encoding="utf-8").count("{%")
        for path in SOURCE.rglob("*.py*")
        if path.is_file() and CACHES.isdisjoint(path.parts)
    )
    lines = sum(
        len(text.splitlines()) for file, text in unlike[0].files.items() if file.endswith(".py")
    )
    record_property("block tags for 100 lines", f"{100 * tags / lines:.1f}")
    assert 100 * tags / lines < 1


def test_defaults_are_valid(bake: Bake) -> None:
    context = bake().context
    plain = {
        name: value
        for name, value in DEFAULTS.items()
        if isinstance(value, str) and "{" not in value
    }
    assert plain.items() <= context.items()


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_each_parameter_has_a_prompt(name: str) -> None:
    prompts = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))["__prompts__"]
    default = DEFAULTS[name]
    if isinstance(prompts[name], dict):
        assert {"__prompt__", *default} == prompts[name].keys()
    else:
        assert prompts[name]


#: Where the table of a project `p` is stated: the model, and the first revision.
TABLE_FILES = ("src/p/tables/facilities.py", "migrations/versions/0001_create_facilities.py")

HOSTILE = [
    """He said "it's" \\n 100% ${HOME} $(id) `id` {x} %s <b>&amp; # : - ' 🏔️ Ünïcødé""",
    "'",
    '"',
    "\\",
    "'''",
    '"""',
    "x\\",
    "{} { } }{",
    "# no comment",
    "- : |",
    "yes",
    "007",
    "👩🏽‍🚀",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_comes_out_intact(bake: Bake, text: str) -> None:
    project = bake(
        project_name=text,
        description=text,
        author_name=text,
        project_slug="p",
        attributes="",
        license="BSD-3-Clause",
    )
    files = project.files
    written = tomllib.loads(files["pyproject.toml"])["project"]
    assert (written["description"], written["authors"]) == (text, [{"name": text}])
    settings = assigned(files[f"src/{project.package}/settings.py"])
    assert (settings["title"], settings["description"]) == (text, text)
    assert f"# {text}\n" in files["README.md"]
    assert text in files["LICENSE"]
    assert_clean(project)


def test_names_and_defaults_that_were_found_come_out_intact(bake: Bake) -> None:
    odd = """it's "odd" \\ {x} %s :y 🏔️"""
    columns = dump([Column(odd, "text", default="'{{ x }} :y %s'::text", nullable=True)])
    table = dump(Table(name=odd, adopted=True, key=Column("K", "integer", identity="always")))
    project = bake(_columns=columns, _table=table, attributes="", project_slug="p")
    for file in TABLE_FILES:
        assert odd in strings(project.files[file])
        assert "{{ x }} :y %s" in keywords(project.files[file], "server_default")
    recorded = json.loads(project.files[".template.json"])["parameters"]
    assert (recorded["_columns"], recorded["_table"]) == (columns, table)
    assert_clean(project)


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% raw %}", "{# no #}", "{{ b"])
def test_braces_of_a_replay_file_come_out_intact(bake: Bake, tmp_path: Path, text: str) -> None:
    """On the command line cookiecutter renders them itself; answers and replay files come through as they are."""
    context = bake(project_slug="p").context | {"project_name": text, "description": text}
    replay = tmp_path / "replay.json"
    replay.write_text(json.dumps({"cookiecutter": context}), encoding="utf-8")
    run_cookiecutter("--replay-file", replay, "--accept-hooks", "no", "--output-dir", tmp_path)
    path = tmp_path / "p"
    assert f"# {text}\n" in (path / "README.md").read_text(encoding="utf-8")
    written = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))
    assert written["project"]["description"] == text
    settings = assigned((path / "src/p/settings.py").read_text(encoding="utf-8"))
    assert settings["title"] == text


def run_cookiecutter(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", TEMPLATE, *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("text", [text for text in HOSTILE if "🚀" not in text])
def test_defaults_of_attributes_come_out_intact(bake: Bake, text: str) -> None:
    quoted = text.replace("'", "''")
    files = bake(attributes=f"note:text='{quoted}'", project_slug="p").files
    for file in TABLE_FILES:
        assert text in keywords(files[file], "server_default")
    assert text in assigned(files["src/p/tables/facilities.py"]).values()


@pytest.mark.parametrize(
    "predicate",
    [
        "name = 'it''s'",
        """name = 'say "it"'""",
        r"name = 'back\slash'",
        "name <> ':x'",
        "name LIKE '100%'",
        "name = '{braces}'",
        "name = '🏔️' OR status = 'active'",
    ],
)
def test_predicate_comes_out_intact(bake: Bake, predicate: str) -> None:
    project = bake(index_predicate=predicate, project_slug="p")
    files = project.files
    for file in TABLE_FILES:
        assert f"({predicate})" in strings(files[file])
    assert f"`{predicate}`" in files["README.md"]
    assert_clean(project)


def test_index_name_comes_out_intact(bake: Bake) -> None:
    files = bake(index_name="Größen$Index", project_slug="p").files
    for file in TABLE_FILES:
        assert "Größen$Index" in strings(files[file])


def test_yaml_and_toml_say_what_was_asked_for(bake: Bake) -> None:
    files = bake(project_slug="on", package_name="null", pool_recycle="-1").files
    for file, text in files.items():
        if file.endswith((".yaml", ".yml")):
            yaml.safe_load(text)
    compose = yaml.safe_load(files["compose.yaml"])
    assert compose["name"] == "on"
    assert compose["services"]["postgis"]["environment"]["POSTGRES_DB"] == "null"
    assert compose["services"]["migrate"]["command"] == ["python", "-m", "null", "migrate"]
    assert tomllib.loads(files["pyproject.toml"])["project"]["name"] == "on"


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "package_name": "p",
            "resource_name": "r",
            "table_name": "t",
            "geometry_column": "g",
            "index_name": "i",
            "attributes": "a:float=1e22 b:json=[1e22]",
        },
        {
            "project_slug": "p" * 50,
            "package_name": "p" * 63,
            "resource_name": "r" * CLASS_LETTERS,
            "table_name": "t" * 39,
            "geometry_column": "g" * 13,
            "index_name": "i" * 63,
            "attributes": f"{'a' * 63}:numeric(10,2)?=-1.50 {'b' * 20}:str(50)! {'c' * 63}:datetime=now "
            f"{'d' * 63}:uuid=random {'e' * 63}:json?='[1, {{\"a\": \"b\"}}]' {'h' * 63}:text='{'x' * 100}'",
            "index_predicate": f"{'a' * 63} > 0 AND {'b' * 20} LIKE '{'x' * 100}'",
        },
        {"table_name": "t" * 52, "attributes": "", "geometry_column": "g", "srid": "27700"},
        {
            "package_name": "p" * 63,
            "resource_name": "r" * CLASS_LETTERS,
            "table_name": "t" * 39,
            "key_column": "k" * 19,
            "primary_key": "text",
            "timestamps": "no",
            "table_schema": "s" * 63,
        },
        {
            "package_name": "p" * 63,
            "resource_name": "r" * CLASS_LETTERS,
            "table_name": "t" * 39,
            "attributes": "",
            "read_only": "yes",
            "_columns": dump([Column("Ä" * 31, "text", default="'x'"), Column("'\"", "s.m")]),
            "_table": dump(
                Table(
                    name='"T"' * 21,
                    schema="S " * 31,
                    kind="materialized view",
                    adopted=True,
                    key=Column("K '" * 21, "uuid"),
                    geometry_column="G\\" * 31,
                    indexes=(Index("i " * 31, ("a", "lower(b)"), include=("c", "d")),),
                )
            ),
        },
    ],
    ids=["one letter", "63 bytes", "long table", "long key", "long real names"],
)
def test_names_of_any_length_are_laid_out_well(bake: Bake, parameters: dict[str, str]) -> None:
    assert_clean(bake(**parameters))


def assert_clean(project: Project) -> None:
    """The linter and the formatter find nothing, as the project itself sets them."""
    for check in (["check"], ["format", "--check", "--diff"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache", "."]
        run = subprocess.run(command, cwd=project.path, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


def nodes(source: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(source))


def strings(source: str) -> list[str]:
    """The strings in some Python code."""
    constants = (node for node in nodes(source) if isinstance(node, ast.Constant))
    return [node.value for node in constants if isinstance(node.value, str)]


def keywords(source: str, name: str) -> list[object]:
    """What calls in some Python code give for a keyword."""
    return [
        node.value.value
        for node in nodes(source)
        if isinstance(node, ast.keyword)
        and node.arg == name
        and isinstance(node.value, ast.Constant)
    ]


def assigned(source: str) -> dict[str, object]:
    """The constants that annotated names in some Python code are given."""
    return {
        node.target.id: node.value.value
        for node in nodes(source)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
    }


def test_names_that_the_code_uses_itself_are_free(bake: Bake, unlike: list[Project]) -> None:
    """As columns and tables, unless they are refused."""
    identifiers = {
        identifier
        for project in unlike
        for file in project.source.rglob("*.py")
        for node in nodes(file.read_text(encoding="utf-8"))
        for identifier in identifiers_of(node)
    }
    free = sorted(name for name in identifiers - OWN if not column_rule(name))
    assert {"rows", "session", "value"} <= set(free)
    columns = ["keys:str(9)=usual", *(f"{name}:text?" for name in free if name != "keys")]
    project = bake(attributes=" ".join(columns), geometry_column="geom", table_name="session")
    assert 'COLLECTION.table.c["keys"]' in project.files[f"src/{project.package}/routes.py"]
    assert_clean(project)
    project.service("check").passed()


def identifiers_of(node: ast.AST) -> Iterator[str]:
    """The names that a node of some Python code binds or uses."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]


def test_no_table_has_a_path_of_the_service(bake: Bake) -> None:
    project = bake()
    code = f"from {project.package}.main import create_app\nprint(*create_app().openapi()['paths'])"
    (project.path / "list_paths.py").write_text(code)
    run = project.python("-m", "list_paths", DATABASE_URL="postgresql://localhost/unused")
    run.passed()
    first = {path.split("/")[1] for path in run.output.split()} - {"", project.table}
    assert {"collections", "statistics"} <= first
    assert {name for name in first if not table_rule(name)} == set()
