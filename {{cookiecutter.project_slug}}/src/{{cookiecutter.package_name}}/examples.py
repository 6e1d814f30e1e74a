"""Rows that the table can hold, made up: yours to edit.

`check` and the tests make their rows of these. When you add a column, give it a value here; when you add a constraint,
a foreign key or a trigger, change the values until the table takes each row as it is.
"""

{% set columns = cookiecutter.attributes | columns %}
{% set types = columns | map(attribute='type') | list %}
{% if 'date' in types or 'datetime' in types %}
import datetime
{% endif %}
{% if 'numeric' in types %}
from decimal import Decimal
{% endif %}
from typing import Any
{% if 'uuid' in types %}
from uuid import UUID
{% endif %}


def row(number: int) -> dict[str, Any]:
    """The values of every column that clients write, except for the geometry.

    - Rows of different numbers, from 0 on, differ in each unique column{{ ', as far as its type has values' if columns | selectattr('unique') | list else '' }}.
    - A foreign key's value is one that a revision has put into the other table.
    - Columns that have a default or may be null may be left out, and a column may have the value of another row.
{% if cookiecutter.index_predicate %}
    - Some rows are in the partial index, and some are not.
{% endif %}
    """
{% if columns %}
    return {
{% for item in cookiecutter.attributes | examples(cookiecutter.index_predicate) %}
{{ item }}
{% endfor %}
    }
{% else %}
    return {}
{% endif %}
