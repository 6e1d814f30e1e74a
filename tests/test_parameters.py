"""Parameters, good and hostile: what is refused, why, and that the suggestion would do."""

import keyword
import re
import sys
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import metadata
from itertools import chain
from pathlib import Path
from uuid import UUID

import pytest
from conftest import Bake
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from parameters import (
    CHOICES,
    NAMES,
    OPTIONAL,
    AttributesError,
    Problem,
    derived_names,
    parse_attributes,
    problems,
    reserved,
)
from parameters.attributes import Attribute
from parameters.names import IDENTIFIER, class_name, plural

GOOD = {
    "project_name": "Facilities Service",
    "project_slug": "facilities-service",
    "package_name": "facilities_service",
    "description": "",
    "author_name": "",
    "license": "MIT",
    "resource_name": "facility",
    "table_name": "facilities",
    "attributes": "name:str(100) status:str(20)=active capacity:int?",
    "geometry_column": "location",
    "geometry_type": "POINT",
    "geometry_dimension": "XY",
    "srid": "4326",
    "index_name": "idx_facilities_location_gist",
    "index_predicate": "status = 'active'",
    "primary_key": "bigint",
    "key_column": "id",
    "timestamps": "yes",
    "table_schema": "",
    "read_only": "no",
    "output_format": "geojson",
    "pool_size": "10",
    "max_overflow": "5",
    "pool_timeout": "30",
    "pool_recycle": "1800",
    "work_mem": "32MB",
    "ci": "github",
    "deployment": "compose",
    "auth": "api_key",
}


def found(**changes: str) -> list[Problem]:
    return problems(GOOD | changes)


def refused(parameter: str, value: str) -> Problem:
    """The one problem that a value makes, with a suggestion that makes none."""
    (problem,) = found(**{parameter: value})
    assert problem.parameter == parameter
    assert not found(**{parameter: problem.suggestion}), problem
    return problem


def settled(context: Mapping[str, str]) -> bool:
    """Whether doing as the suggestions say comes to an end without problems."""
    for _ in range(4):
        context = dict(context) | {p.parameter: p.suggestion for p in problems(context)}
    return not problems(context)


def test_good_parameters_have_no_problems() -> None:
    assert found() == []
    assert set(GOOD) == set(NAMES)


def test_parameters_of_a_later_version_may_be_missing() -> None:
    assert problems({k: v for k, v in GOOD.items() if k not in OPTIONAL}) == []


def test_private_variables_are_not_parameters() -> None:
    assert found(_template="/x", __class_name="Facility") == []


def test_every_problem_is_found_at_once_in_the_order_of_the_parameters() -> None:
    wrong = {"srid": "0", "package_name": "json", "pool_size": "x", "table_name": "map"}
    assert [p.parameter for p in found(**wrong)] == [
        "table_name",
        "srid",
        "package_name",
        "pool_size",
    ]


def test_missing_parameters_are_named() -> None:
    empty = problems({})
    assert {p.parameter for p in empty} == set(NAMES) - OPTIONAL
    assert settled({p.parameter: p.suggestion for p in empty})


def test_misspelt_parameters_are_named() -> None:
    (problem,) = found(sird="4326")
    assert (problem.parameter, problem.suggestion) == ("sird", "srid")


def test_a_problem_is_one_line_with_all_four_parts() -> None:
    line = str(Problem("table_name", "a\nb\x1b[31m\u202e", "is wrong", "facilities"))
    assert line == r"table_name = 'a\nb\x1b[31m\u202e': is wrong; try 'facilities'"
    assert str(Problem("index_predicate", "true", "is constant", "")).endswith("leave it empty")
    assert len(str(Problem("srid", "9" * 10_000, "is no code", "4326"))) < 200


