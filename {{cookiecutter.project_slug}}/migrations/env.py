"""How Alembic reaches the database, and what it compares it with: the service's settings and models."""

import time

import sqlalchemy as sa
from alembic import context

from {{ cookiecutter.package_name }}.settings import Settings
from {{ cookiecutter.package_name }}.tables import MIGRATIONS

#: Held while migrating: of several processes that start at once, one migrates and the others wait.
LOCK = sa.text(
    "SELECT pg_try_advisory_xact_lock(hashtext('alembic'), hashtext(current_database()))"
    " FROM set_config('idle_in_transaction_session_timeout', '0', true)"
)


def run_offline() -> None:
    """Write the migrations as SQL."""
    context.configure(
        dialect_name="postgresql",
        target_metadata=MIGRATIONS.metadata,
        version_table=MIGRATIONS.version_table,
        literal_binds=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Migrate the database that the settings name."""
    engine = sa.create_engine(Settings().database_url, poolclass=sa.NullPool)
    with engine.connect() as guard, engine.connect() as connection:
        # Asked again and again: one that waited within a statement would keep CREATE INDEX CONCURRENTLY waiting.
        while not guard.scalar(LOCK):
            guard.rollback()
            time.sleep(0.2)
        MIGRATIONS.take_over(connection)
        compared = MIGRATIONS.comparison(connection)
        # From here on Alembic begins and ends transactions, so that a migration may leave them (autocommit_block).
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=MIGRATIONS.metadata,
            transaction_per_migration=True,
            **compared,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
