"""A PostGIS to develop and test on, found or made in this order:

1. the server that TEST_DATABASE_URL or DATABASE_URL names;
2. the private cluster that an earlier run made;
3. a new one, from PostgreSQL programs on this machine that come with PostGIS;
4. a new one, from the packages of Debian or Ubuntu, unpacked into a cache folder without root;
5. a container, if Docker answers.

    with postgis.server() as server:
        with server.database() as url:  # empty, with PostGIS, dropped at the end
            ...

The private server listens on 127.0.0.1 alone, is shared by all processes of a user, keeps its data
and is stopped by the last process to leave. POSTGIS_DIR names another folder for it.
Starting it needs the standard library alone; databases are made through psycopg2.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import importlib
import json
import os
import platform
import pwd
import re
import secrets
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO
from unittest import mock
from urllib.parse import quote, unquote, urlsplit

OLDEST_POSTGRESQL = 13
OLDEST_POSTGIS = (3, 1)
TEST_PREFIX = "postgis_test_"
TEMPLATE_PREFIX = f"{TEST_PREFIX}template_"
# PostGIS's own image is for x86 alone.
ON_ARM = platform.machine() in ("aarch64", "arm64")
IMAGE = "imresamu/postgis:17-3.5" if ON_ARM else "postgis/postgis:17-3.5"
BIN_FOLDERS = (  # below /
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/libexec/postgresql*",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
    "opt/local/lib/postgresql*/bin",
    "Applications/Postgres.app/Contents/Versions/*/bin",
)
# A scheme, a user, a password, hosts and a database, and what stands after a question mark. A
# password may hold what libpq wants written as %2F and such, but for an @.
URL = re.compile(
    r"(postgres(?:ql)?(?:\+\w+)?://)(?:([^:@/]*)(?::([^@]*))?@)?([^@?]*)(?:\?(.*))?", re.DOTALL
)
# The data is what a developer can load again, so speed is worth more than surviving a power cut.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "jit": "off",
}
# Parts of the packages' dependencies that the server runs without (JIT is off, nothing is
# configured), and the C library, which has to be the one of the machine's own loader.
UNNEEDED_PACKAGES = re.compile(
    r"(lib)?(llvm|perl|z3)[-\d.]|(lib)?perl|libc6|libc-|locales|.*-(dev|doc|common)(:|$)"
    r"|(debconf|dpkg|adduser|openssl|ssl-cert|tar|ucf|sensible-utils|netbase)(:|$)"
)


class PostgisUnavailable(RuntimeError):
    """There is no PostGIS to be had, or it cannot be used; the message says what helps."""


def _say(text: str) -> None:
    print(f"postgis: {text}", file=sys.stderr, flush=True)


# --- Databases on a server -----------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A running server: its URL, where it came from, and whether it is ours to keep data in."""

    url: str
    how: str
    own: bool = True

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of a fresh database with PostGIS in it, dropped at the end.

        Raises PostgisUnavailable if the server cannot be reached, is too old, or refuses.
        """
        name = TEST_PREFIX + secrets.token_hex(8)
        with _session(self.url) as execute:
            _drop_abandoned(execute)
            template = _template(execute, self.url)
            _mark_used(execute, name)
            _copy(execute, template, name)
            try:
                yield _with_database(self.url, name)
            finally:
                with _session(self.url) as drop:  # tests may have ended the first connection
                    drop(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def ensure_database(self, name: str) -> str:
        """Give the URL of the development database `name`, made with PostGIS if it is not there.

        On a server that was given by its URL nothing is made: that URL is returned.
        """
        if not self.own:
            _say(f"{self.how} is used as given, the database {name!r} is not made")
            return self.url
        with _session(self.url) as execute:
            if not _exists(execute, name):
                template = _template(execute, self.url)
                execute("SELECT pg_advisory_lock(hashtext(%s))", name)
                if not _exists(execute, name):
                    _copy(execute, template, name)
        return _with_database(self.url, name)


Execute = Callable[..., list[tuple[Any, ...]]]


@contextlib.contextmanager
def _session(url: str) -> Iterator[Execute]:
    """Connect and give a function that runs one statement and returns its rows."""
    psycopg2 = _psycopg2()
    shown, password = _split_password(url)
    dsn = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", shown)
    secret = {} if password is None else {"password": password}
    try:
        connection = psycopg2.connect(dsn, connect_timeout=10, **secret)
    except psycopg2.Error as error:
        raise PostgisUnavailable(f"no connection to {shown}: {error}".strip()) from error
    connection.autocommit = True

    def execute(statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall()) if cursor.description is not None else []
        except psycopg2.errors.InsufficientPrivilege as error:
            raise PostgisUnavailable(
                f"{shown}: {str(error).strip()}\nEach test gets a database of its own with PostGIS."
                f' Let a superuser run: ALTER ROLE "{connection.info.user}" CREATEDB; and, in the '
                "database template1 of that server: CREATE EXTENSION IF NOT EXISTS postgis;"
            ) from error

    try:
        yield execute
    finally:
        connection.close()


def _psycopg2() -> Any:
    try:
        return importlib.import_module("psycopg2")
    except ImportError as error:
        raise PostgisUnavailable(
            f"databases are made through psycopg2, which is missing ({error}): "
            f"{shlex.quote(sys.executable)} -m pip install psycopg2-binary"
        ) from error


def _template(execute: Execute, url: str) -> str:
    """The name of the database with nothing but PostGIS in it, made if it is not there."""
    name = TEMPLATE_PREFIX + re.sub(r"\W", "_", _checked_version(execute))
    if not _exists(execute, name):
        with _session(url) as alone:  # whose end ends the lock
            alone("SELECT pg_advisory_lock(hashtext(%s))", name)
            if not _exists(alone, name):
                _make_template(alone, url, name)
    return name


def _exists(execute: Execute, name: str) -> bool:
    return bool(execute("SELECT 1 FROM pg_database WHERE datname = %s", name))


def _make_template(execute: Execute, url: str, name: str) -> None:
    # Under another name until it is whole: a killed run leaves no half template.
    draft = TEST_PREFIX + secrets.token_hex(8)
    _mark_used(execute, draft)
    execute(f"CREATE DATABASE {draft}")
    try:
        with _session(_with_database(url, draft)) as inside:
            inside("CREATE EXTENSION IF NOT EXISTS postgis")
    except PostgisUnavailable:
        execute(f"DROP DATABASE {draft} WITH (FORCE)")
        raise
    execute(f"ALTER DATABASE {draft} RENAME TO {name}")
    execute(f"ALTER DATABASE {name} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")


def _copy(execute: Execute, template: str, name: str) -> None:
    quoted = name.replace('"', '""')
    # From 15 on the default writes every page to the log; copying the files is 4 times as fast.
    strategy = "STRATEGY file_copy" if _postgresql_version(execute) >= 150000 else ""
    execute(f'CREATE DATABASE "{quoted}" TEMPLATE {template} {strategy}')


def _mark_used(execute: Execute, name: str) -> None:
    """Hold a lock for as long as this connection lives: the database `name` is in use."""
    execute("SELECT pg_advisory_lock(hashtext(%s), hashtext(%s))", TEST_PREFIX, name)


def _drop_abandoned(execute: Execute) -> None:
    """Drop the test databases of runs that were killed."""
    abandoned = execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        " AND NOT starts_with(datname, %s) AND NOT EXISTS (SELECT FROM pg_locks"
        " WHERE locktype = 'advisory' AND classid = hashtext(%s)::oid"
        " AND objid = hashtext(datname)::oid)",
        *(TEST_PREFIX, TEMPLATE_PREFIX, TEST_PREFIX),
    )
    for (name,) in abandoned:
        with contextlib.suppress(_psycopg2().Error, PostgisUnavailable):  # another role's
            execute(f"DROP DATABASE {name}")


def _postgresql_version(execute: Execute) -> int:
    return int(execute("SHOW server_version_num")[0][0])


def _checked_version(execute: Execute) -> str:
    """The version of PostGIS; raises PostgisUnavailable if that or PostgreSQL is too old."""
    postgresql = _postgresql_version(execute) // 10000
    if postgresql < OLDEST_POSTGRESQL:
        raise PostgisUnavailable(
            f"the server is PostgreSQL {postgresql}; {OLDEST_POSTGRESQL} or newer is needed"
        )
    rows = execute("SELECT default_version FROM pg_available_extensions WHERE name = 'postgis'")
    if not rows:
        raise PostgisUnavailable("the server has no PostGIS; " + _advice())
    version = str(rows[0][0])
    if _numbers(version) < OLDEST_POSTGIS:
        oldest = ".".join(map(str, OLDEST_POSTGIS))
        raise PostgisUnavailable(f"the server has PostGIS {version}; {oldest} or newer is needed")
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _split_password(url: str) -> tuple[str, str | None]:
    """The URL without its password, and the password."""
    match = URL.fullmatch(url)
    if match is None:
        # libpq's message would repeat the URL.
        raise PostgisUnavailable(
            "the server's URL is not like postgresql://user:password@host:5432/database"
            " (in a password, @ is written as %40)"
        )
    start, user, password, place, query = match.groups()
    pairs = (query or "").split("&")
    password = next((pair[9:] for pair in pairs if pair.startswith("password=")), password)
    if password is not None:
        pairs = [pair for pair in pairs if not pair.startswith(("password=", "passfile="))]
    shown = start + ("" if user is None else f"{user}@") + place
    shown += "?" * any(pairs) + "&".join(pairs)
    return shown, None if password is None else unquote(password)


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("dbname="))
    return f"{parts.scheme}://{parts.netloc}/{quote(name)}" + (f"?{query}" if query else "")


# --- Where a server comes from -------------------------------------------------------------------


@contextlib.contextmanager
def server(
    variables: Sequence[str] = ("TEST_DATABASE_URL", "DATABASE_URL"),
) -> Iterator[Server]:
    """Give a server with PostGIS; the last process to leave a private one stops it.

    Its URL names a file that has the password, which is not in the environment any more: a test
    that fails shows arguments, variables and what libpq was called with.

    Raises PostgisUnavailable, with what would help, if there is none to be had.
    """
    with (
        _server(variables) as found,
        tempfile.TemporaryDirectory(prefix="postgis-") as scratch,
        mock.patch.dict(os.environ),
    ):
        url, password = _split_password(found.url)
        password = password or os.environ.get("PGPASSWORD")
        for variable in (*variables, "PGPASSWORD"):
            os.environ.pop(variable, None)
        if password:
            file = Path(scratch, "passfile")
            file.touch(mode=0o600)  # libpq reads no other
            escaped = re.sub(r"[\\:]", r"\\\g<0>", password)
            file.write_text(f"*:*:*:*:{escaped}\n")
            url += f"{'&' if '?' in url else '?'}passfile={quote(str(file))}"
        yield replace(found, url=url)


@contextlib.contextmanager
def _server(variables: Sequence[str]) -> Iterator[Server]:
    for variable in variables:
        if url := os.environ.get(variable):
            _say(f"using the server that {variable} names")
            with _session(url) as execute:
                _checked_version(execute)
            yield Server(url, variable, own=False)
            return
    folder = _folder()
    cluster: PrivateCluster | Container | None = None
    # Every user holds this lock shared. The kernel frees it when a process ends, however it ends.
    with (folder / "users.lock").open("a") as users:
        try:
            with _locked(folder):
                fcntl.flock(users, fcntl.LOCK_SH)
                for left_over in folder.glob("making-*"):  # by a run that was killed
                    shutil.rmtree(left_over, ignore_errors=True)
                cluster = _earlier(folder) or _new(folder)
                url = cluster.url() or cluster.start()
            yield Server(url, cluster.how)
        finally:
            if cluster is not None:
                _leave(folder, cluster, users)


def _leave(folder: Path, cluster: PrivateCluster | Container, users: TextIO) -> bool:
    """Stop the server if nobody else uses it and it is not to be kept; say whether it stopped."""
    with _locked(folder):
        if (folder / "keep").exists():
            return False
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        cluster.stop()
        return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only one who makes, starts or stops the server of this folder."""
    with (folder / "start.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another process that starts or stops the server")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _earlier(folder: Path) -> PrivateCluster | Container | None:
    state = _state(folder)
    if state.get("bin"):
        root = Path(state["root"]) if state["root"] else None
        binaries = Binaries(Path(state["bin"]), root)
        return PrivateCluster(folder, binaries) if binaries.usable() else None
    return Container(folder) if "container" in state and _docker_answers() else None


