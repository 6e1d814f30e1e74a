"""Warns of revisions that drop what may have been renamed: Alembic sees a name that is gone, and a new one."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations.ops import (
    AddColumnOp,
    CreateTableOp,
    DropColumnOp,
    DropTableOp,
    MigrationScript,
    ModifyTableOps,
)

log = logging.getLogger(__name__)


def warn_of_renames(_context: Any, _revision: Any, scripts: Sequence[MigrationScript]) -> None:
    """Name what each new revision may be meant to rename; Alembic's ``process_revision_directives``."""
    for script in scripts:
        for upgrade in script.upgrade_ops_list:
            for warning in (*_tables(upgrade.ops), *_columns(upgrade.ops)):
                log.warning("%s", warning)


def _tables(operations: Sequence[Any]) -> Iterator[str]:
    created = [each.to_table() for each in operations if isinstance(each, CreateTableOp)]
    for operation in operations:
        if isinstance(operation, DropTableOp) and created:
            old = operation.to_table()
            new = max(created, key=lambda table: _shared(old, table))
            if 2 * _shared(old, new) >= len(old.columns):
                created.remove(new)
                yield (
                    f"the revision drops the table {old.name} with its rows, and creates {new.name}. "
                    f"If that is a rename, write instead of both:\n"
                    f"    {_call('rename_table', old.name, new.name, schema=old.schema)}\n"
                    "and rename its constraints, indexes and sequence, as docs/extending.md does"
                )


def _shared(old: sa.Table, new: sa.Table) -> int:
    """The number of columns that two tables have in common."""
    return len({*old.columns.keys()} & {*new.columns.keys()})


def _columns(operations: Sequence[Any]) -> Iterator[str]:
    for changes in operations:
        if not isinstance(changes, ModifyTableOps):
            continue
        table, schema = changes.table_name, changes.schema
        added = [each.column for each in changes.ops if isinstance(each, AddColumnOp)]
        for operation in changes.ops:
            if isinstance(operation, DropColumnOp) and added:
                old = operation.to_column()
                # One of the same type, if there is one.
                new = min(added, key=lambda column: type(column.type) is not type(old.type))
                added.remove(new)
                names = {"new_column_name": new.name, "schema": schema}
                yield (
                    f"the revision drops the column {table}.{old.name} with its values, and adds {new.name}. "
                    f"If that is a rename, write instead of both:\n"
                    f"    {_call('alter_column', table, old.name, **names)}"
                )


def _call(operation: str, *names: str, **options: str | None) -> str:
    """A line of a revision."""
    arguments = [f'"{name}"' for name in names]
    arguments += [f'{option}="{name}"' for option, name in options.items() if name]
    return f"op.{operation}({', '.join(arguments)})"
