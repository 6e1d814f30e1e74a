"""The command line: what it prints, and its exit codes."""

import os
import re
from pathlib import Path
from typing import Any

import postgis
import psycopg2
import pytest
import sqlalchemy as sa
import uvicorn

from geotables import checks, commands
from geotables.http.observation import METRICS_FOLDER

from {{ cookiecutter.package_name }} import cli
from {{ cookiecutter.package_name }}.settings import Settings

DEAD = "postgresql://nobody:s3cret@127.0.0.1:1/nothing"
UNANSWERED = "database: .*refused"
UNREADABLE = "DATABASE_URL: "


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder and an environment that do not say where the database is."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")


@pytest.mark.parametrize("arguments", [[], ["check", "--nothing"], ["unknown"]])
def test_a_command_that_is_none_shows_how_it_is_used(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert f"usage: python -m {cli.__package__}" in capsys.readouterr().err


def test_check_needs_no_database(no_settings: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == 0
    assert "agree" in capsys.readouterr().out


@pytest.fixture
def sound_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a check finds without a database is not looked for again."""
    monkeypatch.setattr(checks, "check_models", lambda service: iter(()))


def test_check_of_the_database(
    settings: Settings, sound_models: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "--database"]) == 0
    assert "database" in capsys.readouterr().out


def test_check_fails_with_all_that_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "check_models", lambda service: iter(["one thing", "another"]))
    assert cli.main(["check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "- one thing",
        "- another",
        "check: 2 found wrong",
    ]


@pytest.mark.parametrize("arguments", [["check", "--database"], ["migrate"], ["serve"]])
def test_a_missing_setting_is_named(
    no_settings: None, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err == "DATABASE_URL: Field required\n"


@pytest.mark.parametrize("arguments", [["check", "--database"], ["migrate"]])
def test_a_dead_database_is_named_in_a_few_lines(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", DEAD)
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("database: ")
    assert "refused" in error
    assert "s3cret" not in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", ["check --database", "migrate", "load FILE", "export"])
@pytest.mark.parametrize(
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
def test_no_command_shows_the_password(
    command: str,
    url: str,
    message: str,
    sound_models: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    file = tmp_path / "one.geojsonl"
    file.write_text('{"type": "Feature", "geometry": null, "properties": {}}')
    assert cli.main(command.replace("FILE", str(file)).split()) == 1
    printed = capsys.readouterr()
    assert re.match(message, printed.err)
    assert "s3cret" not in printed.err + printed.out


def test_migrate_brings_a_database_to_a_revision(
    server: postgis.Server,
    database_url: str,
    sound_models: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with server.database() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        assert cli.main(["check", "--database"]) == 1
        assert cli.main(["migrate"]) == 0
        assert cli.main(["check", "--database"]) == 0


@pytest.fixture
def calls(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What uvicorn is called with."""
    # What the command sets is undone after the test.
    for name in ("MALLOC_ARENA_MAX", "PROCESSES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    calls: list[Any] = []
    monkeypatch.setattr(uvicorn, "run", lambda *args, **options: calls.append((args, options)))
    return calls


def test_serve_starts_the_application(calls: list[Any]) -> None:
    assert cli.main(["serve", "--port", "8765", "--workers", "2"]) == 0
    ((app,), options) = calls[0]
    assert app == "{{ cookiecutter.package_name }}.main:create_app"
    assert os.environ["MALLOC_ARENA_MAX"] == "2"
    assert os.environ["PROCESSES"] == "2"
    # Its folder is gone: a service that a later test starts could not use it.
    assert METRICS_FOLDER not in os.environ
    assert options | {"factory": True, "host": "127.0.0.1", "port": 8765, "workers": 2} == options


def test_serve_keeps_the_number_of_processes_that_a_file_has(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PROCESSES=12")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["serve"]) == 0
    assert len(calls) == 1
    assert Settings().processes == 12


@pytest.mark.parametrize("code", commands.POSTGIS_MISSING)
def test_a_database_without_postgis_is_explained(code: str) -> None:
    class Refused(psycopg2.Error):
        pgcode = code

    error = sa.exc.ProgrammingError("CREATE EXTENSION IF NOT EXISTS postgis", {}, Refused())
    assert commands._reason(error) == commands.POSTGIS_MISSING[code]
