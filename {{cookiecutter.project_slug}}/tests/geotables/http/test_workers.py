"""A server of two processes: whichever answers, it is one service."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx2 import Client
from prometheus_client.parser import text_string_to_metric_families

from geotables.service import Service
from geotables.settings import ServiceSettings

from contract import faces, writes
from rows import Rows

WORKERS, REQUESTS = 2, 20

#: Those who change a row at once, and how often each does.
WRITERS, CHANGES = 8, 3


@pytest.fixture(scope="module")
def url(service: Service, database_url: str) -> Iterator[str]:
    """The address of a server of two processes, over the tests' database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", service.package, "serve", f"--workers={WORKERS}"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=os.environ | {"DATABASE_URL": database_url, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        while len(workers(url)) < WORKERS:
            assert process.poll() is None, "the server has ended"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        assert process.wait() == 0


def read(url: str) -> str:
    """What is at an address, from whichever process takes the connection."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def scrape(url: str) -> dict[tuple[str, ...], float]:
    """The metrics by their names and labels."""
    text = read(f"{url}/metrics")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def workers(url: str) -> set[int]:
    """The processes that the metrics tell of."""
    try:
        numbers = scrape(url)
    except (urllib.error.URLError, ConnectionError):
        return set()
    return {int(pid[0]) for name, *pid in numbers if name == "process_cpu_seconds_total"}


@pytest.mark.process
@faces("rest")
def test_the_metrics_are_those_of_all_processes(
    any_rows: Rows, url: str, settings: ServiceSettings
) -> None:
    for _ in range(REQUESTS):
        read(f"{url}{any_rows.path}")
    counted = ("http_request_duration_seconds_count", "GET", any_rows.path, "200")
    scrapes = [scrape(url) for _ in range(10)]
    assert [each[counted] for each in scrapes] == [REQUESTS] * 10
    # Each process has a pool of its own.
    limit = ("database_pool_connections", "primary", "limit")
    connections = WORKERS * (settings.pool_size + settings.max_overflow)
    assert [each[limit] for each in scrapes] == [connections] * 10

    # What a process counted stays when it ends; what it had is no more.
    killed = min(workers(url))
    os.kill(killed, signal.SIGKILL)
    while killed in (living := workers(url)) or len(living) < WORKERS:
        time.sleep(0.1)
    after = scrape(url)
    assert after[counted] == REQUESTS
    assert after[limit] == connections


@pytest.mark.process
@writes
@faces("rest")
def test_of_eight_writers_none_undoes_what_it_has_not_seen(rows: Rows, url: str) -> None:
    body = rows.body()
    with Client(base_url=url) as client:
        added = client.post(rows.path, json=body)
        assert added.status_code == 201, added.text
        path = added.headers["Location"]

        def change(_writer: int) -> list[str]:
            """The versions that a writer has replaced: it reads the row again until nobody was faster."""
            replaced: list[str] = []
            while len(replaced) < CHANGES:
                tag = client.get(path).headers["ETag"]
                status = client.put(path, json=body, headers={"If-Match": tag}).status_code
                assert status in (200, 412)
                replaced += [tag] * (status == 200)
            return replaced

        def delete(tag: str) -> int:
            return client.delete(path, headers={"If-Match": tag}).status_code

        with ThreadPoolExecutor(WRITERS) as pool:
            replaced = [tag for tags in pool.map(change, range(WRITERS)) for tag in tags]
            tags = [client.get(path).headers["ETag"]] * WRITERS
            statuses = list(pool.map(delete, tags))
    assert len(set(replaced)) == len(replaced) == WRITERS * CHANGES
    assert tags[0] not in replaced
    # A row that is gone has no version that would match.
    assert sorted(statuses) == [204, *[412] * (WRITERS - 1)]
