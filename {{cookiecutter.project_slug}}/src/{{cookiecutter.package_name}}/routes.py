"""Your own endpoints, written as FastAPI's documentation shows it; the one here is an example."""

{% set by = (cookiecutter | table).columns | rejectattr('unique') | selectattr('has_default') | selectattr('type', 'in', ['str', 'bool', 'int']) | first | default('') %}
import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import BaseModel

from geotables.crs import WORLD
from geotables.db.sessions import SessionDep
from geotables.db.statements import together
from geotables.http.parameters import BBox
from geotables.sql.bbox import within

from .tables.{{ cookiecutter.table_name }} import COLLECTION

router = APIRouter(tags=["statistics"])


class Count(BaseModel):
    """How many rows {{ 'have a value of ``' ~ by.name ~ '``' if by else 'there are' }}."""

{% if by %}
    value: {{ by.python }}
{% endif %}
    rows: int


@router.get("/statistics/{{ cookiecutter.table_name }}")
def count_rows(session: SessionDep, bbox: BBox = WORLD) -> {{ 'list[Count]' if by else 'Count' }}:
    """How many rows lie in a box (west,south,east,north in degrees){{ ', by their ``' ~ by.name ~ '``' if by else '' }}."""
    wanted = together([COLLECTION.rows(), within(COLLECTION.geometry, bbox)])
{% if by %}
    by = COLLECTION.table.c["{{ by.name }}"]
    query = sa.select(by, sa.func.count()).where(wanted.expression).group_by(by).order_by(by)
    counts = session.execute(query, wanted.values)
    return [Count(value=value, rows=rows) for value, rows in counts]
{% else %}
    query = sa.select(sa.func.count()).select_from(COLLECTION.table).where(wanted.expression)
    return Count(rows=session.scalar(query, wanted.values) or 0)
{% endif %}
