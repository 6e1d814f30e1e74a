"""Clients that programs make of the OpenAPI document: strictly typed, and used against the service."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import Service
from conftest import Bake
from npm import NODE, modules, node

PROGRAMS = Path(__file__).with_name("generated_clients")

TYPESCRIPT = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom"],
        "types": [],
    },
    "files": ["use_client.ts"],
}


@pytest.fixture(scope="module")
def url(bake_once: Bake, server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose table is empty."""
    project = bake_once()
    with server.database() as database_url:
        project.service("migrate", DATABASE_URL=database_url).passed()
        folder = tmp_path_factory.mktemp("service")
        with Service(project, folder, DATABASE_URL=database_url) as service:
            yield service.url


def run(*command: str | Path, folder: Path) -> None:
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stdout + process.stderr


def test_typescript(url: str, tmp_path: Path) -> None:
    shutil.copy(PROGRAMS / "use_client.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules())
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (tmp_path / "tsconfig.json").write_text(json.dumps(TYPESCRIPT), encoding="utf-8")
    options = ["--output", "schema.d.ts", "--default-non-nullable=false"]
    node("openapi-typescript/bin/cli.js", f"{url}/openapi.json", *options, folder=tmp_path)
    node("typescript/bin/tsc", folder=tmp_path)
    run(NODE, "use_client.ts", url, folder=tmp_path)


def test_python(url: str, tmp_path: Path, mypy_cache: Path) -> None:
    shutil.copy(PROGRAMS / "use_client.py", tmp_path)
    (tmp_path / "config.yml").write_text("post_hooks: []", encoding="utf-8")
    options = ["--output-path", "facilities_client", "--meta", "none", "--config", "config.yml"]
    generator = Path(sys.executable).with_name("openapi-python-client")
    run(generator, "generate", "--url", f"{url}/openapi.json", *options, folder=tmp_path)
    types = ["--strict", "--cache-dir", mypy_cache, "use_client.py"]
    run(sys.executable, "-m", "mypy", *types, folder=tmp_path)
    run(sys.executable, "use_client.py", url, folder=tmp_path)


#: The rules of redocly that do not hold: the resource of the source page ends in a slash, and a project may have no licence.
REDOCLY = """
extends: [recommended]
rules:
  no-path-trailing-slash: off
  info-license: off
"""


def test_redocly_finds_no_fault(url: str, tmp_path: Path) -> None:
    (tmp_path / "redocly.yaml").write_text(REDOCLY, encoding="utf-8")
    command = ["lint", f"{url}/openapi.json", "--format", "json"]
    found = json.loads(node("@redocly/cli/bin/cli.js", *command, folder=tmp_path))
    faults = {(each["ruleId"], each["location"][0]["pointer"]) for each in found["problems"]}
    assert faults == set()
