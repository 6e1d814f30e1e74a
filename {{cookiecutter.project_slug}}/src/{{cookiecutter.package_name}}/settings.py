"""Settings: what the environment (or a file ``.env``) may change."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


def _database_url(value: Any) -> URL:
    """Any spelling of a PostgreSQL URL, as a URL for psycopg2."""
    try:
        url = make_url(value)
    except ArgumentError:
        # The message must not repeat the value: it may hold a password.
        raise ValueError("not like postgresql://user:password@host:5432/database") from None
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg2"):
        raise ValueError(f"{url.drivername}:// is not PostgreSQL: postgresql://… is expected")
    return url.set(drivername="postgresql+psycopg2")


class Settings(BaseSettings):
    """The settings; each is named in the environment as it is here, in upper case."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    title: str = {{ cookiecutter.project_name | literal }}
    description: str = {{ cookiecutter.description | literal }}

    database_url: Annotated[URL, NoDecode, BeforeValidator(_database_url)] = Field(
        description="The database: postgresql://user:password@host:5432/database"
    )
    pool_size: int = Field(
        default={{ cookiecutter.pool_size }},
        ge=1,
        description="Connections that each process keeps open.",
    )
    max_overflow: int = Field(
        default={{ cookiecutter.max_overflow }},
        ge=0,
        description="Connections that each process may open beyond those.",
    )
    pool_timeout: float = Field(
        default={{ cookiecutter.pool_timeout }},
        gt=0,
        description="Seconds that a request waits for a connection.",
    )
    pool_recycle: int = Field(
        default={{ cookiecutter.pool_recycle }},
        ge=-1,
        description="Seconds after which a connection is replaced; -1: never.",
    )
    work_mem: str = Field(
        default="{{ cookiecutter.work_mem }}",
        pattern=r"^[1-9]\d*(kB|MB|GB)$",
        description="PostgreSQL's memory for a spatial sort.",
    )
    statement_timeout: int = Field(
        default=30, ge=1, description="Seconds after which PostgreSQL gives up a statement."
    )
    page_size: int = Field(default=100, ge=1, description="Rows of a page, unless asked otherwise.")
    max_page_size: int = Field(default=10_000, ge=1, description="Rows of a page, at the most.")
    max_body_size: int = Field(
        default=10_000_000, ge=1, description="Bytes of a request, at the most."
    )