ACCEPTED = {
    "project_name": ['Jo\'s "GIS" \\ {{ x }} 🏴󠁧󠁢󠁥󠁮󠁧󠁿 👩‍🚒', "x", "x" * 200, "国土 地図"],
    "project_slug": ["a", "a-1", "match", "a" * 50],
    "package_name": ["match", "_private", "a1", "a" * 63],
    "description": ["", "100 % {% raw %}"],
    "resource_name": ["charging_station", "sheep", "time", "x" * 39, "x_" * 20],
    "table_name": ["charging_stations", "sheep", "values", "facility"],
    "attributes": ["", "type:text", "date:date uuid:uuid!=random"],
    "geometry_column": ["geom", "shape"],
    "srid": ["4326", "4979", "27700", "2263", "3031", "3857", "4277"],
    "index_name": ["IDX_Facilities", "größe$1", "_x", "i" * 63],
    "index_predicate": ["", "capacity > 3"],
    "key_column": ["gid", "uuid", "x" * 47],
    "table_schema": ["", "cadastre", "x" * 63],
    "pool_size": ["1", "92"],
    "max_overflow": ["0", "87"],
    "pool_timeout": ["1", "300"],
    "pool_recycle": ["-1", "30", "86400"],
    "work_mem": ["64kB", "2147483647kB", "8GB"],
}


@pytest.mark.parametrize(
    ("parameter", "value"), [(name, value) for name in ACCEPTED for value in ACCEPTED[name]]
)
def test_accepted(parameter: str, value: str) -> None:
    changes = {parameter: value} | ({"index_predicate": ""} if parameter == "attributes" else {})
    assert found(**changes) == []


REFUSED = {
    "project_name": ["", " ", "a\nb", "a\x00", "\u202e", "\ud800", "x" * 201, "\u200b"],
    "project_slug": [
        *("", "A", "a/b", "../x", "a.b", "a-", "-a", "1a", "fastapi", "con", "python3", "a" * 51),
    ],
    "package_name": ["", "1a", "Json", "json", "class", "_", "__main__", "sqlalchemy", "tests"],
    "description": ["a\r\nb", "x" * 1001],
    "author_name": ["\x07"],
    "license": ["mit", "GPL", "", "MIT\n"],
    "resource_name": [
        *("order", "user", "map", "base", "index", "none", "exception", "geometry", "mapped"),
        *("a b", "Größe", "1x", "", "feature", "x" * 40, "x" * 64, "facility\n"),
    ],
    "table_name": [
        *("order", "user", "table", "docs", "alembic_version", "spatial_ref_sys", "pg_x", "idx_x"),
        "alembic_version_facilities_service",
        *("box2d", "geography", "Facilities", "x" * 64, "import", 'a"; DROP TABLE b; --'),
    ],
    "attributes": [
        *("name", "name:", ":text", "name:text,", "Name:text", "n:foo", "n:str", "n:str(0)"),
        *("n:str(10485761)", "n:str(a)", "n:numeric", "n:numeric(1001,0)", "n:numeric(2,3)"),
        *("n:int(4)", "n:text!?", "n:text??", "n:json!", "n:text!=x", "n:int=", "n:int=1.5"),
        *("n:int=2147483648", "n:bigint=-9223372036854775809", "n:float=nan", "n:float=1e999"),
        *("n:float=inf", "n:float=1e-999", "n:numeric(3,1)=100", "n:numeric(3,1)=1.25"),
        *("n:bool=yes", "n:date=2020-02-30", "n:date=now", "n:datetime=2020-01-01"),
        *("n:datetime=0001-01-01T00:00:00+15:00", "n:datetime=2020-01-01T00:00:00+16:00"),
        *("n:datetime=today", "n:uuid=1", "n:json={", "n:json=NaN", "n:json='\"\\u0000\"'"),
        *("n:str(2)=abc", "n:text='a", "n:text=a'b", "n:text='a\x00'", "n:int=\u0665"),
        *("limit:int", "bbox:text", "id:int", "metadata:json", "model_x:int", "sa:int"),
        *("order:int", "xmin:int", "class:text", "n:text n:int", "x" * 64 + ":int"),
    ],
    "geometry_column": ["", "limit", "status", "id", "order", "Geom", "x" * 64, "metadata"],
    "geometry_type": ["point", "CIRCULARSTRING"],
    "geometry_dimension": ["XYM", "xyz"],
    "srid": [
        *(
            "0",
            "-1",
            "EPSG:4326",
            "4978",
            "4807",
            "900913",
            "5773",
            "99999",
            "",
            " 4326",
            "\u0664\u0663",
        ),
        *("04326", "4326.0", "9" * 5000, "EPSG:4978"),
    ],
    "index_name": [
        *("", "a b", "1a", "$a", "a-b", 'a"b', "order", "SELECT", "x" * 64, "é" * 32, "a\u00a0b"),
        *("facilities", "pk_facilities", "idx_facilities_location_geog", "spatial_ref_sys"),
    ],
    "index_predicate": [
        *(
            "true",
            "capacity",
            "staus = 'active'",
            "status = 1",
            "status = 'a';",
            "\n",
            "now() > id",
            "location && ST_MakeEnvelope(1, 2, 3, 4)",
            "ST_Area(ST_SetSRID(location, 27700)::geography) > 1",
            "created_at AT TIME ZONE 'Europe/Berln' > '2020-01-01'",
        ),
    ],
    "primary_key": ["serial"],
    "key_column": ["", "a b", "Id", "created_at", "metadata", "x" * 64],
    "timestamps": ["true"],
    "table_schema": ["public", "pg_x", "information_schema", "Cadastre", "a.b", "user", "x" * 64],
    "read_only": ["true"],
    "output_format": ["GeoJSON"],
    "pool_size": ["0", "98", "+5", "5.0", "\u0665", " 5", "", "-1", "1_0", "9" * 5000],
    "max_overflow": ["-1", "88", "97"],
    "pool_timeout": ["0", "301"],
    "pool_recycle": ["0", "29", "-2", "86401"],
    "work_mem": ["32", "32mb", "32M", "63kB", "0MB", "1.5GB", "3000GB", "32 MB", "", "\u0663MB"],
    "ci": ["GitHub", ""],
    "deployment": ["docker"],
    "auth": ["basic"],
}


