"""The settings that geotables reads: their types, with range and description, and their defaults.

A project's own class inherits ``ServiceSettings`` and may state another default (``pool_size: PoolSize = 20``).
"""

import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

#: Passwords of examples, and those that are guessed first.
GUESSED = frozenset({"", "postgres", "password", "secret", "change-me", "changeme", "example"})

#: A host with or without a port, and nothing that would end a policy's source.
ORIGIN = re.compile(r"([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


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


def _tile_url(value: str) -> str:
    """A template of the addresses of tiles, of which the policy of pages (CSP) can name the origin."""
    parts = urlsplit(value)
    if value and not (
        parts.scheme in ("http", "https")
        and ORIGIN.fullmatch(parts.netloc)
        and all(value.count(each) == 1 for each in ("{z}", "{x}", "{y}"))
        and not re.search(r"[\s\"'<>]", value)
    ):
        raise ValueError("not like https://tiles.example.org/{z}/{x}/{y}.png")
    return value


def _listed(value: Any) -> Any:
    """The parts of a comma-separated text."""
    return (
        tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value
    )


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


Environment = Annotated[
    Literal["development", "production"],
    Field(description="production: refuse to start with what is unsafe there."),
]
Debug = Annotated[
    bool, Field(description="Whether clients are told the traceback of an unexpected error.")
]
DatabaseURL = Annotated[
    URL,
    NoDecode,
    BeforeValidator(_database_url),
    Field(description="The database: postgresql://user:password@host:5432/database"),
]
DatabaseReadURL = Annotated[
    URL | None,
    NoDecode,
    BeforeValidator(_optional_database_url),
    Field(description="A replica to read from; unset: the database itself."),
]
MaxReplicaLag = Annotated[
    float,
    Field(
        ge=0, description="Seconds that the replica may be behind; beyond, reads go to the primary."
    ),
]
PoolSize = Annotated[int, Field(ge=1, description="Connections that each process keeps open.")]
MaxOverflow = Annotated[
    int, Field(ge=0, description="Connections that each process may open beyond those.")
]
PoolTimeout = Annotated[
    float, Field(gt=0, description="Seconds that a request waits for a connection.")
]
PoolRecycle = Annotated[
    int, Field(ge=-1, description="Seconds after which a connection is replaced; -1: never.")
]
Processes = Annotated[
    int,
    Field(
        ge=1,
        description="Processes of the service on all machines together, which share the database's connections.",
    ),
]
WorkMem = Annotated[
    str,
    Field(pattern="^[1-9]\\d*(kB|MB|GB)$", description="PostgreSQL's memory for a spatial sort."),
]
StatementTimeout = Annotated[
    int, Field(ge=1, description="Seconds after which PostgreSQL gives up a statement.")
]
IdleTimeout = Annotated[
    int, Field(ge=1, description="Seconds after which PostgreSQL ends an idle transaction.")
]
PageSize = Annotated[int, Field(ge=1, description="Rows of a page, unless asked otherwise.")]
MaxPageSize = Annotated[int, Field(ge=1, description="Rows of a page, at the most.")]
Count = Annotated[
    Literal["exact", "estimated", "none"],
    Field(
        description="Whether pages of features tell how many there are; exact takes a pass over all of them, none tells it where that is free."
    ),
]
CountLifetime = Annotated[
    float,
    Field(
        ge=0,
        description="Seconds for which the number of a collection's rows may miss what other processes write.",
    ),
]
ExtentLifetime = Annotated[
    float,
    Field(
        ge=0,
        description="Seconds for which the collection's extent may miss what other processes write, and tiles new overviews.",
    ),
]
Downloads = Annotated[
    int,
    Field(
        ge=1,
        description="GeoParquet and FlatGeobuf files that a process writes at once, each by another one of about 150 MB.",
    ),
]
TileLimit = Annotated[
    int,
    Field(
        ge=1, description="Rows of a vector tile, at the most: the largest, or a sample of points."
    ),
]
TileMaxAge = Annotated[
    int,
    Field(
        ge=0,
        description="Seconds for which a vector tile may be used without asking again whether it has changed.",
    ),
]
MaxBodySize = Annotated[int, Field(ge=1, description="Bytes of a request, at the most.")]
RequestTimeout = Annotated[
    float,
    Field(gt=0, description="Seconds in which a request has to come as a whole, with its body."),
]
MaxVertices = Annotated[int, Field(ge=1, description="Vertices of a geometry, at the most.")]
MaxRadius = Annotated[
    float | None, Field(gt=0, description="Metres of a search's radius, at the most; unset: any.")
]
MaxBBoxWidth = Annotated[
    float,
    Field(
        gt=0,
        le=360,
        description="Degrees from the western edge of a box to its eastern, at the most.",
    ),
]
AllowedHosts = Annotated[
    Listed,
    Field(description="Hosts that the service answers for, such as *.example.org; empty: any."),
]
MapBackgroundURL = Annotated[
    str,
    AfterValidator(_tile_url),
    Field(
        description="Raster tiles that maps draw below the features: https://tiles.example.org/{z}/{x}/{y}.png; empty: none."
    ),
]
MapBackgroundAttribution = Annotated[
    str, Field(description="What maps say about where these tiles come from.")
]

CORSOrigins = Annotated[
    Listed, Field(description="Origins whose pages may use the service from a browser; * is any.")
]
RootPath = Annotated[
    str,
    BeforeValidator(_prefix),
    Field(
        pattern="^(/[A-Za-z0-9._~-]+)*$",
        description="The prefix under which a proxy serves the service, such as /geo.",
    ),
]
ForwardedAllowIPs = Annotated[
    Listed,
    Field(
        description="Proxies whose X-Forwarded-For, -Proto and -Prefix are believed: addresses, networks, or * for any."
    ),
]
Compress = Annotated[
    bool,
    Field(description="Whether answers are compressed (gzip), where no proxy in front does it."),
]
LogFormat = Annotated[
    Literal["json", "text"], Field(description="How a line of the log is written.")
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"], Field(description="The least that is logged.")
]
DrainSeconds = Annotated[
    float,
    Field(
        ge=0, description="Seconds to serve on when told to end, until a load balancer has noticed."
    ),
]
ShutdownTimeout = Annotated[
    int, Field(ge=0, description="Seconds that requests have to finish after that.")
]


class ServiceSettings(BaseSettings):
    """The settings; each is named in the environment as it is here, in upper case."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    title: str = "Service"
    description: str = ""

    environment: Environment = "development"
    debug: Debug = False
    # Type checkers then know that it comes from the environment.
    database_url: DatabaseURL = Field(default=...)
    database_read_url: DatabaseReadURL = None
    max_replica_lag: MaxReplicaLag = 10
    pool_size: PoolSize = 10
    max_overflow: MaxOverflow = 5
    pool_timeout: PoolTimeout = 30
    pool_recycle: PoolRecycle = 1800
    processes: Processes = 1
    work_mem: WorkMem = "32MB"
    statement_timeout: StatementTimeout = 30
    idle_timeout: IdleTimeout = 60
    page_size: PageSize = 100
    max_page_size: MaxPageSize = 10_000
    count: Count = "none"
    count_lifetime: CountLifetime = 60
    extent_lifetime: ExtentLifetime = 60
    downloads: Downloads = 1
    tile_limit: TileLimit = 10_000
    tile_max_age: TileMaxAge = 10
    max_body_size: MaxBodySize = 10_000_000
    request_timeout: RequestTimeout = 60
    max_vertices: MaxVertices = 100_000
    max_radius: MaxRadius = None
    max_bbox_width: MaxBBoxWidth = 360
    allowed_hosts: AllowedHosts = ()
    cors_origins: CORSOrigins = ()
    map_background_url: MapBackgroundURL = ""
    map_background_attribution: MapBackgroundAttribution = ""
    root_path: RootPath = ""
    forwarded_allow_ips: ForwardedAllowIPs = ("127.0.0.1",)
    compress: Compress = False
    log_format: LogFormat = "json"
    log_level: LogLevel = "info"
    drain_seconds: DrainSeconds = 0
    shutdown_timeout: ShutdownTimeout = 35

    @property
    def asks_who(self) -> bool:
        """Whether callers have to say who they are."""
        return False

    def open_access(self) -> Iterator[str]:
        """What anybody may do who should not, a sentence each."""
        yield from ()

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
