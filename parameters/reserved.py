"""Names that a table, a column, a class or a package cannot have, and who has claimed them."""

import builtins
import keyword
import sys

# Reasons for refusing a name, each with the names.
Claims = dict[str, frozenset[str]]


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def claim(name: str, claims: Claims) -> str:
    """Why a name is taken; "" if it is free."""
    return next((f"'{name}' {reason}" for reason, names in claims.items() if name in names), "")


def every(claims: Claims) -> frozenset[str]:
    """All the names that are taken."""
    return frozenset().union(*claims.values())


# PostgreSQL's documentation, appendix C: the words that PostgreSQL 13 to 18 mark "reserved" or
# "reserved (can be function or type)". The words "non-reserved (cannot be function or type)",
# such as time and values, serve as bare names of tables and columns everywhere.
POSTGRESQL_RESERVED = words("""
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable desc
    distinct do else end except false fetch for foreign freeze from full grant group having ilike
    in initially inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
    references returning right select session_user similar some symmetric system_user table
    tablesample then to trailing true union unique user using variadic verbose when where window
    with
""")

# The standard library's modules differ from one Python to the next; what is accepted must not.
STANDARD_LIBRARY = sys.stdlib_module_names | words("""
    annotationlib asynchat asyncore cgi cgitb chunk compression crypt distutils imghdr imp lib2to3
    mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib tomllib uu xdrlib
""")

# Dependencies of the rendered project and theirs, by the names that they are imported and installed by.
DEPENDENCIES = words("""
    aiosqlite alembic annotated_doc annotated_types anyio ast_serialize asyncpg attr attrs certifi
    cffi cfgv charset_normalizer click cql2 cryptography distlib dotenv email_validator execnet fastapi
    fastapi_cli fastapi_offline filelock geoalchemy2 geojson_pydantic google
    googleapis_common_protos greenlet gunicorn h11 httpcore httpcore2 httptools httpx httpx2
    hypothesis identify idna iniconfig jinja2 joserfc jsonschema jsonschema_path
    jsonschema_specifications jwt lazy_object_proxy librt mako markupsafe mypy mypy_extensions mypyc
    nodeenv numpy openapi_schema_validator openapi_spec_validator opentelemetry opentelemetry_api
    opentelemetry_exporter_http_transport opentelemetry_exporter_otlp_common
    opentelemetry_exporter_otlp_proto_common opentelemetry_exporter_otlp_proto_http
    opentelemetry_proto opentelemetry_sdk opentelemetry_semantic_conventions orjson packaging
    pathable pathspec pip pkg_resources platformdirs pluggy pre_commit prometheus_client protobuf
    psycopg psycopg2 psycopg2_binary psycopg_pool py pyarrow pycparser pydantic pydantic_core
    pydantic_settings pygments pyjwt pyogrio pyproj pytest pytest_cov pytest_xdist python_discovery
    python_dotenv
    pyyaml referencing requests rfc3339_validator rich rpds rpds_py ruff schemathesis setuptools
    shapely six sniffio sortedcontainers sqlalchemy starlette structlog tqdm truststore typer
    typing_extensions typing_inspection urllib3 uv uvicorn uvloop virtualenv watchfiles websockets
    wheel wrapt xdist yaml
""")

PROJECT_FOLDERS = words("""
    app build deploy dist docs migrations scripts site src test tests tools venv
""")

# Modules of the project's own that lie beside the package on the path of its tests.
PROJECT_MODULES = words("apps conftest contract markup mvt postgis rows table update")

# Names in tables/__init__.py that the module of a table would take.
TABLES_MODULES = words("base list")

# Files of tests beside the one that has a table's name.
PROJECT_TESTS = words("auth")

# Names that Windows keeps for devices, with any ending.
DEVICES = words("aux con nul prn com1 com2 com3 com4 lpt1 lpt2 lpt3 lpt4")

ROUTES = words("""
    api collections conformance docs health index items map metrics nearby openapi redoc static
    statistics tiles
""")

# PostGIS's own tables, views and types, and Alembic's table. A table makes a type of its name.
OTHER_RELATIONS = words("""
    addbandarg agg_count agg_samealignment alembic_version alembic_version_pkc box2d box2df box3d
    geography geography_columns geometry geometry_columns geometry_dump geomval gidx rastbandarg
    raster raster_columns raster_overviews reclassarg spatial_ref_sys spatial_ref_sys_pkey
    spheroid summarystats topology unionarg valid_detail
""")

