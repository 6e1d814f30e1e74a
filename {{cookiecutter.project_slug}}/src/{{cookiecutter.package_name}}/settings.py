"""Settings: what the environment (or a file ``.env``) may change."""

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .access import AccessSettings

#: Passwords that examples have, or that anybody would try first.
GUESSED = frozenset({"", "postgres", "password", "secret", "change-me", "changeme", "example"})


class UnsafeProduction(ValueError):
    """A setting is not fit for production; the message has each on a line."""


def _database_url(value: Any) -> URL:
    """Any spelling of a PostgreSQL URL, as a URL for psycopg2."""
    if isinstance(value, str) and value.partition("?")[0].count("@") > 1:
        # What follows the first would be a host, which messages name.
        raise ValueError("an @ in a user or a password is written as %40")
    try:
        url = make_url(_with_hosts(value) if isinstance(value, str) else value)
    except (ArgumentError, ValueError):
        # The message must not repeat the value: it may hold a password.
        raise ValueError("not like postgresql://user:password@host:5432/database") from None
    name, _, driver = url.drivername.partition("+")
    if name not in ("postgresql", "postgres"):
        raise ValueError(f"{url.drivername}:// is not PostgreSQL: postgresql://… is expected")
    # What both take in a URL is libpq's.
    if driver not in ("", "psycopg", "psycopg2"):
        raise ValueError(f"{driver} is not the driver here: postgresql://… is expected")
    if url.host is not None:
        # The folder of a socket, as libpq has it in a URL: %2Fvar%2Frun%2Fpostgresql.
        url = url.set(host=unquote(url.host))
    if "password" in url.query:
        # As libpq has it, too; there it would be shown with the URL.
        url = url.set(password=url.normalized_query["password"][-1])
        url = url.difference_update_query(["password"])
    return url.set(drivername="postgresql+psycopg2")


def _with_hosts(text: str) -> str:
    """A URL with several hosts in libpq's spelling (``//a:5432,b:5432/``), in SQLAlchemy's (``?host=a:5432&host=…``)."""
    match = re.fullmatch(r"(\S+?://(?:[^/?]*@)?)([^/?@]*,[^/?@]*)([^?]*)\??(.*)", text)
    if match is None:
        return text
    start, hosts, path, query = match.groups()
    return f"{start}{path or '/'}?{'&'.join(f'host={host}' for host in hosts.split(','))}&{query}"


def _optional_database_url(value: Any) -> URL | None:
    return _database_url(value) if value else None


def _prefix(value: Any) -> Any:
    """A path without a slash at its end."""
    return value.rstrip("/") if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """The parts of a comma-separated text."""
    return (
        tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
    )


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


