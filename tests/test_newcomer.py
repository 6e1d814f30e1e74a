"""A newcomer's first minutes: an ordinary user, the distribution's Python, no uv, an empty home, and what README says."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest
import templates
from clusters import free_port
from conftest import Bake
from rendering import TEMPLATE

PATH = "/usr/bin:/bin"
#: What a network may ask of pip. To compile every module would take as long as to install it.
NETWORK = {n: v for n, v in os.environ.items() if re.match(r"PIP_|(?i:.*_proxy$)|SSL_CERT", n)}
QUICK = {"PIP_NO_COMPILE": "1"}


WELL = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "Well"},
            "geometry": {"type": "Point", "coordinates": [8.5, 47.4]},
        }
    ],
}


class Newcomer:
    """An ordinary user, and an environment that holds nothing of the tests' own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            for path in (folder, self.home):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        own = {"PATH": PATH, "HOME": str(self.home), "LANG": "C.UTF-8"}
        self.environment = NETWORK | QUICK | own | environment

    def start(self, command: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
        """Start a command of README, in a session of its own."""
        return subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=self.environment | environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self.user,
        )

    def run(self, command: str, folder: Path | None = None, **environment: str) -> str:
        """Run one, and give what it prints."""
        with self.start(command, folder or self.home, **environment) as process:
            output, _ = process.communicate()
        assert process.returncode == 0, f"{command}\n{output}"
        return output

    def python(self) -> str:
        """The distribution's Python; where it is none to use, the one that runs the tests."""
        debian = "/usr/bin/python3"
        if not self._can_use(debian) and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in ("update", "install --yes --no-install-recommends python3-venv"):
                subprocess.run(["apt-get", "--quiet", *command.split()], check=False)
        if self._can_use(debian):
            return debian
        own = f"{sys.base_prefix}/bin/python3"
        print(f"{debian} is not there, too old, or lacks venv: {own} takes its place")
        if not self._can_use(own):
            print(f"{own} is closed to an ordinary user: root takes their place")
            self.user = {}
        return own

    def _can_use(self, python: str) -> bool:
        check = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))"
        with self.start(f"{python} -c '{check}'", self.home) as process:
            process.communicate()
        return process.returncode == 0


@pytest.fixture
def newcomer(postgis: ModuleType, server: Any) -> Iterator[Newcomer]:
    """Somebody whose folder is not below the tests' own, which is closed to them."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="newcomer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Newcomer(folder, **_postgis(postgis, server, folder / "postgis"))


def _postgis(postgis: ModuleType, server: Any, folder: Path) -> dict[str, str]:
    """Where their PostGIS comes from: the programs that the tests found or fetched, else the tests' server."""
    state = postgis._state(postgis._folder()) if server.own else {}
    folder.mkdir()
    if not state.get("bin"):
        url, (file,) = server.url, re.findall(r"passfile=([^&]*)", server.url) or [os.devnull]
        # libpq takes a password from no file that is another user's to read.
        copy = shutil.copy(unquote(file), folder / "passfile")
        if os.geteuid() == 0:
            shutil.chown(copy, "nobody")
        url = url.replace(file, str(copy))
        return {"DATABASE_URL": url, "TEST_DATABASE_URL": url}
    (folder / "cluster.json").write_text(json.dumps({n: state[n] for n in ("bin", "root")}))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
        shutil.chown(folder / "cluster.json", "nobody")
    return {"POSTGIS_DIR": str(folder)}


@pytest.mark.long
def test_the_first_minutes(newcomer: Newcomer) -> None:
    python = newcomer.python()
    assert shutil.which("uv", path=PATH) is None
    template = templates.copy(newcomer.home.parent / "template")

    commands = block((TEMPLATE / "README.md").read_text("utf-8"), "Use it")
    assert commands[0] == "pip install cookiecutter"
    assert commands[1].startswith("cookiecutter gh:")
    newcomer.run(f"{python} -m venv venv")
    newcomer.run(f". venv/bin/activate && {commands[0]} --quiet")
    output = newcomer.run(f". venv/bin/activate && cookiecutter {template} --no-input")
    assert "check: models, migrations, schemas and queries agree" in output
    assert "NOTHING WAS CHECKED" not in output

    project = newcomer.home / "facilities-service"
    readme = (project / "README.md").read_text("utf-8")
    start = block(readme, "Start")
    assert [line.split("#")[0].strip() for line in start] == [
        "make run",
        "make load FILE=trees.csv",
        "make export FILE=trees.gpkg",
        "make test",
        "make check",
    ]
    output = newcomer.run("make check", project)
    assert "Installing" in output
    assert "models, migrations, schemas and queries agree" in output
    # Nothing of the system's is touched, and it stays made.
    assert not (project / ".venv/ready").is_symlink()
    output = newcomer.run("make test", project, PYTEST_ADDOPTS="tests/geotables/webmap/test_map.py")
    assert "Installing" not in output
    assert " passed" in output

    (project / "trees.csv").write_text("name,lat,lon\nOak,47.4,8.5\n")
    (project / "trees.csv").chmod(0o644)
    load, export = (line.split("#")[0].strip() for line in start[1:3])
    assert_served(newcomer, project, load)
    newcomer.run(export, project)
    assert b"Oak" in (project / "trees.gpkg").read_bytes()
    assert "Oak" in newcomer.run("echo 'SELECT name FROM facilities' | make psql", project)
    assert "API_KEYS" in newcomer.run("make key", project)

    features = newcomer.home / "FILE"
    features.write_text(json.dumps(WELL))
    features.chmod(0o644)
    use = [line for line in block(readme, "Use") if " serve " not in line]
    use = [line.replace("load FILE", f"load {features}") for line in use]
    output = newcomer.run(
        "\n".join(["set -e", *use, "cat FILE", "python tools/postgis.py stop"]), project
    )
    assert '"Well"' in output

    # By the cookiecutter that is on the PATH.
    table = f"make table TEMPLATE={template} ARGS='resource_name=road geometry_type=LINESTRING'"
    output = newcomer.run(f". {newcomer.home}/venv/bin/activate && {table}", project)
    assert "tables/roads.py" in output
    assert "Installing" not in output


