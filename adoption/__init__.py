"""Serve a table that is there: read it, say what is misaligned, and answer the template's questions.

The database is read in one transaction that cannot write. `catalogue` reads what PostgreSQL says of a relation, `rows` looks at
what is in it, and `survey` decides what is served of it; `findings` says what is misaligned, and `mapping` what the template's
parameters are. `python -m adoption` does all of that and renders a project.
"""

from . import catalogue, mapping
from .catalogue import Unreadable
from .findings import Finding
from .survey import look_at

__all__ = ["Finding", "Unreadable", "answers"]


def answers(
    url: str, name: str, key: str | None = None, *, srid: str = "", geometry_column: str = ""
) -> tuple[dict[str, str], list[Finding]]:
    """The parameters that serve a relation as it is, and what is misaligned, the worst first.

    The parameters are empty where a finding refuses the relation.

    Args:
        url: That of the database.
        name: The relation: schema.table.
        key: The column that tells its rows apart, where its catalogue does not say.
        srid: The CRS of rows that have none, for the statement that gives it to them.
        geometry_column: The one to serve, of several.

    Raises:
        Unreadable: There is no such database or relation.
    """
    with catalogue.reading(url) as connection:
        found = look_at(connection, name, key=key or "", srid=srid, geometry_column=geometry_column)
    given, findings = mapping.answered(found)
    return ({} if any(finding.refused for finding in findings) else given), findings