@pytest.mark.parametrize(
    ("parameter", "value"), [(name, value) for name in REFUSED for value in REFUSED[name]]
)
def test_refused(parameter: str, value: str) -> None:
    changes = {parameter: value} | ({"index_predicate": ""} if parameter == "attributes" else {})
    complaints = found(**changes)
    assert complaints, value
    for problem in complaints:
        assert problem.parameter == parameter
        assert problem.value == value
        assert problem.reason
        assert "\n" not in str(problem)
        assert found(**changes | {parameter: problem.suggestion}) == []


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_is_accepted(choice: str) -> None:
    assert [found(**{choice: value}) for value in CHOICES[choice]] == [[]] * len(CHOICES[choice])


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40)))
def test_whatever_comes_in_suggestions_lead_to_good_parameters(changes: dict[str, str]) -> None:
    for problem in found(**changes):
        assert "\n" not in str(problem)
    assert settled(GOOD | changes)


WORDS = ["name", "a", ":", "str", "(5)", "int", "json", "=", "'", "?", "!", " ", "now", "1", "{}"]


@given(st.lists(st.sampled_from(WORDS)).map("".join))
def test_whatever_attributes_come_in_are_parsed_or_put_right(text: str) -> None:
    try:
        attributes = parse_attributes(text)
    except AttributesError as error:
        attributes = parse_attributes(error.problems[0].suggestion)
    assert len({attribute.name for attribute in attributes}) == len(attributes)


@pytest.mark.parametrize("end", ["'", "';", "'("])
def test_many_quotes_are_read_in_one_way(end: str) -> None:
    """Of 2**100 ways to pair them."""
    changes = {"attributes": "name:text=" + "''" * 100 + end, "index_predicate": ""}
    assert found(**changes) != []
    assert settled(GOOD | changes)


@pytest.mark.parametrize("name", sorted(reserved.every(reserved.TABLES)))
def test_reserved_tables(name: str) -> None:
    refused("table_name", name)


@pytest.mark.parametrize("name", sorted(reserved.every(reserved.COLUMNS)))
def test_reserved_columns(name: str) -> None:
    refused("geometry_column", name)