def assert_served(newcomer: Newcomer, project: Path, load: str) -> None:
    """``make run`` serves what is loaded meanwhile, says where, and logs lines for people."""
    port = free_port()
    with newcomer.start("make run", project, PORT=str(port)) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            while not answers(f"{url}/"):
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.2)
            with urllib.request.urlopen(f"{url}/map") as response:
                assert b"<html" in response.read()
            newcomer.run(load, project)
            with urllib.request.urlopen(f"{url}/collections/facilities/items") as response:
                assert b"Oak" in response.read()
        finally:
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate()
    assert f"{url}/map" in output
    assert f"{url}/docs" in output
    assert '{"time"' not in output
    assert "alembic.runtime.plugins" not in output


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


def block(readme: str, heading: str) -> list[str]:
    """The lines of the first block of commands below a heading."""
    found = re.search(
        rf"^## {heading}\n(?:(?!^## ).*\n)*?```\n((?:.*\n)*?)```", readme, re.MULTILINE
    )
    assert found, heading
    return found[1].splitlines()


def test_an_environment_is_made_again_where_it_cannot_serve(bake: Bake) -> None:
    project = bake().path
    assert "--clear" in planned(project)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", project / ".venv"], check=True)
    assert "venv" in planned(project)
    assert "--clear" not in planned(project)
    ready = project / ".venv/ready"
    ready.write_text(f"{sys.version_info[0]} {sys.version_info[1]} {project}\n")
    assert "venv" not in planned(project)

    moved = project.rename(project.with_name("moved"))
    assert "--clear" in planned(moved)
    project = moved.rename(project)
    assert "venv" not in planned(project)

    python = project / ".venv/bin/python"
    python.unlink()
    python.symlink_to(project / "removed")
    assert "--clear" in planned(project)


@pytest.mark.parametrize(
    ("has_uv", "lock", "is_ci", "commands"),
    [
        (
            False,
            "",
            False,
            ["install --editable", "freeze --exclude-editable > constraints.txt"],
        ),
        (False, "constraints.txt", False, ["--requirement constraints.txt", "> constraints.txt"]),
        (
            False,
            "constraints.txt",
            True,
            ["--requirement constraints.txt", "--no-index --group dev"],
        ),
        (True, "", False, ["uv sync --quiet --inexact"]),
        (True, "uv.lock", True, ["uv sync --quiet --inexact --locked"]),
        (False, "uv.lock", False, ["install uv", "uv sync --quiet --inexact"]),
        (
            True,
            "constraints.txt",
            True,
            ["--requirement constraints.txt", "--no-index --group dev"],
        ),
    ],
)
def test_a_lock_is_followed_where_there_is_one_and_kept_in_ci(
    bake: Bake, tmp_path: Path, has_uv: bool, lock: str, is_ci: bool, commands: list[str]
) -> None:
    project, programs = bake().path, tmp_path / "programs"
    programs.mkdir()
    if has_uv:
        (programs / "uv").touch(0o755)
    if lock:
        (project / lock).touch()
    environment = {"PATH": f"{programs}:{PATH}"} | ({"CI": "true"} if is_ci else {})
    run = subprocess.run(
        ["make", "--dry-run", "lint"],
        cwd=project,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    planned = run.stdout.partition("ruff check")[0]
    for command in commands:
        assert command in planned
    assert ("freeze" in planned) is (not is_ci and "> constraints.txt" in commands[-1])
    assert ("--locked" in planned) is ("--locked" in commands[-1])


def planned(project: Path) -> str:
    """How ``make lint`` would make the environment."""
    command = ["make", "--dry-run", "lint"]
    run = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    return "\n".join(line for line in run.stdout.splitlines() if "-m venv" in line)