# Classes and other capitalised names of the rendered modules.
RESERVED_CLASSES = words("""
    Annotated Any APIRouter AwareDatetime Base BaseGeometry BaseHTTPMiddleware BaseModel
    BaseSettings BBox BigInt BindParameter Body Bool Boolean Bounds Callable Caller Change
    CheckConstraint ClassVar Collection Column ColumnElement Computed Condition Config ConfigDict
    Connection Count CRS Crs Database Date DateTime Decimal DeclarativeBase Depends Double Engine
    Enum Envelope ErrorResponse ExactNumber Extent FastAPI Feature FeatureCollection Features Field
    File Filter Final Float Form Fragment FunctionElement Generic Geography GeoJSON Geojson Geometry
    GeometryCollection GeometryFormat Header HTTPException Id Identity Index Integer Item Iterable
    Iterator JSON Json JSONB JSONResponse JsonValue Latitude Limit LineString List Literal Longitude
    Mapped MappedColumn Mapping MetaData Migrations Model MultiLineString MultiPoint MultiPolygon
    NamedTuple Neighbour Neighbours Never Numeric Optional Page Path Point Polygon
    PrimaryKeyConstraint Problem Protocol Query RawGeometry Refused Request Response Router Row
    RowIn RowOut Schema Secret SecretStr Security Select Self Sequence Session SessionDep Settings
    StreamingResponse String Table Text Tile Timestamp Token Type TypeAdapter TypeAlias TypedDict
    TypeDecorator TypeEngine TypeVar Union UniqueConstraint Url User UUID Uuid ValidationInfo Wkb
    WKBElement WKT Wkt WKTElement
""")

# Compared without regard to case, so that nobody has to tell GeoJson from Geojson.
_CLASSES_FOLDED = {name.casefold() for name in (*RESERVED_CLASSES, *dir(builtins))}


def is_class(name: str) -> bool:
    return keyword.iskeyword(name) or name.casefold() in _CLASSES_FOLDED


# PostgreSQL's documentation, section 5.6; oid was one of them until PostgreSQL 12.
SYSTEM_COLUMNS = words("cmax cmin ctid oid tableoid xmax xmin")
KEYWORDS = frozenset(keyword.kwlist)

NAMES: Claims = {
    "is a word that PostgreSQL reserves": POSTGRESQL_RESERVED,
    "is a Python keyword": KEYWORDS,
}
TABLES: Claims = NAMES | {
    "is a path of the service's own": ROUTES,
    "is a table, view or type of PostGIS or Alembic": OTHER_RELATIONS,
    "is a name that the modules of the tables themselves use": TABLES_MODULES,
    "is a file of the project's tests, where the table's would be": PROJECT_TESTS,
    # A table's module has its name.
    "is a device on Windows": DEVICES,
}
COLUMNS: Claims = NAMES | {
    "is a system column of PostgreSQL": SYSTEM_COLUMNS,
    "is a query parameter or a GeoJSON member of the service": words("""
        after all bbox bbox_crs count crs datetime distance f filter filter_crs filter_lang geometry
        lat limit lon offset properties radius sortby token
    """),
    # dir(pydantic.BaseModel) without the names that begin with model_, of pydantic 2.14.
    "is an attribute of every Pydantic model": words("""
        construct copy dict fields from_orm json parse_file parse_obj parse_raw schema schema_json
        update_forward_refs validate
    """),
    "is an attribute of every SQLAlchemy model": words(
        "metadata query registry type_annotation_map"
    ),
    "is a name that linters take for a 1 (ruff's E741)": words("l"),
    # These hide columns of the same name.
    "is a method of SQLAlchemy's rows": words("index t tuple"),
    # A column of this name would hide what the bodies of the rendered classes use.
    "is a name that the models' code itself uses": words("""
        bool classmethod float int list mapped_column property sa str uuid4
    """),
}
INDEXES: Claims = {"is a relation of PostGIS or Alembic": OTHER_RELATIONS}
PROJECTS: Claims = {
    "is a package that the service depends on": DEPENDENCIES,
    "is a device on Windows": DEVICES,
}
#: A project's command is called like the project, and is installed beside these.
COMMANDS: Claims = {
    "is a command of every Python environment": words("activate pip3 python python3"),
}
PACKAGES: Claims = PROJECTS | {
    "is a Python keyword": KEYWORDS | {"_"},
    "is a module of Python's standard library, which it would hide": STANDARD_LIBRARY,
    "is the package that comes with each project, beside its own": words("geotables"),
    "is a folder of the project": PROJECT_FOLDERS,
    "is a module of the project's tests and tools": PROJECT_MODULES,
}
