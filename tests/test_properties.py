"""Whatever is given: it is refused by name and leaves nothing, or what is rendered works."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from rendering import DEFAULTS, WrongParameters, complete, render
from test_rendering import assert_clean

import parameters
from parameters import reserved
from parameters.reserved import every

# The same examples in every run: what a run finds, the next one finds again.
few = settings(
    derandomize=True,
    deadline=None,
    max_examples=20,
    database=None,
    # Without shrinking, which takes minutes where each example takes a second.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# -- What is right -------------------------------------------------------------------------------


def without_braces(text: str) -> bool:
    """Cookiecutter itself renders what has the braces of Jinja."""
    return not re.search(r"\{[{%#]", text)


shown = st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Cn"])
line = st.text(shown, max_size=80).filter(without_braces)
SRIDS = ("4326", "4258", "4979", "3857", "27700", "2263", "3031", "2193", "32633")


def name(longest: int) -> SearchStrategy[str]:
    return st.from_regex(rf"[a-z][a-z0-9_]{{0,{longest - 1}}}", fullmatch=True)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def integers(bits: int) -> SearchStrategy[str]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


#: Each type of column, with the defaults that it takes.
TYPES: dict[str, SearchStrategy[str]] = {
    "str(80)": line.map(quoted),
    "text": line.map(quoted),
    "int": integers(32),
    "bigint": integers(64),
    "float": st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False).map(repr),
    "numeric(12,4)": st.decimals(-99_999_999, 99_999_999, places=4).map(
        lambda number: f"{number:f}"
    ),
    "bool": st.sampled_from(["true", "false"]),
    "date": st.dates().map(str) | st.just("today"),
    "datetime": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.just("now"),
    "uuid": st.uuids().map(str) | st.just("random"),
    "json": st.recursive(
        st.integers(-(2**53), 2**53).map(str) | st.booleans().map(lambda value: f"{value}".lower()),
        lambda inner: st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]"),
        max_leaves=4,
    ),
}


@st.composite
def attributes(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Declarations of columns, each with its name."""
    words = []
    for column in draw(st.lists(name(20), max_size=4, unique=True)):
        kind = draw(st.sampled_from(sorted(TYPES)))
        mark = draw(st.sampled_from(["", "?"]))
        default = draw(st.none() | TYPES[kind])
        words.append(
            (column, f"{column}:{kind}{mark}" + ("" if default is None else f"={default}"))
        )
    return words


@st.composite
def predicates(draw: st.DrawFn, columns: list[str]) -> str:
    """Conditions over any of the columns."""
    tests = [f"{column} IS NOT NULL" for column in [*columns, "id", "created_at"]]
    tests += [f"created_at > '{year}-01-01T00:00:00Z'" for year in (1970, 2020)]
    condition, *others = draw(st.lists(st.sampled_from(tests), min_size=1, max_size=4))
    for other in others:
        condition += draw(st.sampled_from([" AND ", " OR ", " AND NOT "])) + other
    return condition


@st.composite
def right(draw: st.DrawFn) -> dict[str, str]:
    """Parameters in which nothing is wrong, names that are taken aside."""
    declared = draw(attributes())
    size = draw(st.integers(1, 97))
    choices = {
        name: draw(st.sampled_from(default))
        for name, default in DEFAULTS.items()
        if isinstance(default, list)
    }
    return choices | {
        "project_name": draw(line.filter(str.strip)),
        "project_slug": draw(st.from_regex(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)),
        "package_name": draw(name(63)),
        "description": draw(line),
        "author_name": draw(line),
        "resource_name": draw(name(parameters.CLASS_LETTERS)),
        "table_name": draw(name(25)),
        "geometry_column": draw(name(25)),
        "index_name": draw(name(63)),
        "attributes": " ".join(word for _, word in declared),
        "index_predicate": draw(st.just("") | predicates([column for column, _ in declared])),
        "srid": draw(st.sampled_from(SRIDS)),
        "pool_size": str(size),
        "max_overflow": str(draw(st.integers(0, 97 - size))),
        "pool_timeout": str(draw(st.integers(1, 300))),
        "pool_recycle": str(draw(st.just(-1) | st.integers(30, 86_400))),
        "work_mem": str(draw(st.integers(64, 2**20))) + draw(st.sampled_from(["kB", "MB"])),
    }


# -- What is tried -------------------------------------------------------------------------------

WORDS = sorted(every(reserved.COLUMNS) | every(reserved.PACKAGES) | every(reserved.TABLES))
ODDITIES = """
../x
a/b
C:\\x
a;b
--
a b
é
ﬁ
٣
1_000
0x10
1e3
EPSG:4326
4978
4807
5773
99999999
name:str
name:str(0)
a:int=1.5
a:int a:int
a:numeric(2,3)
a:date=2023-02-30
a:bool=yes
true
status
count(*) > 1
status = $1
status = 'a' -- x
status = 'a'; DROP TABLE x
status = 'active
(status = 'a'
EXISTS (SELECT 1)
now() > created_at
random() < 0.5
32mb
1.5GB
63kB
3TB
""".splitlines()
anything = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=100).filter(without_braces),
    st.sampled_from(WORDS),
    st.sampled_from([*ODDITIES, " ", "\x00", "a\nb"]),
    st.integers(60, 70).map(lambda length: "a" * length),
    st.integers().map(str),
    st.floats().map(str),
)


def assert_works(values: Mapping[str, str], folder: Path, database_url: str) -> None:
    """What is rendered is laid out well, and the models check out, PostGIS asked."""
    project = render(folder, values)
    assert_clean(project)
    project.service("check", "--ddl", DATABASE_URL=database_url).passed()


@pytest.mark.long
@few
@given(values=right())
def test_right_parameters_render_and_check(
    values: dict[str, str], tmp_path: Path, database_url: str
) -> None:
    # A name that is drawn may happen to be taken.
    hypothesis.assume(not parameters.problems(complete(values)))
    assert_works(values, Path(tempfile.mkdtemp(dir=tmp_path)), database_url)


@few
@given(values=st.dictionaries(st.sampled_from(sorted(DEFAULTS)), anything, min_size=1, max_size=2))
def test_whatever_is_given_is_refused_by_name_or_works(
    values: dict[str, str], tmp_path: Path, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    # Cookiecutter itself refuses these: the folder is there.
    hypothesis.assume(values.get("project_slug") not in ("", "."))
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    wrong: set[str] = set()
    try:
        wrong = {problem.parameter for problem in parameters.problems(complete(values))}
    except WrongParameters as error:
        # A choice that is none is refused by cookiecutter itself, before any hook.
        assert any(name in str(error) for name in values)
        return
    if not wrong:
        assert_works(values, folder, database_url)
        return
    output = folder / "project"
    output.mkdir()
    capfd.readouterr()
    with pytest.raises(WrongParameters):
        render(folder, values, hooks=True)
    told = {
        text.split()[1] for text in capfd.readouterr().err.splitlines() if text.startswith("- ")
    }
    assert told == wrong
    assert not list(output.iterdir())