def _new(folder: Path) -> PrivateCluster | Container:
    failure = ""
    binaries = None
    try:
        pwd.getpwuid(os.geteuid())
        binaries = _installed()
        if binaries is None and shutil.which("apt-get") and shutil.which("dpkg-deb"):
            binaries = _unpacked(folder)
    except KeyError:
        failure = (
            f"\n  initdb needs a user that /etc/passwd names: useradd --uid {os.geteuid()} dev"
        )
    except PostgisUnavailable as error:
        failure = f"\n  packages of this system: {error}"
    if binaries:
        root = str(binaries.root) if binaries.root else ""
        _remember(folder, bin=str(binaries.bin), root=root)
        return PrivateCluster(folder, binaries)
    if _docker_answers():
        password = _state(folder).get("password", secrets.token_hex(16))
        _remember(folder, bin="", container=IMAGE, password=password)
        return Container(folder)
    raise PostgisUnavailable(f"no PostGIS on this machine; {_advice()}{failure}")


def _advice() -> str:
    """What helps on this system."""
    commands = {
        "apt-get": "sudo apt-get install postgresql postgresql-postgis",
        "dnf": "sudo dnf install postgresql-server postgis",
        "pacman": "sudo pacman -S postgresql postgis",
        "apk": "sudo apk add postgresql postgis",
        "brew": "brew install postgis",
    }
    command = next((text for name, text in commands.items() if shutil.which(name)), None)
    install = f"install it ({command})" if command else "install PostgreSQL with PostGIS"
    return f"{install}, or start Docker, or set DATABASE_URL to a server that has it"