@pytest.mark.parametrize("name", sorted(reserved.every(reserved.PACKAGES)))
def test_reserved_packages(name: str) -> None:
    refused("package_name", name)


def test_no_package_shadows_what_the_service_imports(bake_once: Bake) -> None:
    """Of what is installed here, everything that a variant requires, with what that requires in turn."""
    pyproject = tomllib.loads(bake_once(auth="oidc").files["pyproject.toml"])
    project, groups = pyproject["project"], pyproject["dependency-groups"]
    lists = (*project["optional-dependencies"].values(), *groups.values())
    wanted = list(map(Requirement, chain(project["dependencies"], *lists)))
    distributions: set[str] = set()
    for requirement in wanted:
        distribution = metadata.distribution(requirement.name)
        distributions.add(canonicalize_name(requirement.name))
        for each in map(Requirement, distribution.requires or ()):
            extras = [{"extra": extra} for extra in ("", *requirement.extras)]
            needed = each.marker is None or any(map(each.marker.evaluate, extras))
            if needed and each not in wanted:
                wanted.append(each)
    modules = {
        module
        for module, names in metadata.packages_distributions().items()
        if distributions & set(map(canonicalize_name, names))
    }
    assert {"fastapi_offline", "jwt", "pyogrio", "opentelemetry", "prometheus_client"} <= modules
    taken = modules | {name.replace("-", "_") for name in distributions}
    assert {name for name in taken if IDENTIFIER.fullmatch(name)} <= reserved.every(
        reserved.PACKAGES
    )


def test_no_package_shadows_the_modules_beside_it(bake_once: Bake) -> None:
    files = bake_once().files
    beside = {
        Path(file).stem
        for file in files
        if re.match(r"(tests|tests/geotables|tools)/(?!test_)[^/]*\.py$", file)
    }
    assert {"conftest", "postgis", "rows"} <= beside <= reserved.PROJECT_MODULES


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("geotables", "is the package that comes with each project, beside its own"),
        ("postgis", "is a module of the project's tests and tools"),
    ],
)
def test_no_package_is_called_like_what_lies_beside_it(name: str, reason: str) -> None:
    (problem,) = found(package_name=name)
    assert problem.reason == f"'{name}' {reason}"
    assert problem.suggestion == f"{name}_service"


def test_no_table_is_called_like_a_module_beside_its_own(bake_once: Bake) -> None:
    project = bake_once()
    modules = {path.stem for path in (project.source / "tables").glob("*.py")}
    assert modules - {"__init__", project.table} <= reserved.TABLES_MODULES
    for name in reserved.TABLES_MODULES:
        (problem,) = found(table_name=name)
        assert problem.suggestion == f"{name}_records"


def test_soft_keywords_work_as_packages() -> None:
    for name in set(keyword.softkwlist) - {"_"}:
        compile(f"from {name}.main import app\n{name}.main.app", "", "exec")


def test_standard_library_is_that_of_every_python() -> None:
    assert sys.stdlib_module_names <= reserved.STANDARD_LIBRARY
    assert {"distutils", "annotationlib"} <= reserved.STANDARD_LIBRARY


def test_attributes_error_carries_the_problems() -> None:
    with pytest.raises(AttributesError, match="reserves") as caught:
        parse_attributes("order:int")
    assert caught.value.problems[0].suggestion == "order_value:int"


def test_attributes() -> None:
    assert parse_attributes("status:str(20)") == (Attribute("status", "str", length=20),)
    assert parse_attributes("") == ()


def test_every_reason_about_attributes_is_given_at_once() -> None:
    complaints = found(attributes="limit:str(0) b:int=x!", index_predicate="")
    assert len(complaints) == 3
    assert {p.suggestion for p in complaints} == {"limit_value:str(100) b:int=0"}


