"""The rendered service on a database that is stopped, frozen and failed over: it says so, recovers, and loses nothing."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from clusters import Cluster, Load, Service, body, eventually
from conftest import Bake
from rendering import Project


@pytest.fixture(scope="module")
def project(bake_once: Bake) -> Project:
    return bake_once()


@pytest.fixture(scope="module")
def make_cluster(postgis: ModuleType) -> Iterator[Any]:
    """Makes servers that live as long as this module's tests."""
    clusters: list[Cluster] = []
    binaries = postgis._installed() or postgis._unpacked(postgis._folder())

    def make(standby_of: Cluster | None = None) -> Cluster:
        clusters.append(Cluster(postgis, binaries, standby_of))
        clusters[-1].start()
        if standby_of is None:
            clusters[-1].execute("CREATE EXTENSION postgis")
        return clusters[-1]

    yield make
    for cluster in reversed(clusters):
        cluster.remove()


@pytest.fixture(scope="module")
def cluster(make_cluster: Any, project: Project) -> Cluster:
    """A server with the service's table."""
    cluster: Cluster = make_cluster()
    run = project.service("migrate", DATABASE_URL=cluster.url)
    assert run.code == 0, run
    return cluster


def in_use(service: Service) -> float:
    return service.number("database_pool_connections", "primary", "in_use")


def small(cluster: Cluster) -> dict[str, str]:
    """A pool smaller than the writers, so that they wait for each other as well."""
    return {
        "DATABASE_URL": cluster.url,
        "POOL_SIZE": "3",
        "MAX_OVERFLOW": "1",
        "POOL_TIMEOUT": "2",
        "STATEMENT_TIMEOUT": "2",
    }


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_the_server_stops_and_starts_under_eight_writers(
    project: Project, cluster: Cluster, tmp_path: Path, mode: str
) -> None:
    with Service(project, tmp_path, **small(cluster)) as service:
        with Load(service) as load:
            for _ in range(2):
                cluster.stop(mode)
                eventually(lambda: not service.ready())
                assert service.client.get("/health/live").status_code == 200
                refused = service.client.get(service.path)
                assert refused.status_code == 503 and refused.headers["Retry-After"]
                cluster.start()
                load.wait_for_writes(50)
            eventually(service.ready)
        load.assert_kept(cluster, project.table)
        assert load.statuses[503] > 0
        assert in_use(service) == 0


def test_every_session_ends_under_eight_writers(
    project: Project, cluster: Cluster, tmp_path: Path
) -> None:
    with Service(project, tmp_path, **small(cluster)) as service:
        with Load(service) as load:
            for _ in range(5):
                cluster.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                load.wait_for_writes(30)
        load.assert_kept(cluster, project.table)
        assert in_use(service) == 0


def test_the_server_freezes(project: Project, cluster: Cluster, tmp_path: Path) -> None:
    """Its processes are stopped: the kernel still takes what is sent to them, and nobody answers."""
    with Service(project, tmp_path, **small(cluster)) as service:
        with Load(service) as load:
            cluster.signal(signal.SIGSTOP)
            try:
                # With every connection in use the last answer holds: the writers may keep it so for a while.
                eventually(lambda: not service.ready(), 120)
                before = load.statuses[503]
                # Those that were waiting are told after the statement's time and five seconds.
                eventually(lambda: load.statuses[503] >= before + 8, 120)
            finally:
                cluster.signal(signal.SIGCONT)
            load.wait_for_writes(30)
        load.assert_kept(cluster, project.table)
        eventually(service.ready)
        assert in_use(service) == 0