# --- The folder ----------------------------------------------------------------------------------


def _folder() -> Path:
    """The folder of this user's cluster; raises PostgisUnavailable if there is no place for it."""
    refusals = []
    for folder in _folders():
        refusal = _refusal(folder)
        if refusal is None:
            return folder
        refusals.append(f"\n  {folder}: {refusal}")
    raise PostgisUnavailable(
        "no folder for the cluster; set POSTGIS_DIR to one of your own" + "".join(refusals)
    )


def _folders() -> Iterator[Path]:
    if given := os.environ.get("POSTGIS_DIR"):
        yield Path(given).expanduser().resolve()
        return
    if (cache := Path(os.environ.get("XDG_CACHE_HOME", ""))).is_absolute():
        yield cache / "postgis-dev"
    with contextlib.suppress(RuntimeError):  # no HOME and no passwd entry
        yield Path.home() / ".cache/postgis-dev"
    yield Path("/var/cache/postgis-dev")  # root's, when its home is closed to the server's user
    yield Path(f"/var/tmp/postgis-dev-{os.geteuid()}")
    yield Path(tempfile.gettempdir(), f"postgis-dev-{os.geteuid()}")


def _refusal(folder: Path) -> str | None:
    """Make the folder and say why it cannot be used, if it cannot."""
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
        status = folder.lstat()
        closed = [str(path) for path in (folder, *folder.parents) if not path.stat().st_mode & 1]
    except OSError as error:
        return str(error)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return "it is another user's"
    if status.st_mode & 0o022:
        return "others can write to it"
    if os.geteuid() == 0 and closed:
        return f"PostgreSQL does not run as root, and its user cannot pass {closed[0]}"
    return None if os.access(folder, os.W_OK) else "it cannot be written to"


