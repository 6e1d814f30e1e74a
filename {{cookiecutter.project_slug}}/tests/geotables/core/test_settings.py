"""Settings come from the environment; what is wrong with them is said, passwords are not."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from geotables.service import Service
from geotables.settings import ServiceSettings

SECRET = "s3cret"


@pytest.fixture
def settings_class(service: Service) -> type[ServiceSettings]:
    """The class of the project's settings."""
    return service.settings


@pytest.fixture(autouse=True)
def environment(
    settings_class: type[ServiceSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> pytest.MonkeyPatch:
    """An environment that says nothing, in a folder without a file .env."""
    for name in settings_class.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"]
)
def test_every_spelling_of_a_database_url_is_taken(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch, scheme: str
) -> None:
    environment.setenv(
        "DATABASE_URL", f"{scheme}://me:{SECRET}@example.org:5433/places?sslmode=require"
    )
    url = settings_class().database_url
    assert url.render_as_string(hide_password=False) == (
        f"postgresql+psycopg2://me:{SECRET}@example.org:5433/places?sslmode=require"
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@%2Fvar%2Frun%2Fpostgresql/places",
        "postgresql://me@%2fvar%2frun%2fpostgresql:5432/places",
        "postgresql://me@/places?host=/var/run/postgresql&port=5432",
        "postgresql://me@%2Fvar%2Frun%2Fpostgresql,%2Fvar%2Frun%2Fpostgresql/places",
    ],
)
def test_a_socket_may_be_spelled_as_libpq_does(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("DATABASE_URL", url)
    engine = sa.create_engine(settings_class().database_url)
    _, options = engine.dialect.create_connect_args(engine.url)
    assert set(options["host"].split(",")) == {"/var/run/postgresql"}
    assert options["dbname"] == "places"


def test_another_driver_is_refused_by_name(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("DATABASE_URL", f"postgresql+asyncpg://me:{SECRET}@localhost/x")
    with pytest.raises(ValidationError, match="asyncpg is not the driver here") as caught:
        settings_class()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres//{SECRET}",
        f"mysql://me:{SECRET}@localhost/x",
        "",
        f"{SECRET}:x@y/z",
        "://",
        f"postgresql://me:x@{SECRET}@localhost/x",
        f"postgresql://me:x@y/{SECRET}@localhost/x",
    ],
)
def test_what_is_no_database_url_is_refused_without_showing_it(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("DATABASE_URL", url)
    with pytest.raises(ValidationError, match="database_url") as caught:
        settings_class()
    assert SECRET not in str(caught.value)


def test_the_example_names_every_setting(
    settings_class: type[ServiceSettings], pytestconfig: pytest.Config
) -> None:
    example = pytestconfig.rootpath / ".env.example"
    named = re.findall(r"^#?([A-Z][A-Z_]+)=", example.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in settings_class.model_fields)


def test_a_missing_database_url_is_named(settings_class: type[ServiceSettings]) -> None:
    with pytest.raises(ValidationError, match=r"database_url\s+Field required"):
        settings_class()


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@localhost/x",
        f"postgresql://localhost/x?user=me&password={SECRET}",
    ],
)
def test_a_password_is_not_shown(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("DATABASE_URL", url)
    assert settings_class().database_url.password == SECRET
    assert SECRET not in repr(settings_class()) + str(settings_class())
    environment.setenv("POOL_SIZE", "many")
    with pytest.raises(ValidationError, match="pool_size") as caught:
        settings_class()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("POOL_SIZE", value) for value in ("0", "-1", "x", "")),
        *(("MAX_OVERFLOW", value) for value in ("-1", "x")),
        *(("POOL_TIMEOUT", value) for value in ("0", "-1", "x", "nan")),
        *(("POOL_RECYCLE", value) for value in ("-2", "x")),
        *(
            ("WORK_MEM", value)
            for value in ("32", "0MB", "32 MB", "32mb", "1MB'; DROP TABLE x", "")
        ),
        *(("STATEMENT_TIMEOUT", value) for value in ("0", "-1", "x")),
        *(
            ("MAP_BACKGROUND_URL", value)
            for value in (
                "tiles.example.org/{z}/{x}/{y}.png",
                "ftp://example.org/{z}/{x}/{y}",
                "https://example.org/{z}/{x}.png",
                "https://{s}.example.org/{z}/{x}/{y}.png",
                "https://example.org; script-src */{z}/{x}/{y}",
                "https://me:key@example.org/{z}/{x}/{y}",
            )
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv("DATABASE_URL", "postgresql://localhost/x")
    environment.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        settings_class()


def test_a_file_says_what_the_environment_does_not(
    settings_class: type[ServiceSettings], environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://localhost/x\nPOOL_SIZE=3\nOTHER=1\n")
    assert settings_class().pool_size == 3
    environment.setenv("POOL_SIZE", "4")
    assert settings_class().pool_size == 4