@pytest.mark.parametrize(
    ("text", "value", "function"),
    [
        ("str(9)='in use'", "in use", None),
        ("text='it''s'", "it's", None),
        ("text=''", "", None),
        ("str(6)=a=b:c?", "a=b:c?", None),
        ("int=-5", -5, None),
        ("bigint=9223372036854775807", 2**63 - 1, None),
        ("float=1e3", 1000.0, None),
        ("numeric(5,2)=-1.50", Decimal("-1.50"), None),
        ("bool=false", False, None),
        ("date=2020-02-29", date(2020, 2, 29), None),
        ("date=today", None, "CURRENT_DATE"),
        ("datetime='2020-01-01 10:00Z'", datetime(2020, 1, 1, 10, tzinfo=UTC), None),
        ("datetime=now", None, "now()"),
        ("uuid=random", None, "gen_random_uuid()"),
        ("uuid=00000000-0000-0000-0000-000000000001", UUID(int=1), None),
        ("json={}", {}, None),
        ("""json='{"a": [1, null]}'""", {"a": [1, None]}, None),
        ("text=now", "now", None),
    ],
)
def test_defaults(text: str, value: object, function: str | None) -> None:
    (attribute,) = parse_attributes(f"x:{text}")
    assert attribute.default is not None
    assert (attribute.default.value, attribute.default.function) == (value, function)


def test_marks() -> None:
    plain, nullable, unique, both = parse_attributes("a:text b:text? c:text! d:text?!")
    assert [a.nullable for a in (plain, nullable, unique, both)] == [False, True, False, True]
    assert [a.unique for a in (plain, nullable, unique, both)] == [False, False, True, True]
    assert plain.default is None


