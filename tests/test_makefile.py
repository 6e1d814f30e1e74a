"""A project's ``make load`` and ``make export``: what a user types reaches the service as it was typed."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import Bake
from rendering import Project

#: What make, a shell or argparse would each read as something else than a name.
HOSTILE = 'it\'s $HOME, $(HOME); a "b" `c` \\ é.csv'


def make(project: Project, *arguments: str, database_url: str, succeeds: bool = True) -> str:
    """What a command prints."""
    run = subprocess.run(
        ["make", *arguments, f"PYTHON={sys.executable}"],
        cwd=project.path,
        env=os.environ | {"PYTHONPATH": "src", "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode == 0) is succeeds, run.stderr
    return run.stdout + run.stderr


def test_names_and_options_reach_the_service_as_typed(
    bake: Bake, database_url: str, tmp_path: Path
) -> None:
    project = bake()
    file, out = tmp_path / HOSTILE, tmp_path / f"out {HOSTILE}"
    file.write_text("name,my lat,$lon\nOak,47.4,8.5\n")
    load = ["load", f"FILE={file}", "ARGS=--y 'my lat' --x '$lon'"]
    # A database that is named is not changed by the way.
    refused = make(project, *load, database_url=database_url, succeeds=False)
    assert "(the database has not been migrated: run migrate first)" in refused
    refused = make(project, "export", f"FILE={out}", database_url=database_url, succeeds=False)
    assert "the database has not been migrated: run migrate first" in refused
    make(project, "migrate", database_url=database_url)
    assert "1 rows loaded" in make(project, *load, database_url=database_url)
    make(project, "export", f"FILE={out}", database_url=database_url)
    assert "Oak" in out.read_text()
    assert {path.name for path in tmp_path.iterdir() if path.suffix} == {file.name, out.name}
