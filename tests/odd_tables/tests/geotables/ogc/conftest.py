"""The tests of this folder run behind a prefix, where links are what tells it."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from geotables.service import Service


@pytest.fixture(scope="session")
def application(service: Service, database_url: str) -> Iterator[TestClient]:
    settings = service.settings(_env_file=None, database_url=database_url, root_path="/geo")
    with TestClient(service.create_app(settings)) as client:
        yield client