def _state(folder: Path) -> dict[str, str]:
    """What is remembered of the cluster in this folder."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        state: dict[str, str] = json.loads((folder / "cluster.json").read_text())
        return state
    return {}


def _remember(folder: Path, **values: str) -> None:
    file = folder / "cluster.json"
    state = _state(folder) | values
    draft = file.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(state))
    draft.replace(file)


# --- A private cluster ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Binaries:
    """PostgreSQL's programs, and the folder that their packages were unpacked to, if they were."""

    bin: Path
    root: Path | None = None

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """The environment they run in: nothing of the caller's PGDATA, PGOPTIONS, LANG."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        if self.root:
            libraries = {
                str(file.parent)
                for part in ("lib", "usr/lib")
                for file in self.root.glob(f"{part}/**/lib*.so.*")
            }
            environment["LD_LIBRARY_PATH"] = os.pathsep.join(sorted(libraries))
            proj = self.root / "usr/share/proj"
            if proj.is_dir():
                environment |= {"PROJ_DATA": str(proj), "PROJ_LIB": str(proj)}
        return environment

    def run(self, program: str, *arguments: str, inherit: Sequence[int] = ()) -> str:
        command = [str(self.bin / program), *arguments]
        return _run(command, self.environment, _server_user(), inherit)

    @functools.cached_property
    def version(self) -> int:
        return _numbers(self.run("postgres", "--version"))[0]

    def usable(self) -> bool:
        """Whether these programs are there, come with PostGIS, and are new enough."""
        programs = [self.bin / name for name in ("postgres", "initdb", "pg_ctl")]
        if not all(os.access(program, os.X_OK) for program in programs):
            return False
        try:
            settings = self.run("initdb", "--show", "--pgdata=/nonexistent")
            share = re.search(r"^share_path=(.*)$", settings, re.MULTILINE)
            control = Path(share[1] if share else "", "extension/postgis.control").read_text()
            postgis = re.search(r"default_version\s*=\s*'([^']*)'", control)
            version = postgis[1] if postgis else ""
            if self.version >= OLDEST_POSTGRESQL and _numbers(version) >= OLDEST_POSTGIS:
                return True
            _say(f"{self.bin} is PostgreSQL {self.version}, PostGIS {version}: too old")
        except OSError:
            pass
        except PostgisUnavailable as error:
            _say(f"{self.bin} cannot be used: {error}")
        return False


def _run(
    command: Sequence[str],
    environment: dict[str, str],
    user: dict[str, Any] | None = None,
    inherit: Sequence[int] = (),
    folder: Path = Path("/"),
) -> str:
    """Run a program out of reach of the terminal's Ctrl-C, and return what it printed.

    Raises PostgisUnavailable with the end of that if it fails.
    """
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            pass_fds=inherit,
            check=False,
            **(user or {}),
        )
    except OSError as error:
        raise PostgisUnavailable(f"{command[0]}: {error}") from error
    if done.returncode:
        end = "\n    ".join(done.stdout.strip().splitlines()[-5:])
        raise PostgisUnavailable(f"{shlex.join(command[:3])} … failed:\n    {end}")
    return done.stdout


def _server_user() -> dict[str, Any]:
    """Whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "_postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise PostgisUnavailable("PostgreSQL does not run as root: add a user named postgres")


