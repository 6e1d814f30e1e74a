"""Have the generated models checked, by the project's own check; write nothing into the project."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

PACKAGE = json.loads(r'''{{ cookiecutter.package_name | tojson }}''')

#: What the check imports. Where cookiecutter's interpreter lacks one, another is made that has them all.
MODULES = [
    "alembic",
    "fastapi",
    "geoalchemy2",
    "openapi_spec_validator",
    "orjson",
    "psycopg2",
    "pydantic_settings",
    "shapely",
    "sqlalchemy",
    "uvicorn",
]

#: Set to 0 to decline the making of an environment.
DECLINE = "CHECK_ENVIRONMENT"

COMMAND = "make check"
