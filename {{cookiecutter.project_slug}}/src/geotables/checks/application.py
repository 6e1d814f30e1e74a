"""The application that the checks look at, and its OpenAPI document."""

import logging
from collections.abc import Iterator

from fastapi import FastAPI

from geotables.service import Service

log = logging.getLogger(__name__)


def create(service: Service) -> FastAPI:
    """The application of a project, as development has it; it connects to no database."""
    unused = "postgresql://localhost/unused"
    return service.create_app(service.settings(environment="development", database_url=unused))


def check_openapi(app: FastAPI) -> Iterator[str]:
    """See that the OpenAPI document is one."""
    document = app.openapi()
    try:
        from openapi_spec_validator import OpenAPIV30SpecValidator
    except ImportError:
        log.warning(
            "the OpenAPI document is not validated: openapi-spec-validator is not installed"
        )
        return
    for error in OpenAPIV30SpecValidator(document).iter_errors():
        yield f"OpenAPI: {error.json_path}: {error.message}"
