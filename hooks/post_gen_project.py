"""Have the generated project check its own models, and write nothing into it."""

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PACKAGE = json.loads(r'''{{ cookiecutter.package_name | tojson }}''')
SLUG = json.loads(r'''{{ cookiecutter.project_slug | tojson }}''')

#: Set this variable to 0 to have no environment made where cookiecutter's own interpreter cannot run the check.
DECLINE = "FASTAPI_POSTGIS_CHECK_ENV"

RULE = "=" * 88


def main() -> int:
    remove_empty_folders(Path.cwd())
    python = interpreter(requirements())
    if python is None:
        say(
            "NOTHING WAS CHECKED: the packages that the check needs could not be installed.\n"
            f"To check the models:  cd {SLUG} && make check"
        )
        return 0
    if check(python):
        return 0
    say(
        "The generated models do not pass their own check; the reasons are given above.\n"
        "That is a fault of the template or of the parameters: please report it with them."
    )
    return 1


def say(text: str) -> None:
    print(f"\n{RULE}\n{text}\n{RULE}\n", file=sys.stderr)


def remove_empty_folders(root: Path) -> None:
    """Remove the folders whose files the parameters left out; a folder's name cannot be conditional."""
    for folder, _, _ in os.walk(root, topdown=False):
        if not any(Path(folder).iterdir()):
            Path(folder).rmdir()


def requirements() -> list[str]:
    """What the check needs: what the project needs, and the validator of the OpenAPI document."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = project["optional-dependencies"]["dev"]
    return [*project["dependencies"], *(tool for tool in tools if tool.startswith("openapi"))]


def interpreter(needed: list[str]) -> Path | None:
    """An interpreter that has the packages: this one, else that of an environment in the cache."""
    if all(map(is_installed, needed)):
        return Path(sys.executable)
    if os.environ.get(DECLINE) == "0":
        return None
    environment = cache_folder() / f"check-{fingerprint(needed)}"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(
            f"Making an environment to check the models with, once for all projects: {environment}\n"
            f"(to decline: {DECLINE}=0)",
            file=sys.stderr,
        )
        try:
            make_environment(environment, needed)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"That failed: {error}", file=sys.stderr)
            return None
    return python


def is_installed(requirement: str) -> bool:
    """Whether this interpreter has a package in the version asked for, by its lower bound."""
    name, least = re.fullmatch(r"([\w.-]+)[^>]*(?:>=([\d.]+))?.*", requirement).groups()
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return numbers(version) >= numbers(least or "0")


def numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def fingerprint(needed: list[str]) -> str:
    text = "\n".join([sys.version, *needed])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cookiecutter-fastapi-postgis"


def make_environment(environment: Path, needed: list[str]) -> None:
    """Make it in a temporary folder and move it when it is complete: one that was interrupted is never used."""
    environment.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=environment.parent) as folder:
        made = Path(folder) / "environment"
        if uv := shutil.which("uv"):
            run(uv, "venv", "--quiet", "--python", sys.executable, made)
            run(uv, "pip", "install", "--quiet", "--python", made, *needed)
        else:
            run(sys.executable, "-m", "venv", made)
            python = next(made.glob("*/python*"))
            run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needed)
        if not environment.exists():
            made.rename(environment)


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


def check(python: Path) -> bool:
    """Run the project's check; with a database in DATABASE_URL, PostGIS is asked to take the table, too."""
    environment = os.environ | {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", PACKAGE, "check"]
    if "DATABASE_URL" in environment:
        command.append("--ddl")
    return subprocess.run(command, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
