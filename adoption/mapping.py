"""The parameters of the template that serve a relation as it is."""

import json
from collections.abc import Mapping
from pathlib import Path

import parameters
from parameters import columns, epsg, names
from parameters.columns import Column, Constraint, Index, Table
from parameters.relation import KEYS

from . import naming
from .findings import Finding, find, is_writable
from .survey import PRIMARY_KEYS, Survey

_TEMPLATE = json.loads(
    Path(__file__).parents[1].joinpath("cookiecutter.json").read_text(encoding="utf-8")
)


def answered(
    survey: Survey, said: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[Finding]]:
    """The parameters that serve a relation as it is, but for what a user says of it, and what is misaligned, the worst first.

    There are no parameters where a finding refuses the relation; the template may still refuse those that there are.
    """
    found = find(survey)
    if any(finding.refused for finding in found):
        return {}, found
    given = of(survey) | dict(said or {})
    return given, [*problems(given), *found]


def of(survey: Survey) -> dict[str, str]:
    """What is answered for the table's parameters, the private ones among them."""
    relation, geometry = survey.relation, survey.column
    key = survey.key.column
    assert key is not None
    key_column, has_times = survey.key_column, survey.has_times
    others = [survey.stated(each) for each in relation.columns if each.name not in survey.own]
    others += [
        Column(
            each.name,
            each.declared,
            nullable=each.nullable,
            default=each.default,
            generated=each.generated,
        )
        for each in relation.geometries
        if each != geometry
    ]
    words = {each.name: survey.word(each) for each in others}
    said = [text for text in words.values() if text]
    left = [each for each in others if not words[each.name]]
    own_key = survey.stated(key)
    kind = PRIMARY_KEYS.get(key.base, "text")
    has_usual_key = _nameless(own_key) == KEYS[kind] and key_column == key.name
    is_default_schema = relation.schema == relation.server.default_schema
    is_plain_schema = not names.schema_rule(relation.schema)
    table = Table(
        name=relation.name,
        schema="" if is_default_schema or is_plain_schema else relation.schema,
        kind=relation.kind,  # type: ignore[arg-type]
        adopted=True,
        key=None if has_usual_key else own_key,
        geometry_column="" if survey.geometry_parameter == geometry.name else geometry.name,
        geometry_nullable=geometry.nullable and relation.is_table,
        constraints=_constraints(survey) if relation.is_table else (),
        indexes=_indexes(survey) if relation.is_table else (),
        requires=relation.requires,
    )
    index_name = survey.index_name
    return {
        "resource_name": naming.resource(survey.collection),
        "table_name": survey.collection,
        "attributes": " ".join(said),
        "geometry_column": survey.geometry_parameter,
        "geometry_type": survey.type,
        "geometry_dimension": "XYZ" if survey.dimension == 3 else "XY",
        "srid": f"{survey.srid}",
        # Another name than an identifier is in _table alone.
        **({} if names.index_rule(index_name) else {"index_name": index_name}),
        "index_predicate": survey.predicate,
        "primary_key": kind,
        "key_column": key_column,
        "timestamps": "yes" if has_times else "no",
        "table_schema": "" if is_default_schema or not is_plain_schema else relation.schema,
        "read_only": "no" if is_writable(survey) else "yes",
        "_columns": columns.dump(left),
        "_table": columns.dump(table),
    }


def project(survey: Survey, several: bool = False) -> dict[str, str]:
    """What the project is called, unless it is told."""
    name = survey.relation.server.database if several else survey.collection
    title = naming.title(names.cleaned(name) or "records")
    return {"project_name": f"{title} Service", "description": f"{title} on the map, from PostGIS."}


def problems(answers: Mapping[str, str]) -> list[Finding]:
    """What the template refuses of the answers: none can be corrected but in the database."""
    defaults = {
        name: value[0] if isinstance(value, list) else value
        for name, value in _TEMPLATE.items()
        if not name.startswith("_")
    }
    plain = {name: name if "{" in value else value for name, value in defaults.items()}
    plain["index_name"] = f"idx_{answers['table_name']}_gist"[:63]
    return [
        Finding(
            "parameters",
            f"{problem.parameter}: {problem.reason}",
            "the template does not render it",
            refused=True,
        )
        for problem in parameters.problems({**plain, **answers})
        if problem.parameter in answers
    ]


def _nameless(column: Column) -> Column:
    return Column(
        "", column.type, default=column.default, identity=column.identity, nullable=column.nullable
    )


def _constraints(survey: Survey) -> tuple[Constraint, ...]:
    """The constraints that a model states; those of single unique columns under the default name are the columns' own."""
    key = survey.key.column
    stated = []
    for each in survey.relation.constraints:
        if each.kind == "c":
            stated.append(Constraint(each.name, "check", condition=each.condition))
        elif each.kind == "p" and key is not None and each.columns == (key.name,):
            stated.append(Constraint(each.name, "primary key", columns=each.columns))
        elif each.kind == "u" and not each.special and each not in survey.unique_alone:
            stated.append(Constraint(each.name, "unique", columns=each.columns))
    return tuple(stated)


def _indexes(survey: Survey) -> tuple[Index, ...]:
    """The valid indexes, with one of those on the geometry alone: it says which rows searches find."""
    spatial = survey.spatial_indexes
    kept = spatial[0] if spatial and not (spatial[0].predicate and not survey.predicate) else None
    left_out = {each.name for each in spatial if each is not kept}
    geographic = survey.geography_indexes
    crs = epsg.crs(survey.srid)
    useful = [each for each in geographic if each.predicate == (kept.predicate if kept else "")]
    left_out |= {
        each.name
        for each in geographic
        if each not in useful[:1] or crs is None or not crs.geographic
    }
    return tuple(
        Index(
            name=each.name,
            elements=each.elements,
            method=each.method,
            unique=each.unique,
            include=each.include,
            predicate=each.predicate,
        )
        for each in survey.relation.indexes
        if each.valid and not each.constraint and each.name not in left_out
    )
