"""The normal form of columns and tables: what is written is read again, and what is wrong is refused with the place."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_parameters import GOOD, found
from variants import COLUMNS

from parameters import parse_attributes, relation
from parameters.attributes import stated, typed, word
from parameters.columns import (
    Column,
    Constraint,
    Index,
    Requirement,
    StatementError,
    Table,
    dump,
    load_columns,
    load_table,
)
from parameters.names import column_rule, identifier
from table_code import TableCode

TABLE = Table(
    name="Land Parcels",
    schema="Cadastre",
    kind="partitioned table",
    adopted=True,
    key=Column("GID", "integer", default="nextval('\"GID_seq\"'::regclass)"),
    geometry_column="Shape",
    geometry_nullable=True,
    constraints=(
        Constraint("pkey", "primary key", ("GID",)),
        Constraint("positive", "check", condition="(rank > 0)"),
    ),
    indexes=(Index("shapes", ('"Shape"',), "gist", predicate="(rank > 0)"),),
    requires=(Requirement("sequence", '"GID_seq"', 'CREATE SEQUENCE "GID_seq"'),),
)


@pytest.mark.parametrize("attributes", COLUMNS.values(), ids=COLUMNS)
def test_attributes_have_a_normal_form(attributes: str) -> None:
    for attribute in parse_attributes(attributes):
        column = stated(attribute)
        assert typed(column) == attribute
        assert parse_attributes(word(column)) == (attribute,)
        assert load_columns(dump([column])) == (column,)


@pytest.mark.parametrize(
    ("kind", "default", "meant"),
    [
        ("character varying(20)", "'it''s'::character varying", "x:str(20)='it''s'"),
        ("integer", "'-1'::integer", "x:int=-1"),
        ("double precision", "(0)::double precision", "x:float=0"),
        ("timestamptz", "'2020-01-31 13:00:00+01'::timestamp with time zone", "2020-01-31"),
        ("timestamp with time zone", "now()", "x:datetime=now"),
        ("date", "CURRENT_DATE", "x:date=today"),
        ("jsonb", "'{}'::jsonb", "x:json={}"),
        ("numeric(5,0)", "", "x:numeric(5,0)"),
        # What no word of attributes says.
        ("smallint", "", ""),
        ("json", "", ""),
        ("numeric", "", ""),
        ("text[]", "'{}'::text[]", ""),
        ("public.mood", "", ""),
        ("text", "upper('x'::text)", ""),
        ("timestamp with time zone", "now() + '1 day'::interval", ""),
    ],
)
def test_what_a_catalogue_says_is_a_word_where_there_is_one(
    kind: str, default: str, meant: str
) -> None:
    said = word(Column("x", kind, default=default))
    assert meant in said and bool(meant) == bool(said)


@pytest.mark.parametrize(
    "column",
    [
        Column("Land Use", "text"),
        Column("order", "text"),
        Column("x", "integer", generated="(a * 2)"),
        Column("x", "integer", identity="always"),
        Column("x", "text", collation="C"),
    ],
    ids=str,
)
def test_names_and_marks_that_no_word_has(column: Column) -> None:
    assert word(column) == ""
    assert load_columns(dump([column])) == (column,)


def test_a_table_is_read_as_it_was_written() -> None:
    assert load_table(dump(TABLE)) == TABLE
    assert (dump(Table()), load_table("")) == ("", Table())
    assert (dump([]), load_columns("")) == ("", ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "not JSON: Expecting value"),
        ("{}", "columns: {} is no list"),
        ('["a"]', 'columns[0]: "a" is no object with name, type'),
        ('[{"name": "a"}]', "columns[0]: type is missing"),
        ('[{"name": "a", "type": 5}]', "columns[0].type: 5 is no text"),
        ('[{"name": "a", "type": "text", "nullable": 1}]', "columns[0].nullable: 1 is neither"),
        ('[{"name": "a", "type": "text", "null": true}]', "no member is called 'null'"),
        ('[{"name": "a", "type": "text", "name": "b"}]', "the member 'name' is stated twice"),
        (
            '[{"name": "a", "type": "text"}, {"name": "a", "type": "int"}]',
            "the column 'a' is stated twice",
        ),
        ('[{"name": "a", "type": "text", "identity": "no"}]', '"no" is not one of "", "always"'),
        ('[{"name": "", "type": "text"}]', "columns[0].name: '' is no name"),
        ('[{"name": "a\\n", "type": "text"}]', "columns[0].name: 'a\\n' is no name"),
        (json.dumps([{"name": "é" * 32, "type": "text"}]), "64 bytes long, at most 63"),
        ('[{"name": "a", "type": " "}]', "columns[0].type: ' ' is no SQL"),
        (
            '[{"name": "a", "type": "int", "default": "1", "identity": "always"}]',
            "columns[0]: a column has no default and identity at once",
        ),
    ],
)
def test_wrong_columns_are_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(StatementError) as refused:
        load_columns(text)
    assert reason in str(refused.value)
    (problem,) = found(_columns=text)
    assert (problem.parameter, problem.suggestion) == ("_columns", "")
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "table: [] is no object with name, schema"),
        ('{"kind": "synonym"}', 'table.kind: "synonym" is not one of "table", "partitioned table"'),
        ('{"key": {"name": "a", "type": "int", "nullable": true}}', "a key is neither nullable"),
        ('{"kind": "view"}', "table.adopted: only a relation that was found"),
        (
            '{"adopted": true, "constraints": [{"name": "u", "kind": "unique"}]}',
            "table.constraints[0].columns: name the columns of the unique",
        ),
        (
            '{"adopted": true, "constraints": [{"name": "u", "kind": "unique", "columns": ["x"]}]}',
            "table.constraints: 'u' is of 'x', which is no column",
        ),
        (
            '{"adopted": true, "indexes": [{"name": "i", "elements": []}]}',
            "table.indexes[0].elements: name what the index is of",
        ),
        ('{"key": {"name": "id", "type": "int4range"}}', "int4range cannot be a key"),
        ('{"geometry_column": "id"}', "the column 'id' is stated twice"),
    ],
)
def test_a_wrong_table_is_refused_with_the_place(text: str, reason: str) -> None:
    (problem,) = found(_table=text)
    assert (problem.parameter, problem.suggestion) == ("_table", "") or "twice" in reason
    assert reason in problem.reason


def test_what_cannot_be_written_is_to_be_read_only() -> None:
    moods = dump([Column("mood", "public.mood")])
    (problem,) = found(_columns=moods)
    assert (problem.parameter, problem.suggestion) == ("read_only", "yes")
    assert "'mood' (public.mood)" in problem.reason
    assert found(_columns=moods, read_only="yes") == []
    assert found(_columns=dump([Column("mood", "public.mood", default="'ok'::mood")])) == []
    (problem,) = found(_table=dump(Table(kind="view", adopted=True)))
    assert (problem.parameter, problem.reason) == ("read_only", "a view is not written to")


def test_columns_of_both_lists_have_names_of_their_own() -> None:
    (problem,) = found(_columns=dump([Column("name", "text")]))
    assert problem.reason == "the column 'name' is stated twice"


def test_a_private_value_may_be_asked_for() -> None:
    from parameters import problems

    assert problems(GOOD, {"_columns": "", "_table": ""}) == []
    (problem,) = problems(GOOD, {"_column": ""})
    assert problem.parameter == "_column"


def test_columns_that_the_table_does_not_have_by_itself_are_free() -> None:
    columns = {"attributes": "id:int created_at:datetime", "index_predicate": ""}
    assert {problem.parameter for problem in found(**columns)} == {"attributes"}
    assert found(**columns, key_column="gid", timestamps="no") == []
    assert found(index_predicate="gid > 0", key_column="gid") == []
    (problem,) = found(index_predicate="created_at > '2020-01-01Z'", timestamps="no")
    assert problem.parameter == "index_predicate"


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=8))
def test_every_name_has_an_identifier_of_its_own(columns: list[str]) -> None:
    taken: set[str] = set()
    for name in columns:
        chosen = identifier(name, taken)
        assert chosen not in taken
        assert chosen.isidentifier()
        assert column_rule(name) or name in taken or chosen == name
        taken.add(chosen)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("Land Use", "land_use"), ("class", "class_"), ("2nd", "column_2nd"), ("_a", "a")),
        *(("metadata", "metadata_"), ("registry", "registry_"), ("json", "json_")),
        *(("model_config", "column_model_config"), ("copy", "copy_"), ("order", "order")),
        *(("Größe (m²)", "grosse_m2"), ("国", "column_1"), ("x" * 63, "x" * 63)),
    ],
)
def test_identifiers(name: str, expected: str) -> None:
    assert identifier(name) == expected


def test_names_in_python_do_not_clash() -> None:
    columns = dump([Column("Name", "text"), Column("NAME", "text"), Column("GID", "text")])
    table = relation(GOOD | {"_columns": columns, "key_column": "gid"})
    assert table.identifiers["Name"] == "name_"
    assert table.identifiers["NAME"] == "column_name"
    assert table.identifiers["GID"] == "gid_"


@pytest.mark.parametrize(
    ("column", "written"),
    [("position", '"position"'), ("The Geom", '"The Geom"'), ("geom", "geom")],
)
def test_indexes_of_a_table_are_known_as_postgresql_writes_them(column: str, written: str) -> None:
    indexes = (
        Index("shapes", (written,), "gist"),
        Index("metres", (f"(({written})::public.geography)",), "gist"),
    )
    table = Table(adopted=True, geometry_column=column, indexes=indexes)
    code = TableCode({**GOOD, "srid": "4326", "_table": dump(table)})
    created = [index.splitlines()[1].strip() for index in code.revised_indexes]
    assert created == ['"shapes",', '"metres",']
    assert f'"{column}"' in code.arguments[0]
