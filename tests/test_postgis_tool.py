"""tools/postgis.py of the service, against real servers that it starts itself."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import clusters
import psycopg2
import pytest

TOOL = Path(__file__).parents[1] / "{{cookiecutter.project_slug}}/tools/postgis.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("postgis_tool", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


postgis = _load()
VARIABLES = ("TEST_DATABASE_URL", "DATABASE_URL")


@pytest.fixture(scope="session")
def remembered() -> str:
    """What the user's own cluster remembers: new folders take PostGIS from where it did."""
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        with postgis.server():
            folder: Path = postgis._folder()
            if "bin" not in postgis._state(folder):
                pytest.skip("there is no PostgreSQL outside of containers here")
            state = postgis._state(folder)
            return json.dumps({name: state[name] for name in ("bin", "root")})


@pytest.fixture
def folder(remembered: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with no cluster in it yet, where the server's user can reach it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="postgis-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "cluster.json").write_text(remembered)
        monkeypatch.setenv("POSTGIS_DIR", str(path))
        yield path
        if pid := _server_pid(path):
            os.kill(pid, signal.SIGQUIT)
            _wait(lambda: _server_pid(path) is None)


def _server_pid(folder: Path) -> int | None:
    for file in folder.glob("data-*/postmaster.pid"):
        pid = int(file.read_text().split()[0])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            return pid
    return None


def _wait(condition: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def _databases(url: str) -> set[str]:
    return {name for (name,) in clusters.execute(url, "SELECT datname FROM pg_database")}


def _user(body: str, **environment: str) -> subprocess.Popen[str]:
    """A process that uses the server: `body` runs with `server` at hand."""
    program = f"import sys; sys.path.insert(0, {str(TOOL.parent)!r}); import postgis\n"
    program += "with postgis.server() as server:\n" + textwrap.indent(textwrap.dedent(body), "    ")
    return subprocess.Popen(
        [sys.executable, "-B", "-c", program],
        env=os.environ | environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _tool(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=False, **options)


# Each process has a file of its own for the password, which its URL names.
WAITING = "print(server.url.partition('?')[0], flush=True); sys.stdin.read()"


# --- Databases


def test_a_database_is_fresh_has_postgis_and_is_gone_afterwards(folder: Path) -> None:
    with postgis.server() as server:
        with server.database() as one, server.database() as two:
            assert one != two
            clusters.execute(one, "CREATE TABLE place (location geometry(POINT, 27700))")
            assert clusters.execute(two, "SELECT to_regclass('place')") == [(None,)]
            assert clusters.execute(two, "SELECT ST_AsText(ST_Point(1, 2))") == [("POINT(1 2)",)]
            left_open = psycopg2.connect(one)
        left_open.close()
        names = _databases(server.url)
    kept = {name for name in names if not name.startswith(postgis.TEMPLATE_PREFIX)}
    assert kept == {"postgres", "template0", "template1"}


def test_a_database_is_dropped_when_the_test_fails(folder: Path) -> None:
    with postgis.server() as server:
        before: set[str] = set()
        with pytest.raises(ZeroDivisionError), server.database():
            before = _databases(server.url)
            raise ZeroDivisionError
        assert len(before - _databases(server.url)) == 1


def test_an_error_of_the_test_itself_is_left_as_it_is(folder: Path) -> None:
    with (
        postgis.server() as server,
        pytest.raises(psycopg2.errors.InsufficientPrivilege),
        server.database() as url,
    ):
        clusters.execute(url, "SET ROLE pg_monitor; CREATE SCHEMA refused")


def test_the_data_of_a_development_database_is_kept(folder: Path) -> None:
    with postgis.server() as server:
        url = server.ensure_database('my "first" service')
        clusters.execute(url, "CREATE TABLE kept AS SELECT ST_Point(1, 2) AS location")
    assert _server_pid(folder) is None
    with postgis.server() as server:
        url = server.ensure_database('my "first" service')
        assert clusters.execute(url, "SELECT ST_X(location) FROM kept") == [(1.0,)]


def test_databases_of_killed_runs_are_dropped_and_live_ones_are_not(folder: Path) -> None:
    body = "with server.database() as url:\n    print(url, flush=True); sys.stdin.read()"
    with postgis.server() as server, server.database() as live:
        killed = _user(body)
        assert killed.stdout is not None
        left = killed.stdout.readline().strip()
        killed.kill()
        killed.communicate()
        name = urlsplit(left).path[1:]
        in_use = f"SELECT 1 FROM pg_locks WHERE objid = hashtext('{name}')::oid"
        _wait(lambda: not clusters.execute(server.url, in_use))
        with server.database():
            names = _databases(server.url)
        assert name not in names
        assert urlsplit(live).path[1:] in names


def test_the_server_asks_for_its_password(folder: Path) -> None:
    with postgis.server() as server:
        host = server.url.partition("@")[2]
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(f"postgresql://postgres:guess@{host}")


# --- Sharing


def test_the_last_user_stops_the_server(folder: Path) -> None:
    with postgis.server() as server:
        other = _user(WAITING)
        assert other.stdout is not None
        assert other.stdout.readline().strip() == server.url.partition("?")[0]
    assert _server_pid(folder) is not None
    other.communicate("")
    assert _server_pid(folder) is None


def test_a_killed_user_does_not_keep_the_server_up(folder: Path) -> None:
    with postgis.server():
        other = _user(WAITING)
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
        other.communicate()
    assert _server_pid(folder) is None


def test_a_server_whose_only_user_was_killed_is_taken_over(folder: Path) -> None:
    killed = _user(WAITING)
    assert killed.stdout is not None
    url = killed.stdout.readline().strip()
    killed.kill()
    killed.communicate()
    with postgis.server() as server:
        assert server.url.partition("?")[0] == url
    assert _server_pid(folder) is None


def test_ten_processes_starting_at_once_share_one_server(folder: Path) -> None:
    body = "with server.database():\n    print(server.ensure_database('shared').partition('?')[0])"
    users = [_user(body) for _ in range(10)]
    urls = [user.communicate()[0].strip() for user in users]
    assert [user.returncode for user in users] == [0] * 10
    # Those who came after the last had left found it stopped, and started it on the same port.
    assert len(set(urls)) == 1
    assert _server_pid(folder) is None


def test_the_server_is_out_of_reach_of_the_terminals_ctrl_c(folder: Path) -> None:
    with postgis.server():
        pid = _server_pid(folder)
        assert pid is not None
        assert os.getsid(pid) != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_a_server_that_died_is_started_again(folder: Path, number: signal.Signals) -> None:
    with postgis.server() as server:
        url = server.ensure_database("kept")
        pid = _server_pid(folder)
        assert pid is not None
        os.kill(pid, number)
        _wait(lambda: _server_pid(folder) is None)
        with postgis.server() as again:
            assert clusters.execute(again.ensure_database("kept"), "SELECT 1") == [(1,)]
    assert url


def test_a_process_id_that_was_given_away_does_not_stop_the_start(folder: Path) -> None:
    with postgis.server() as server:
        server.ensure_database("kept")
        (data,) = folder.glob("data-*")
        pid_file = (data / "postmaster.pid").read_text()
    # As after a power cut, with the id now another program's of the server's own user.
    sleeper = subprocess.Popen(["sleep", "60"], **postgis._server_user())
    try:
        lines = pid_file.splitlines(keepends=True)
        (data / "postmaster.pid").write_text(f"{sleeper.pid}\n" + "".join(lines[1:]))
        with postgis.server() as server:
            assert "kept" in _databases(server.url)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_taken_port_is_left_to_its_owner(folder: Path) -> None:
    with postgis.server() as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
    with postgis.socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with postgis.server() as server:
            assert f":{port}/" not in server.url


# --- A server that is given


@pytest.fixture
def given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server as another would run it, and nothing that says that it is ours."""
    with postgis.server() as server:
        monkeypatch.setenv("TEST_DATABASE_URL", server.url)
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        yield server.url


def _role(url: str, attributes: str) -> str:
    clusters.execute(url, f"CREATE ROLE limited LOGIN PASSWORD 'secret' {attributes}")
    return f"postgresql://limited:secret@{url.partition('@')[2]}"


def test_a_given_server_keeps_what_it_has(given: str, capfd: pytest.CaptureFixture[str]) -> None:
    clusters.execute(given, "CREATE DATABASE precious")
    before = _databases(given)
    with postgis.server() as server:
        assert server.url == given
        assert server.ensure_database("facilities") == given
        with server.database() as url:
            assert clusters.execute(url, "SELECT ST_X(ST_Point(1, 2))") == [(1.0,)]
    after = _databases(given)
    assert before <= after
    assert all(name.startswith(postgis.TEMPLATE_PREFIX) for name in after - before)
    assert "TEST_DATABASE_URL" in capfd.readouterr().err


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_spelling_of_the_url_is_taken(
    given: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spelled = given.replace("postgresql", scheme, 1) + "&application_name=a%20b&dbname=postgres"
    monkeypatch.setenv("TEST_DATABASE_URL", spelled)
    with postgis.server() as server, server.database() as url:
        assert url.startswith(f"{scheme}://")
        url = url.replace("+psycopg2", "")
        rows = clusters.execute(
            url, "SELECT current_database(), current_setting('application_name')"
        )
        assert rows[0][0].startswith(postgis.TEST_PREFIX)
        assert rows[0][1] == "a b"


def test_a_role_that_may_create_nothing_is_told_so(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgis.server() as server, server.database():
        pass
    monkeypatch.setenv("TEST_DATABASE_URL", _role(given, "NOCREATEDB"))
    with (
        postgis.server() as server,
        pytest.raises(postgis.PostgisUnavailable, match='ALTER ROLE "limited" CREATEDB') as refusal,
        server.database(),
    ):
        pass
    assert "secret" not in str(refusal.value)


def test_a_role_that_may_not_create_the_extension_is_told_so(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", _role(given, "CREATEDB"))
    before = _databases(given)
    with (
        postgis.server() as server,
        pytest.raises(postgis.PostgisUnavailable, match="CREATE EXTENSION IF NOT EXISTS postgis"),
        server.database(),
    ):
        pass
    assert _databases(given) == before


def test_a_role_that_may_create_databases_finds_postgis_in_template1(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters.execute(postgis._with_database(given, "template1"), "CREATE EXTENSION postgis")
    monkeypatch.setenv("TEST_DATABASE_URL", _role(given, "CREATEDB"))
    with postgis.server() as server, server.database() as url:
        assert clusters.execute(url, "SELECT ST_X(ST_Point(1, 2))") == [(1.0,)]


def test_a_server_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x")
    with (
        pytest.raises(postgis.PostgisUnavailable, match=r"127\.0\.0\.1:1") as refusal,
        postgis.server(),
    ):
        pass
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("postgresql", "version", "complaint"),
    [
        ("120022", "3.3.2", "PostgreSQL 12; 13 or newer"),
        ("130000", "3.0.11", "PostGIS 3.0.11; 3.1 or newer"),
        ("130000", None, "no PostGIS"),
    ],
)
def test_an_old_server_is_refused(postgresql: str, version: str | None, complaint: str) -> None:
    def execute(statement: str, *_values: object) -> list[tuple[Any, ...]]:
        if statement == "SHOW server_version_num":
            return [(postgresql,)]
        return [(version,)] if version else []

    with pytest.raises(postgis.PostgisUnavailable, match=complaint):
        postgis._checked_version(execute)


# --- Where it comes from


def test_nothing_at_all_says_what_would_help(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "cluster.json").unlink()
    (tmp_path / "brew").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgis, "BIN_FOLDERS", ())
    with pytest.raises(postgis.PostgisUnavailable, match="brew install postgis"), postgis.server():
        pass


def test_programs_without_postgis_are_passed_over(folder: Path) -> None:
    binaries = postgis._earlier(folder).binaries
    settings = binaries.run("initdb", "--show", "--pgdata=/nonexistent")
    share = Path(re.search(r"^share_path=(.*)$", settings, re.MULTILINE)[1])
    # Programs find their files by the path between the two folders, and the machine's own where it is another.
    bare = [folder / "bare" / part.relative_to("/") for part in (binaries.bin, share)]
    shutil.copytree(binaries.bin, bare[0])
    shutil.copytree(share, bare[1], ignore=shutil.ignore_patterns("postgis*"))
    assert not postgis.Binaries(bare[0], binaries.root).usable()
    shutil.copy(share / "extension/postgis.control", bare[1] / "extension")
    assert postgis.Binaries(bare[0], binaries.root).usable()


def test_packages_that_were_unpacked_by_half_are_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(scratch: Path) -> Path:
        (scratch / "root/usr").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(postgis, "_unpack", interrupted)
    (folder / "making-killed").mkdir()
    (folder / "cluster.json").unlink()
    monkeypatch.setattr(postgis, "_installed", lambda: None)
    monkeypatch.setattr(postgis.shutil, "which", lambda name: name)
    with pytest.raises(KeyboardInterrupt), postgis.server():
        pass
    assert {path.name for path in folder.iterdir()} == {"start.lock", "users.lock"}


def test_a_folder_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(postgis.PostgisUnavailable, match="others can write"):
        postgis._folder()


def test_the_first_folder_that_serves_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTGIS_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    assert postgis._folder() == folder / "postgis-dev"
    (folder / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    monkeypatch.setenv("HOME", str(folder))
    assert postgis._folder() == folder / ".cache/postgis-dev"


def test_a_bare_environment_will_do(folder: Path) -> None:
    environment = {"PATH": os.defpath, "POSTGIS_DIR": str(folder)}
    done = _tool("run", "--", "/bin/sh", "-c", "echo $DATABASE_URL", env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("postgresql://")


# --- The command line


def test_run_passes_the_url_and_the_exit_code_on(folder: Path) -> None:
    program = "import os, sys; print(os.environ['DATABASE_URL']); sys.exit(7)"
    done = _tool("run", "--database", "shop", "--", sys.executable, "-c", program)
    assert done.returncode == 7
    assert done.stdout.strip().endswith("/shop")
    assert _server_pid(folder) is None
    assert _tool("run", "--", "/nonexistent/program").returncode == 127
    assert _tool("run", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


def _start_run(script: str, number: int, handler: Any) -> subprocess.Popen[str]:
    """Start `run -- sh -c script`, with the signal handled so, whatever the runner of the tests does with it."""
    command = [sys.executable, str(TOOL), "run", "--", "sh", "-c", script]
    handle = functools.partial(signal.signal, number, handler)
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=handle
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_hands_signals_on_and_stops_the_server(folder: Path, number: signal.Signals) -> None:
    script = (
        f"trap 'echo caught; exit 3' {number.name[3:]}; echo ready; while :; do sleep 0.1; done"
    )
    with _start_run(script, number, signal.SIG_DFL) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            running.send_signal(number)
            assert running.communicate(timeout=30)[0] == "caught\n"
        finally:
            running.kill()
    assert running.returncode == 3
    assert _server_pid(folder) is None


def test_run_goes_on_when_the_terminal_is_closed_under_nohup(folder: Path) -> None:
    script = 'echo ready; while [ ! -e "$POSTGIS_DIR/go" ]; do sleep 0.1; done; echo done'
    with _start_run(script, signal.SIGHUP, signal.SIG_IGN) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            os.killpg(running.pid, signal.SIGHUP)
            (folder / "go").touch()
            assert running.communicate(timeout=30)[0] == "done\n"
        finally:
            running.kill()
    assert running.returncode == 0


def test_start_keeps_the_server_up_until_stop(folder: Path) -> None:
    url = _tool("start").stdout.strip()
    with postgis.server():
        pass
    assert clusters.execute(url, "SELECT 1") == [(1,)]
    assert _tool("stop").returncode == 0
    assert _server_pid(folder) is None
    assert "does not run" in _tool("stop").stderr
