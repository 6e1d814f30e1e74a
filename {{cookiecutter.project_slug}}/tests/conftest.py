"""Your service, for the tests in geotables/, whose contract.py has the fixtures (client, serve, connection, rows, …); add fixtures of your own here."""

from geotables.service import Service

from {{ cookiecutter.package_name }}.cli import SERVICE

# Loaded as a plugin, not imported, so that pytest rewrites its assertions.
pytest_plugins = ["contract"]


def pytest_geotables_service() -> Service:
    """Return the service that the tests in geotables/ are about."""
    return SERVICE