def test_a_full_pool(project: Project, cluster: Cluster, tmp_path: Path) -> None:
    settings = small(cluster) | {"POOL_SIZE": "1", "MAX_OVERFLOW": "0", "POOL_TIMEOUT": "0.5"}
    with Service(project, tmp_path, **settings | {"STATEMENT_TIMEOUT": "30"}) as service:
        assert service.writes() and service.ready()
        locker = threading.Thread(
            target=cluster.execute,
            args=(f"BEGIN; LOCK TABLE {project.table}; SELECT pg_sleep(2); COMMIT",),
        )
        locker.start()
        time.sleep(0.5)
        waiting = threading.Thread(target=service.writes)
        waiting.start()
        time.sleep(0.3)
        refused = service.client.get(f"{service.path}1")
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert "in use" in refused.json()["detail"]
        # Busy is not broken: an orchestrator must not take the service away.
        assert service.ready()
        waiting.join()
        locker.join()
        assert service.writes()
        assert in_use(service) == 0


def test_a_client_that_does_not_wait(project: Project, cluster: Cluster, tmp_path: Path) -> None:
    """PostgreSQL works on until it is done, or the statement's time is up; then the connection is free again."""
    with Service(project, tmp_path, **small(cluster)) as service:
        assert service.writes()
        locker = threading.Thread(
            target=cluster.execute,
            args=(f"BEGIN; LOCK TABLE {project.table}; SELECT pg_sleep(6); COMMIT",),
        )
        locker.start()
        time.sleep(0.5)
        with pytest.raises(httpx2.ReadTimeout):
            service.client.get(service.path, timeout=0.5)
        assert in_use(service) == 1
        eventually(lambda: in_use(service) == 0)
        assert locker.is_alive(), "it has only ended because the lock has"
        locker.join()


def test_a_standby_is_read_from_left_and_taken_back(
    project: Project, cluster: Cluster, make_cluster: Any, tmp_path: Path
) -> None:
    standby: Cluster = make_cluster(cluster)
    settings = small(cluster) | {"DATABASE_READ_URL": standby.url, "MAX_REPLICA_LAG": "3"}

    def lag() -> float:
        return service.number("database_replica_lag_seconds")

    with Service(project, tmp_path, **settings) as service:
        eventually(lambda: lag() == 0)
        # What the standby has not got yet is seen by who asks for it.
        standby.execute("SELECT pg_wal_replay_pause()")
        created = service.client.post(service.path, json=body("new"))
        assert created.status_code == 201
        path = service.path + str(created.json()["id"])
        assert service.client.get(path).status_code == 404
        assert service.client.get(path, headers={"Cache-Control": "no-cache"}).status_code == 200
        # Further behind than it may be: everybody reads from the primary.
        eventually(lambda: lag() > 3)
        assert service.client.get(path).status_code == 200
        standby.execute("SELECT pg_wal_replay_resume()")
        eventually(lambda: lag() == 0)

        standby.stop()
        statuses = [service.client.get(path).status_code for _ in range(50)]
        assert set(statuses) == {200}
        assert lag() == float("inf")
        standby.start()
        eventually(lambda: lag() == 0)

        standby.signal(signal.SIGSTOP)
        try:
            eventually(lambda: lag() == float("inf"))
            assert service.client.get(path).status_code == 200
        finally:
            standby.signal(signal.SIGCONT)
        eventually(lambda: lag() == 0)

        # The primary is gone: reading goes on.
        cluster.stop()
        try:
            time.sleep(3)
            assert [service.client.get(path).status_code for _ in range(10)] == [200] * 10
            assert service.client.patch(path, json={"name": "newer"}).status_code == 503
            assert service.ready()
        finally:
            cluster.start()
        eventually(service.writes)


def test_a_standby_is_promoted_under_eight_writers(
    project: Project, make_cluster: Any, tmp_path: Path
) -> None:
    primary: Cluster = make_cluster()
    assert project.service("migrate", DATABASE_URL=primary.url).code == 0
    standby: Cluster = make_cluster(primary)
    # What is acknowledged is on both.
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    several = primary.url.replace(primary.address, f"{primary.address},{standby.address}")
    settings = small(primary) | {"DATABASE_URL": f"{several}&target_session_attrs=read-write"}
    with Service(project, tmp_path, **settings) as service:
        with Load(service) as load:
            primary.stop()
            standby.promote()
            load.wait_for_writes(50)
            eventually(service.ready)
        load.assert_kept(standby, project.table)
        assert in_use(service) == 0
