"""The tables that are served, a file for each."""

from geotables import Collection, Migrations

from . import {{ cookiecutter.table_name }}
from .base import Base

#: The collections, in the order in which clients see them.
COLLECTIONS: list[Collection] = [
    {{ cookiecutter.table_name }}.COLLECTION,
]

MIGRATIONS = Migrations(
    Base.metadata,
    package="{{ cookiecutter.package_name }}",
    version_table="{{ cookiecutter.__version_table }}",
)
