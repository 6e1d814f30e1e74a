"""Tests of the rendered suite, with PgBouncer in transaction mode between the service and the database."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
from clusters import Service, eventually, free_port
from conftest import Bake
from variants import FILES

#: Given to the rendered tests: their databases are made on the server, and used through PgBouncer.
PLUGIN = """
import contextlib, os, re, postgis

direct = postgis.Server.database

@contextlib.contextmanager
def pooled(server):
    with direct(server) as url:
        yield re.sub(r"@[^/]*/", f"@{os.environ['PGBOUNCER']}/", url)

postgis.Server.database = pooled
"""

#: The tests of what a session could keep between transactions: settings, locks, cursors, temporary tables, COPY,
#: prepared statements, and connections that end.
WITH_SESSIONS = (
    *("checks", "database", "export", "faults", "features_edits", "load", "migrations", "tiles"),
)

#: What some of them ask of sessions, which belong to PgBouncer here.
OF_SESSIONS = "not sessions_that_end and not that_the_server_closed and not only_reads"


@pytest.fixture(scope="session")
def programs(postgis: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution's PgBouncer, unpacked without root where it is not installed."""
    folder = postgis._folder() / "pgbouncer"
    if Path("/usr/sbin/pgbouncer").exists():
        return Path("/")
    if not folder.exists():
        scratch = tmp_path_factory.mktemp("packages")
        plan = subprocess.run(
            ["apt-get", "install", "--simulate", "--no-install-recommends", "pgbouncer"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        missing = re.findall(r"^Inst (\S+) ", plan, re.MULTILINE)
        needed = [
            name for name in missing if re.match(r"pgbouncer$|libevent|libc-ares|libcares", name)
        ]
        subprocess.run(
            ["apt-get", "download", *needed], cwd=scratch, check=True, capture_output=True
        )
        for package in scratch.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
    return Path(folder)


@pytest.fixture
def pgbouncer(
    programs: Path, postgis: ModuleType, server: Any, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The address of a PgBouncer before the server, for every database of it; a test may give its limits."""
    limits = getattr(request, "param", "default_pool_size = 5")
    parts, port = urlsplit(server.url), free_port()
    user = postgis._server_user()
    with tempfile.TemporaryDirectory(dir=postgis._folder(), prefix="faults-") as name:
        folder = Path(name)
        # The file that the URL names has one line, which ends with the password.
        (file,) = parse_qs(parts.query).get("passfile", [os.devnull])
        password = Path(file).read_text().strip().rpartition(":")[2]
        (folder / "users").write_text(f'"{parts.username}" "{password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"""
            [databases]
            * = host={parts.hostname} port={parts.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = plain
            auth_file = {folder}/users
            pool_mode = transaction
            # The search path of the suite's table without constraints: here, its tests have the real one.
            ignore_startup_parameters = options
            {limits}
            server_idle_timeout = 1
            logfile = {folder}/log
            """.replace("            ", "")
        )
        for path in (folder, *folder.iterdir()):
            if user:
                os.chown(path, user["user"], user["group"])
        libraries = ":".join({str(file.parent) for file in programs.glob("usr/lib/*/lib*.so*")})
        process = subprocess.Popen(
            [programs / "usr/sbin/pgbouncer", folder / "pgbouncer.ini"],
            env={"LD_LIBRARY_PATH": libraries} if programs != Path("/") else {},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **user,
        )
        try:
            eventually(
                lambda: (
                    "process up" in (folder / "log").read_text()
                    if (folder / "log").exists()
                    else False
                )
            )
            yield f"{parts.username}@127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


@pytest.mark.long
def test_the_rendered_tests_of_sessions_pass(bake: Bake, server: Any, pgbouncer: str) -> None:
    project = bake()
    files = [FILES[name] for name in WITH_SESSIONS]
    (project.path / "tests" / "pooled.py").write_text(PLUGIN)
    run = project.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.pooled", "-k", OF_SESSIONS),
        # Commands do on sessions what the tests of their functions do.
        *("-m", "not process"),
        *files,
        TEST_DATABASE_URL=server.url,
        PGBOUNCER=pgbouncer.rpartition("@")[2],
        PYTHONPATH=f"{project.path / 'src'}:{project.path}",
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    assert run.code == 0, run


@pytest.mark.parametrize(
    "pgbouncer", ["default_pool_size = 1\nquery_wait_timeout = 1"], indirect=True
)
def test_whoever_waits_too_long_for_a_connection_is_told(
    bake: Bake, database_url: str, pgbouncer: str, tmp_path: Path
) -> None:
    project = bake()
    assert project.service("migrate", DATABASE_URL=database_url).code == 0
    pooled = re.sub(r"//.*@[^/]*/", f"//{pgbouncer}/", database_url)
    with Service(project, tmp_path, DATABASE_URL=pooled) as service:
        assert service.client.get(service.path).status_code == 200
        assert service.ready()
        other = psycopg2.connect(pooled)
        # Its transaction has the only connection.
        other.cursor().execute("SELECT 1")
        refused = service.client.get(service.path)
        # Busy is not broken: else every replica would drop out at once.
        assert service.ready()
        other.close()
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert refused.json()["detail"] == "the database is unavailable"
        eventually(lambda: service.client.get(service.path).status_code == 200)


@pytest.mark.parametrize("pgbouncer", ["default_pool_size = 1"], indirect=True)
def test_a_service_is_ready_while_statements_wait_for_connections(
    bake: Bake, database_url: str, pgbouncer: str, tmp_path: Path
) -> None:
    project = bake()
    assert project.service("migrate", DATABASE_URL=database_url).code == 0
    pooled = re.sub(r"//.*@[^/]*/", f"//{pgbouncer}/", database_url)
    settings = {"DATABASE_URL": pooled, "STATEMENT_TIMEOUT": "1"}
    with Service(project, tmp_path, **settings) as service:
        assert service.ready()
        other = psycopg2.connect(pooled)
        other.cursor().execute("SELECT 1")
        # What it has found holds for a second: it has to ask again.
        time.sleep(1.1)
        assert service.ready()
        # Longer than a statement may take, and nobody gets an answer: it is broken.
        eventually(lambda: not service.ready())
        other.close()
        eventually(service.ready)