def _installed() -> Binaries | None:
    """The newest usable programs on this machine."""
    folders = [folder for pattern in BIN_FOLDERS for folder in Path("/").glob(pattern)]
    folders += [Path(name) for name in os.get_exec_path() if Path(name).is_absolute()]
    if pg_config := shutil.which("pg_config"):
        with contextlib.suppress(PostgisUnavailable):
            folders.append(Path(_run([pg_config, "--bindir"], dict(os.environ)).strip()))
    usable = [found for found in map(Binaries, dict.fromkeys(folders)) if found.usable()]
    return max(usable, key=lambda found: found.version, default=None)


@dataclass(frozen=True)
class PrivateCluster:
    """A cluster in a folder of its own, that listens on 127.0.0.1 for one password."""

    folder: Path
    binaries: Binaries

    @property
    def data(self) -> Path:
        return self.folder / f"data-{self.binaries.version}"

    @property
    def how(self) -> str:
        return f"PostgreSQL {self.binaries.version} of {self.binaries.bin}"

    def url(self) -> str | None:
        lock = self._lock()
        if lock is not None:
            os.close(lock)
            return None
        for _ in range(600):  # it may still be starting, when the one who started it was killed
            lines = self._pid_file()
            if len(lines) > 7 and lines[7].strip() == "ready":
                return self._url(int(lines[3]))
            time.sleep(0.1)
        raise PostgisUnavailable(f"the server does not get ready: see {self.data}/server.log")

    def start(self) -> str:
        self._prepare()
        lock = self._lock()
        if lock is None:
            raise PostgisUnavailable(f"another server still runs in {self.folder}: stop it")
        try:
            _say(f"starting {self.how}, data in {self.data}")
            return self._url(self._start(lock))
        finally:
            os.close(lock)

    def stop(self) -> None:
        _say("stopping the server")
        try:
            self.binaries.run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.data))
        except PostgisUnavailable as error:
            _say(str(error))

    def _lock(self) -> int | None:
        """The lock that the server holds while it lives; None if it does.

        PostgreSQL's own sign, postmaster.pid, outlives a crash, and its process id gets reused.
        """
        lock = os.open(self.folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock

    def _pid_file(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []

    def _url(self, port: int) -> str:
        password = (self.data / "password").read_text()
        return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"

    def _start(self, lock: int) -> int:
        lines = self._pid_file()
        if len(lines) > 3 and _is_free(int(lines[3])):
            (self.data / "postmaster.pid").unlink()
        log = self.data / "server.log"
        log.unlink(missing_ok=True)
        earlier = int(_state(self.folder).get("port", 0))
        for attempt in range(4):
            port = earlier if attempt == 0 and earlier and _is_free(earlier) else _free_port()
            settings = SETTINGS | {"listen_addresses": "127.0.0.1", "port": str(port)}
            options = " ".join(f"-c {name}={value}" for name, value in settings.items())
            options += " -c unix_socket_directories=''"
            arguments = ("-D", str(self.data), "-l", str(log), "-o", options)
            try:
                self.binaries.run("pg_ctl", "start", "-w", *arguments, inherit=[lock])
            except PostgisUnavailable as error:
                if attempt == 3 or _is_free(port):  # nobody took the port: another reason
                    text = log.read_text(errors="replace") if log.exists() else ""
                    end = "\n    ".join(text.splitlines()[-5:])
                    raise PostgisUnavailable(f"{error}\n    {end}") from error
            else:
                _remember(self.folder, port=str(port))
                break
        return port

    def _prepare(self) -> None:
        """Make the data folder if it is not there."""
        if self.data.exists():
            return
        _say(f"making a cluster in {self.data}")
        # Elsewhere until it is whole; in a new place each time, as a killed run's initdb goes on.
        draft = Path(tempfile.mkdtemp(dir=self.folder, prefix="making-"))
        secret = draft / "password"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(16))
        if user := _server_user():
            os.chown(draft, user["user"], user["group"])
            os.chown(secret, user["user"], user["group"])
        data = draft / "data"
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={secret}"]
        options += ["--encoding=UTF8", "--no-sync", f"--pgdata={data}"]
        try:
            self.binaries.run("initdb", "--locale=C.UTF-8", *options)
        except PostgisUnavailable:  # not every system has that locale
            self.binaries.run("initdb", "--locale=C", *options)
        secret.rename(data / "password")
        data.rename(self.data)
        draft.rmdir()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as PostgreSQL does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- The packages of Debian and Ubuntu, unpacked -------------------------------------------------


def _unpacked(folder: Path) -> Binaries:
    """PostgreSQL and PostGIS of the distribution, in a folder of their own."""
    system = platform.freedesktop_os_release()
    release = system.get("VERSION_ID", system.get("VERSION_CODENAME", "rolling"))
    root = folder / f"packages-{system['ID']}-{release}-{platform.machine()}"
    if not root.is_dir():
        with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as scratch:
            Path(scratch).chmod(folder.stat().st_mode)
            _unpack(Path(scratch)).rename(root)
    return _binaries_in(root)


def _binaries_in(root: Path) -> Binaries:
    for folder in root.glob("usr/lib/postgresql/*/bin"):
        if (binaries := Binaries(folder, root)).usable():
            return binaries
    raise PostgisUnavailable(f"{root} holds no usable PostGIS: remove it, it is made again")


def _unpack(scratch: Path) -> Path:
    try:
        packages = _download(scratch, update=False)
    except PostgisUnavailable:  # the machine's lists are empty, or older than the archive
        packages = _download(scratch, update=True)
    _say(f"unpacking {len(packages)} packages")
    root = scratch / "root"
    root.mkdir()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda deb: _run(["dpkg-deb", "-x", deb, str(root)], _system()), packages))
    for bitcode in root.glob("usr/lib/postgresql/*/lib/bitcode"):  # for JIT alone
        shutil.rmtree(bitcode)
    # The packages' post-install scripts would link these.
    for control in root.glob("usr/share/postgresql/*/extension/*-3.control"):
        shutil.copy(control, control.with_name(control.name.replace("-3.control", ".control")))
    _binaries_in(root)
    return root