class Settings(AccessSettings):
    """The settings; each is named in the environment as it is here, in upper case."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

{{ cookiecutter.project_name | assigned('    title: str') }}
{{ cookiecutter.description | assigned('    description: str') }}

    environment: Literal["development", "production"] = Field(
        default="development", description="production: refuse to start with what is unsafe there."
    )
    debug: bool = Field(
        default=False, description="Whether clients are told the traceback of an unexpected error."
    )

    database_url: Annotated[URL, NoDecode, BeforeValidator(_database_url)] = Field(
        description="The database: postgresql://user:password@host:5432/database"
    )
    database_read_url: Annotated[URL | None, NoDecode, BeforeValidator(_optional_database_url)] = (
        Field(default=None, description="A replica to read from; unset: the database itself.")
    )
    max_replica_lag: float = Field(
        default=10,
        ge=0,
        description="Seconds that the replica may be behind; beyond, reads go to the primary.",
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
    processes: int = Field(
        default=1,
        ge=1,
        description="Processes of the service on all machines together, which share the database's connections.",
    )
    work_mem: str = Field(
        default="{{ cookiecutter.work_mem }}",
        pattern=r"^[1-9]\d*(kB|MB|GB)$",
        description="PostgreSQL's memory for a spatial sort.",
    )
    statement_timeout: int = Field(
        default=30, ge=1, description="Seconds after which PostgreSQL gives up a statement."
    )
    idle_timeout: int = Field(
        default=60, ge=1, description="Seconds after which PostgreSQL ends an idle transaction."
    )
    page_size: int = Field(default=100, ge=1, description="Rows of a page, unless asked otherwise.")
    max_page_size: int = Field(default=10_000, ge=1, description="Rows of a page, at the most.")
    count: Literal["exact", "estimated", "none"] = Field(
        default="none",
        description="Whether pages of features tell how many there are; exact takes a pass over all of them.",
    )
    extent_lifetime: float = Field(
        default=60,
        ge=0,
        description="Seconds for which the collection's extent may miss what other processes write.",
    )
    tile_limit: int = Field(
        default=10_000,
        ge=1,
        description="Rows of a vector tile, at the most: the largest, or a sample of points.",
    )
    tile_max_age: int = Field(
        default=10,
        ge=0,
        description="Seconds for which a vector tile may be used without asking again whether it has changed.",
    )
    max_body_size: int = Field(
        default=10_000_000, ge=1, description="Bytes of a request, at the most."
    )
    request_timeout: float = Field(
        default=60,
        gt=0,
        description="Seconds in which a request has to come as a whole, with its body.",
    )
    max_vertices: int = Field(
        default=100_000, ge=1, description="Vertices of a geometry, at the most."
    )
    max_radius: float | None = Field(
        default=None, gt=0, description="Metres of a search's radius, at the most; unset: any."
    )
    max_bbox_width: float = Field(
        default=360,
        gt=0,
        le=360,
        description="Degrees from the western edge of a box to its eastern, at the most.",
    )

    allowed_hosts: Listed = Field(
        default=(),
        description="Hosts that the service answers for, such as *.example.org; empty: any.",
    )
    cors_origins: Listed = Field(
        default=(), description="Origins whose pages may use the service from a browser; * is any."
    )
    root_path: Annotated[str, BeforeValidator(_prefix)] = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="The prefix under which a proxy serves the service, such as /geo.",
    )
    forwarded_allow_ips: Listed = Field(
        default=("127.0.0.1",),
        description="Proxies whose X-Forwarded-For, -Proto and -Prefix are believed: addresses, networks, or * for any.",
    )
    compress: bool = Field(
        default=False,
        description="Whether answers are compressed (gzip), where no proxy in front does it.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How a line of the log is written."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        description="Seconds to serve on when told to end, until a load balancer has noticed.",
    )
    shutdown_timeout: int = Field(
        default=35, ge=0, description="Seconds that requests have to finish after that."
    )

    def refuse_unsafe_production(self) -> None:
        """See that production is safe.

        Raises:
            UnsafeProduction: It is not.
        """
        if self.environment == "production" and (found := list(self._unsafe())):
            raise UnsafeProduction("\n".join(f"ENVIRONMENT=production: {each}" for each in found))

    def _unsafe(self) -> Iterator[str]:
        yield from self.open_access()
        if self.debug:
            yield "DEBUG: tracebacks are shown to clients"
        for name, url in (
            ("DATABASE_URL", self.database_url),
            ("DATABASE_READ_URL", self.database_read_url),
        ):
            if url is not None and _is_guessed(url):
                yield f"{name}: the password is none, or one that anybody would try"


def _is_guessed(url: URL) -> bool:
    """Whether a connection over the network is protected by no more than a well-known password."""
    protected = {"sslcert", "passfile", "service"} & url.query.keys() or "PGPASSFILE" in os.environ
    hosts = filter(None, [url.host, *url.normalized_query.get("host", ())])
    on_this_machine = all(host.startswith("/") for host in hosts)
    password = str(url.password or os.environ.get("PGPASSWORD", ""))
    return not (protected or on_this_machine) and password.lower() in GUESSED | {str(url.username)}
