"""The command line: what it prints, and its exit codes."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import postgis
import psycopg2
import pytest
import sqlalchemy as sa
import uvicorn

from geotables import checks, commands
from geotables.collection import Collection
from geotables.http.metrics import METRICS_FOLDER
from geotables.service import Service
from geotables.settings import ServiceSettings

from contract import faces

Main = Callable[[list[str]], int]

DEAD = "postgresql://nobody:s3cret@127.0.0.1:1/nothing"
UNANSWERED = "database: .*refused"
UNREADABLE = "DATABASE_URL: "


@pytest.fixture
def no_settings(service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder and an environment that do not say where the database is."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setitem(service.settings.model_config, "env_file", tmp_path / ".env")


@pytest.mark.parametrize("arguments", [[], ["check", "--nothing"], ["unknown"]])
def test_a_command_that_is_none_shows_how_it_is_used(
    service: Service,
    main: Main,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{service.package}/__main__.py"])
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert f"usage: python -m {service.package}" in capsys.readouterr().err


def test_check_needs_no_database(
    main: Main, no_settings: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    assert "agree" in capsys.readouterr().out


@pytest.fixture
def sound_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a check finds without a database is not looked for again."""
    monkeypatch.setattr(checks, "check_models", lambda service: iter(()))


def test_check_of_the_database(
    main: Main,
    settings: ServiceSettings,
    sound_models: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "--database"]) == 0
    assert "database" in capsys.readouterr().out


def test_check_fails_with_all_that_it_found(
    main: Main, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "check_models", lambda service: iter(["one thing", "another"]))
    assert main(["check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "- one thing",
        "- another",
        "check: 2 found wrong",
    ]


@pytest.mark.parametrize("arguments", [["check", "--database"], ["migrate"], ["serve"]])
def test_a_missing_setting_is_named(
    main: Main, no_settings: None, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"DATABASE_URL: Field required\n{commands.DATABASE_HINT}\n"


@pytest.mark.parametrize("arguments", [["check", "--database"], ["migrate"]])
def test_a_dead_database_is_named_in_a_few_lines(
    main: Main,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", DEAD)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("database: ")
    assert "refused" in error
    assert error.endswith(f"{commands.DATABASE_HINT}\n")
    assert "s3cret" not in error
    assert "Traceback" not in error


#: URLs of a dead database, and what a command says of it.
URLS = pytest.mark.parametrize(
    ("url", "message"),
    [
        (DEAD, UNANSWERED),
        ("postgresql://127.0.0.1:1/nothing?user=nobody&password=s3cret", UNANSWERED),
        ("postgresql://nobody:s3cret/word@127.0.0.1:1/nothing", UNANSWERED),
        ("postgresql://nobody:pass@s3cret@127.0.0.1:1/nothing", UNREADABLE),
        ("nobody:s3cret@127.0.0.1:1/nothing", UNREADABLE),
        ("postgresql//nobody:s3cret@127.0.0.1:1/nothing", UNREADABLE),
    ],
)


@pytest.fixture
def refused_silently(
    main: Main,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str, str, str], None]:
    """Sees that a command fails with a message, and does not show the password of a URL."""

    def refused_silently(command: str, url: str, message: str) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("DATABASE_URL", url)
        assert main(command.split()) == 1
        printed = capsys.readouterr()
        assert re.match(message, printed.err)
        assert "s3cret" not in printed.err + printed.out

    return refused_silently


@URLS
@pytest.mark.parametrize("command", ["check --database", "migrate"])
def test_no_command_shows_the_password(
    refused_silently: Callable[[str, str, str], None],
    sound_models: None,
    command: str,
    url: str,
    message: str,
) -> None:
    refused_silently(command, url, message)


@faces("files")
@URLS
@pytest.mark.parametrize("command", ["load FILE", "export"])
def test_no_command_for_files_shows_the_password(
    any_collection: Collection,
    refused_silently: Callable[[str, str, str], None],
    tmp_path: Path,
    command: str,
    url: str,
    message: str,
) -> None:
    file = tmp_path / "one.geojsonl"
    file.write_text('{"type": "Feature", "geometry": null, "properties": {}}')
    command = f"{command} --table {any_collection.name}".replace("FILE", str(file))
    refused_silently(command, url, message)


def test_migrate_brings_a_database_to_a_revision(
    main: Main,
    server: postgis.Server,
    database_url: str,
    sound_models: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with server.database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert main(["check", "--database"]) == 1
        assert main(["migrate"]) == 0
        assert main(["check", "--database"]) == 0


@pytest.fixture
def calls(settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What uvicorn is called with."""
    # What the command sets is undone after the test.
    for name in ("MALLOC_ARENA_MAX", "PROCESSES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    calls: list[Any] = []
    monkeypatch.setattr(uvicorn, "run", lambda *args, **options: calls.append((args, options)))
    return calls


def test_serve_starts_the_application(service: Service, main: Main, calls: list[Any]) -> None:
    assert main(["serve", "--port", "8765", "--workers", "2"]) == 0
    ((app,), options) = calls[0]
    assert app == service.factory
    assert os.environ["MALLOC_ARENA_MAX"] == "2"
    assert os.environ["PROCESSES"] == "2"
    # Its folder is gone: a service that a later test starts could not use it.
    assert METRICS_FOLDER not in os.environ
    assert options | {"factory": True, "host": "127.0.0.1", "port": 8765, "workers": 2} == options


def test_serve_keeps_the_number_of_processes_that_a_file_has(
    service: Service, main: Main, calls: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PROCESSES=12")
    monkeypatch.chdir(tmp_path)
    assert main(["serve"]) == 0
    assert len(calls) == 1
    assert service.settings().processes == 12


@pytest.mark.parametrize("code", commands.POSTGIS_MISSING)
def test_a_database_without_postgis_is_explained(code: str) -> None:
    class Refused(psycopg2.Error):
        pgcode = code

    error = sa.exc.ProgrammingError("CREATE EXTENSION IF NOT EXISTS postgis", {}, Refused())
    assert commands._reason(error) == commands.POSTGIS_MISSING[code]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("/srv/src/roads/__main__.py", "python -m roads"),
        ("/srv/.venv/bin/road-service", "road-service"),
        ("road-service.exe", "road-service"),
    ],
)
def test_the_usage_names_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, typed: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "argv", [typed, "--help"])
    parser, _ = commands.command_line("roads")
    assert parser.format_usage().startswith(f"usage: {shown} ")