def _download(scratch: Path, *, update: bool) -> list[str]:
    """Fetch the newest PostGIS of the archive, its PostgreSQL, and what this machine lacks."""
    # Nothing of the machine's own apt is written to, and its hooks stay away.
    configuration = [
        "#clear APT::Update::Post-Invoke;",
        "#clear APT::Update::Post-Invoke-Success;",
        f'Dir::Cache "{scratch}/cache";',
        'APT::Sandbox::User "root";',
    ]
    (scratch / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
    (scratch / "lists/partial").mkdir(parents=True, exist_ok=True)
    if update:
        configuration.append(f'Dir::State::Lists "{scratch}/lists";')
    (scratch / "apt.conf").write_text("\n".join(configuration) + "\n")
    if update:
        _say("fetching the lists of packages")
        _apt(scratch, "apt-get", "update")
    found = _apt(scratch, "apt-cache", "pkgnames", "postgresql-")
    majors = re.findall(r"^postgresql-(\d+)-postgis-3$", found, re.MULTILINE)
    if not majors:
        raise PostgisUnavailable("no postgresql-…-postgis-3 in the lists of the package archive")
    server = f"postgresql-{max(map(int, majors))}"
    wanted = [server, f"{server}-postgis-3", f"{server}-postgis-3-scripts"]
    plan = _apt(scratch, "apt-get", "install", "--simulate", "--no-install-recommends", *wanted)
    missing = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", plan, re.MULTILINE)
    needed = [f"{n}={version}" for n, version in missing if not UNNEEDED_PACKAGES.match(n)]
    present = [name for name in wanted if name not in dict(missing)]
    _say(f"downloading {server} with PostGIS from the distribution (about 40 MB)")
    _apt(scratch, "apt-get", "download", *needed, *present)
    return [str(deb) for deb in scratch.glob("*.deb")]


def _apt(scratch: Path, program: str, *arguments: str) -> str:
    command = [program, f"--config-file={scratch}/apt.conf", *arguments]
    return _run(command, _system(), folder=scratch)


def _system() -> dict[str, str]:
    return os.environ | {"LC_ALL": "C"}


# --- A container ---------------------------------------------------------------------------------


def _docker(*arguments: str, **environment: str) -> str:
    return _run(["docker", *arguments], os.environ | environment)


def _docker_answers() -> bool:
    try:
        return bool(shutil.which("docker") and _docker("info"))
    except PostgisUnavailable:
        return False


@dataclass(frozen=True)
class Container:
    """The PostGIS image; its data is in a volume."""

    folder: Path

    @property
    def name(self) -> str:
        return f"postgis-dev-{os.geteuid()}"

    @property
    def how(self) -> str:
        return f"a container of {IMAGE}"

    def url(self) -> str | None:
        try:
            address = _docker("port", self.name, "5432/tcp").split()[0]
        except PostgisUnavailable:
            return None
        return f"postgresql://postgres:{_state(self.folder)['password']}@{address}/postgres"

    def start(self) -> str:
        _say(f"starting {self.how}")
        settings = [part for item in SETTINGS.items() for part in ("-c", "=".join(item))]
        _docker(
            *("run", "--detach", "--rm", "--name", self.name, "--publish", "127.0.0.1::5432"),
            *("--env", "POSTGRES_PASSWORD", "--volume", f"{self.name}:/var/lib/postgresql/data"),
            *(IMAGE, *settings),
            POSTGRES_PASSWORD=_state(self.folder)["password"],
        )
        for _ in range(120):
            with contextlib.suppress(PostgisUnavailable):
                _docker("exec", self.name, "pg_isready", "--host=127.0.0.1")
                if url := self.url():
                    return url
            time.sleep(0.5)
        raise PostgisUnavailable(f"the container does not get ready: docker logs {self.name}")

    def stop(self) -> None:
        _say("stopping the container")
        with contextlib.suppress(PostgisUnavailable):
            _docker("stop", self.name)


# --- Command line --------------------------------------------------------------------------------


def run(command: Sequence[str], database: str) -> int:
    """Run a command with DATABASE_URL set to the development database; return its exit code."""
    with _server(("DATABASE_URL",)) as found:
        url = found.ensure_database(database)
        return _run_forwarding(command, os.environ | {"DATABASE_URL": url})


def psql(database: str) -> int:
    """Run psql in the development database, the server's own or else the one on the PATH."""
    with _server(("DATABASE_URL",)) as found:
        url, password = _split_password(found.ensure_database(database))
        state = _state(_folder()) if found.own else {}
        program, environment = shutil.which("psql"), dict(os.environ)
        own = Path(state.get("bin") or "/nonexistent", "psql")
        if os.access(own, os.X_OK):
            root = Path(state["root"]) if state["root"] else None
            libraries = Binaries(own.parent, root).environment
            program, environment = str(own), libraries | environment
            if "LC_ALL" not in os.environ:
                del environment["LC_ALL"]
        if program is None:
            raise PostgisUnavailable(
                "psql is not installed: it is in the package postgresql-client of Debian and Ubuntu,"
                " in libpq of Homebrew"
            )
        if password is not None:
            environment["PGPASSWORD"] = password
        dsn = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url)
        return _run_forwarding([program, dsn], environment)