def test_a_table_has_room_for_so_many_attributes() -> None:
    many = " ".join(f"a{n}:int" for n in range(1597))
    (problem,) = found(attributes=many, index_predicate="")
    assert len(parse_attributes(problem.suggestion)) == 1596


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        *(("facility", "facilities"), ("box", "boxes"), ("charging_station", "charging_stations")),
        *(("survey", "surveys"), ("address", "addresses"), ("studio", "studios")),
        *(("beach", "beaches"), ("branch", "branches"), ("area", "areas"), ("x", "")),
        *(("child", ""), ("bus", ""), ("leaf", ""), ("knife", ""), ("potato", ""), ("axis", "")),
        *(("sheep", ""), ("data", ""), ("index", ""), ("stomach", ""), ("woman", ""), ("quiz", "")),
        *(("fire_equipment", ""), ("zone1", ""), ("", ""), ("a b", ""), ("stations", "")),
    ],
)
def test_plural_is_certain_or_empty(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_an_uncertain_plural_has_to_be_given() -> None:
    (problem,) = found(resource_name="child", table_name="")
    assert problem.parameter == "table_name"
    assert "'child' is not certain" in problem.reason


@pytest.mark.parametrize(
    ("noun", "expected"), [("facility", "Facility"), ("charging_station", "ChargingStation")]
)
def test_class_name(noun: str, expected: str) -> None:
    assert class_name(noun) == expected


def test_derived_names_fit_and_differ() -> None:
    attributes = parse_attributes("code:str(9)!")
    names = derived_names("facilities", "location", attributes, geographic=True)
    assert set(names) == {
        "pk_facilities",
        "facilities_id_seq",
        "ck_facilities_location_range",
        "ck_facilities_location_type",
        "idx_facilities_location_geog",
        "uq_facilities_code",
    }
    projected = derived_names("facilities", "location", (), geographic=False)
    assert "idx_facilities_location_geog" not in projected


@pytest.mark.parametrize(
    ("changes", "culprits"),
    [
        ({"table_name": "t" * 60}, {"table_name"}),
        ({"geometry_column": "g" * 60}, {"geometry_column"}),
        ({"table_name": "t" * 63, "geometry_column": "g" * 63}, {"table_name", "geometry_column"}),
        ({"attributes": f"status:text {'a' * 60}:text!"}, {"attributes"}),
    ],
)
def test_names_that_would_be_cut_off(changes: dict[str, str], culprits: set[str]) -> None:
    complaints = found(**changes | {"index_predicate": ""})
    assert {p.parameter for p in complaints} == culprits
    assert all("bytes long" in p.reason for p in complaints)
    assert settled(GOOD | changes | {"index_predicate": ""})


def test_the_pool_fits_the_database() -> None:
    problem = refused("max_overflow", "88")
    assert "10 + max_overflow 88 = 98" in problem.reason
    assert problem.suggestion == "87"


def test_a_predicate_over_a_wrong_attribute_is_not_refused_for_it() -> None:
    complaints = found(attributes="status:strr(20) n:int", index_predicate="status = 'a' AND n > 1")
    assert [p.parameter for p in complaints] == ["attributes"]


@pytest.mark.parametrize(
    ("attributes", "meant"),
    [
        ("name:str(100),status:text", "name:str(100) status:text"),
        ("name:str(100); status:text;", "name:str(100) status:text"),
        ("name,status", "name:text status:text"),
        ("price:numeric(10, 2)", "price:numeric(10,2)"),
        ("price: numeric ( 10 , 2 ) = 1.50", "price:numeric(10,2)=1.50"),
        ("name VARCHAR(100)", "name:str(100)"),
        ("name varchar", "name:str(100)"),
        ("name:VARCHAR(50)", "name:str(50)"),
        ("name character varying(20), n INTEGER", "name:str(20) n:int"),
        ("weight DECIMAL(6), x double precision", "weight:numeric(6,0) x:float"),
        ("name:text NOT NULL", "name:text"),
        ("name:text NULL code:str(8) unique not null", "name:text? code:str(8)!"),
        ("id serial primary key, name text", "name:text"),
        ("seen timestamp with time zone NOT NULL DEFAULT now()", "seen:datetime=now"),
        ("status TEXT DEFAULT 'in use, or not', n int", "status:text='in use, or not' n:int"),
        ("status:text='a,b',n:int", "status:text='a,b' n:int"),
        ("kind:enum('a', 'b') tags:text[]", "kind:text tags:json"),
        ('"name":text', "name:text"),
        ("name:str(100)|status:text", "name:str(100) status:text"),
        ("name:text , n:int=1 ;", "name:text n:int=1"),
        ("name:text | n:int=1 |", "name:text n:int=1"),
        ('name:str(100)="a b", n:int', "name:str(100)='a b' n:int"),
        (
            'status:str(20)="active" day:date="2020-01-31"',
            "status:str(20)='active' day:date='2020-01-31'",
        ),
    ],
)
def test_what_is_suggested_for_attributes_is_what_was_meant(attributes: str, meant: str) -> None:
    complaints = found(attributes=attributes, index_predicate="")
    assert {problem.suggestion for problem in complaints} == {meant}


def test_a_comma_in_a_default_is_part_of_it() -> None:
    assert found(attributes="d:text=a,b e:text='x, y'", index_predicate="") == []


def test_a_condition_sees_the_columns_that_were_meant() -> None:
    complaints = found(
        attributes="status VARCHAR(20), n INT", index_predicate="status = 'a' AND n > 1"
    )
    assert {problem.parameter for problem in complaints} == {"attributes"}


@pytest.mark.parametrize(
    ("noun", "one"),
    [
        ("hydrants", "hydrant"),
        ("charging_stations", "charging_station"),
        ("facilities", "facility"),
        ("buses", "bus"),
        ("school_campuses", "school_campus"),
        ("warehouses", "warehouse"),
    ],
)
def test_a_plural_is_told_to_be_one(noun: str, one: str) -> None:
    """Where the table's name is derived from it; a table may be called so."""
    (problem,) = found(resource_name=noun, table_name="", index_predicate="")
    assert (problem.parameter, problem.suggestion) == ("resource_name", one)
    assert found(resource_name=noun, table_name="things") == []


def test_no_plural_is_asked_for_of_a_name_that_is_to_change() -> None:
    (problem,) = found(resource_name="Fire-Hydrant", table_name="", index_predicate="")
    assert (problem.parameter, problem.suggestion) == ("resource_name", "fire_hydrant")


def test_a_long_suggestion_is_whole() -> None:
    names = [f"column_{number}" for number in range(60)]
    (problem, *_) = found(attributes=", ".join(f"{n}:int" for n in names), index_predicate="")
    assert " ".join(f"{n}:int" for n in names) in str(problem)
