"""PostgreSQL servers to be stopped, killed and promoted, and the rendered service on them."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psycopg2
from rendering import Project

#: Writes that were acknowledged have to be there after a crash of the server; the machine does not crash.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "wal_level": "replica",
    "hot_standby": "on",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{condition} does not hold after {seconds} s"
        time.sleep(0.05)


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Execute a statement of SQL outside of a transaction; the rows that it returns."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


class Cluster:
    """A server of its own, in a folder of its own, which a test may do anything to."""

    def __init__(self, postgis: Any, binaries: Any, standby_of: "Cluster | None" = None) -> None:
        self._binaries = binaries
        # Where the server's user can reach it: pytest's own folders are closed to others.
        self.folder = Path(tempfile.mkdtemp(dir=postgis._folder(), prefix="faults-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.port = free_port()
        user = postgis._server_user()
        if user:
            os.chown(self.folder, user["user"], user["group"])
        if standby_of is None:
            password, file = secrets.token_hex(8), self.folder / "password"
            self.passfile = self.folder / "passfile"
            for path, text in ((file, password), (self.passfile, f"*:*:*:*:{password}")):
                path.touch(mode=0o600)
                path.write_text(text)
                if user:
                    os.chown(path, user["user"], user["group"])
            options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={file}"]
            binaries.run(
                "initdb",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                *options,
                f"--pgdata={self.data}",
            )
        else:
            self.passfile = standby_of.passfile
            binaries.run(
                *("pg_basebackup", "--pgdata", str(self.data), "--checkpoint=fast", "--no-sync"),
                *("--write-recovery-conf", "--dbname", standby_of.url),
            )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.address}/postgres?passfile={self.passfile}"

    def start(self) -> None:
        settings = SETTINGS | {"port": str(self.port)}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        options += " -c unix_socket_directories=''"
        log = str(self.folder / "server.log")
        self._binaries.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", log, "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        self._binaries.run("pg_ctl", "stop", "-w", "-m", mode, "-D", str(self.data))

    def promote(self) -> None:
        self._binaries.run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the server."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        processes = [postmaster]
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(status.read_text().rpartition(")")[2].split()[1]) == postmaster:
                    processes.append(int(status.parent.name))
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        return execute(self.url, statement)

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists():
            with contextlib.suppress(OSError, ValueError):
                self.signal(signal.SIGCONT)
            with contextlib.suppress(RuntimeError):
                self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Service:
    """The rendered service, as a process."""

    def __init__(self, project: Project, folder: Path, **environment: str) -> None:
        self._project = project
        self.port = free_port()
        self.log = folder / f"service-{self.port}.log"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environment = kept | {"PYTHONPATH": "src"} | environment
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def __enter__(self) -> "Service":
        command = [sys.executable, "-m", self._project.package, "serve", "--port", str(self.port)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=self._project.path, env=self._environment, stdout=log, stderr=log
            )
        eventually(self._answers, 60)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=60)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(httpx2.TransportError):
            return self.client.get("/health/live").status_code == 200
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def path(self) -> str:
        return f"/{self._project.table}/"

    def ready(self) -> bool:
        return self.client.get("/health/ready").status_code == 200

    def writes(self) -> bool:
        return self.client.post(self.path, json=body("probe")).status_code == 201

    def number(self, name: str, *labels: str) -> float:
        """A number of /metrics."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(name) and all(f'"{label}"' in line for label in labels):
                return float(line.rpartition(" ")[2])
        raise KeyError(name)


def body(name: str) -> dict[str, Any]:
    """A row of the default variant."""
    return {"name": name, "location": {"type": "Point", "coordinates": [1.5, 2.5]}}


class Load:
    """Writers, each of which posts one row after the other and keeps a list of those that were acknowledged."""

    def __init__(self, service: Service, writers: int = 8) -> None:
        self.acknowledged: list[int] = []
        self.statuses: Counter[int] = Counter()
        #: Answers that are no problem details, and 503 that do not say when to come again.
        self.wrong: list[str] = []
        self._service = service
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._write) for _ in range(writers)]

    def _write(self) -> None:
        url = f"http://127.0.0.1:{self._service.port}{self._service.path}"
        with httpx2.Client(timeout=60) as client:
            while not self._done.is_set():
                response = client.post(url, json=body("x"))
                self.statuses[response.status_code] += 1
                if response.status_code == 201:
                    self.acknowledged.append(response.json()["id"])
                    continue
                headers = response.headers
                is_problem = headers.get("Content-Type") == "application/problem+json"
                if not is_problem or (response.status_code == 503 and "Retry-After" not in headers):
                    self.wrong.append(response.text)
                time.sleep(0.05)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.wait_for_writes(50)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def wait_for_writes(self, number: int) -> None:
        """Wait until so many more are acknowledged."""
        goal = len(self.acknowledged) + number
        eventually(lambda: len(self.acknowledged) >= goal, 60)

    def assert_kept(self, cluster: Cluster, table: str) -> None:
        """See that every row is there that was acknowledged, and that every other answer was a clear one."""
        there = {id for (id,) in cluster.execute(f"SELECT id FROM {table}")}
        assert set(self.acknowledged) <= there, "acknowledged writes are lost"
        assert self.wrong == []
        logged = [
            line for line in self._service.log.read_text().splitlines() if "exception" in line
        ]
        assert set(self.statuses) <= {201, 503, 504}, (
            self.statuses,
            [line[-1500:] for line in logged],
        )