def _run_forwarding(command: Sequence[str], environment: dict[str, str]) -> int:
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _frame: types.FrameType | None) -> None:
        # The terminal's Ctrl-C reaches the command too; a second one would make it hurry.
        if child is None:
            early.append(number)
        elif not (number == signal.SIGINT and _in_foreground()):
            child.send_signal(number)

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup does
            signal.signal(number, forward)
    try:
        child = subprocess.Popen(command, env=environment)
        for missed in early:
            forward(missed, None)
        code = child.wait()
    except OSError as error:
        _say(f"{command[0]}: {error.strerror}")
        return 127
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _in_foreground() -> bool:
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def start(database: str) -> str:
    """Start the server, to run until stop(); return the URL of the development database."""
    with _server(("DATABASE_URL",)) as found:
        if found.own:
            (_folder() / "keep").touch()
        return found.ensure_database(database)


def stop() -> None:
    """Stop the server, unless somebody uses it: then the last of them stops it."""
    folder = _folder()
    (folder / "keep").unlink(missing_ok=True)
    cluster = _earlier(folder)
    if cluster is None or cluster.url() is None:
        _say("it does not run")
        return
    with (folder / "users.lock").open("a") as users:
        if not _leave(folder, cluster, users):
            _say("it is in use: the last to leave stops it")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="verb", required=True)
    running = commands.add_parser("run", help="run a command with DATABASE_URL set")
    starting = commands.add_parser("start", help="start the server until `stop`, print the URL")
    connecting = commands.add_parser("psql", help="run psql in the development database")
    commands.add_parser("stop", help="stop the server that `start` started")
    name = re.sub(r"\W+", "_", Path(__file__).resolve().parents[1].name.lower())
    for command in (running, starting, connecting):
        command.add_argument("--database", default=name, help="development database (%(default)s)")
    running.add_argument("command", nargs="+", metavar="COMMAND", help="after --")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "run":
            return run(options.command, options.database)
        if options.verb == "psql":
            return psql(options.database)
        if options.verb == "stop":
            stop()
        else:
            print(start(options.database))
    except PostgisUnavailable as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
