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
from typing import Any

PACKAGE = json.loads(r'''{{ cookiecutter.package_name | tojson }}''')
SLUG = json.loads(r'''{{ cookiecutter.project_slug | tojson }}''')

#: The files of this project, the patterns of those that it may have with other parameters, and the names of caches:
#: what Python and its tools leave in a checkout of the template, from where cookiecutter takes it.
PATHS = json.loads(r'''{{ cookiecutter | paths | tojson }}''')

#: Set this variable to 0 to have no environment made where cookiecutter's own interpreter cannot run the check.
DECLINE = "FASTAPI_POSTGIS_CHECK_ENV"

RULE = "=" * 88


class NotChecked(Exception):
    """There is no interpreter to check the models with; the message says why."""


def main() -> int:
    remove_unwanted_folders(Path.cwd())
    left = of_other_parameters(Path.cwd())
    if left:
        say(
            f"{RULE}\nThese are of other parameters than now, or your own, and were left as they are:\n"
            + "".join(f"  {path}\n" for path in left)
            + f"Remove what does not belong to the project any more.\n{RULE}"
        )
    try:
        python = interpreter(requirements())
    except NotChecked as reason:
        say(
            f"{RULE}\nNOTHING WAS CHECKED: {reason}\n"
            f"To check the models:  cd {SLUG} && make check\n{RULE}"
        )
        return 0
    checked = check(python)
    say(checked.stdout)
    if checked.returncode == 0:
        return 0
    cause = "a fault of the template or of the parameters: please report it with them."
    if left:
        cause = "perhaps because of what other parameters left: remove it, and run cookiecutter again."
    say(
        f"{RULE}\nThe generated models do not pass their own check; the reasons are given above.\n"
        f"That is {cause}\n{RULE}"
    )
    return 1


def say(text: str) -> None:
    """Print to standard error, if anyone reads it: standard output belongs to programs such as ``cruft diff``."""
    try:
        print(text.rstrip(), file=sys.stderr, flush=True)
    except OSError:
        # What is still to be written at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def remove_unwanted_folders(root: Path) -> None:
    """Remove caches, and the folders whose files the parameters left out; a folder's name cannot be conditional.

    Others than the template's are not looked into: in a project that is made again, ``.git`` and ``.venv``.
    """
    caches = {*PATHS["caches"]}
    for name in caches | {Path(path).parts[0] for path in PATHS["every"]}:
        for folder, _, _ in os.walk(root / name, topdown=False):
            if Path(folder).name in caches:
                shutil.rmtree(folder)
            elif not any(Path(folder).iterdir()):
                Path(folder).rmdir()


def of_other_parameters(root: Path) -> list[str]:
    """What an earlier rendering into the same folder may have left: files, and folders with nothing else in them."""
    own = {root / path for path in PATHS["own"]}
    folders = {folder for path in own for folder in path.parents}
    found = set()
    for path in {path for pattern in PATHS["every"] for path in root.glob(pattern)} - own:
        within = [folder for folder in path.parents if folder not in folders]
        found.add(within[-1] if within else path)
    return sorted(path.relative_to(root).as_posix() + "/" * path.is_dir() for path in found)


def requirements() -> list[str]:
    """What the check needs: what the project needs, and the validator of the OpenAPI document."""
    pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    needed = pyproject["project"]["dependencies"]
    tools = pyproject["dependency-groups"]["dev"]
    return [*needed, *(tool for tool in tools if tool.startswith("openapi"))]


def interpreter(needed: list[str]) -> Path:
    """An interpreter that has the packages: this one, else that of an environment in the cache.

    Raises:
        NotChecked: There is no such environment, and none can be made.
    """
    if all(map(is_installed, needed)):
        return Path(sys.executable)
    if os.environ.get(DECLINE) == "0":
        raise NotChecked(
            f"{sys.executable} lacks packages that the check needs, and {DECLINE}=0 declines an\n"
            "environment that has them."
        )
    try:
        environment = cache_folder() / f"check-{fingerprint(needed)}"
        if not runs(python_of(environment)):
            say(
                f"Making an environment to check the models with, once for all projects: {environment}\n"
                f"(this takes about a minute; to decline: {DECLINE}=0)"
            )
            make_environment(environment, needed)
    except subprocess.CalledProcessError as error:
        output = error.stdout.strip()
        raise NotChecked(
            f"an environment with the packages could not be made.\n{output}"
        ) from error
    except (OSError, RuntimeError) as error:
        raise NotChecked(f"an environment could not be made: {error}") from error
    return python_of(environment)


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def runs(python: Path) -> bool:
    """Whether an interpreter still runs: a link to one that was removed does not."""
    try:
        return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0
    except OSError:
        return False


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
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification of XDG has relative paths ignored; here they would lie in the project.
    if not base.is_absolute():
        base = Path.home() / ".cache"
    return base / "cookiecutter-fastapi-postgis"


def make_environment(environment: Path, needed: list[str]) -> None:
    """Make it in a temporary folder and move it when it is complete: one that was interrupted is never used."""
    environment.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=environment.parent) as folder:
        made = Path(folder) / "environment"
        if uv := shutil.which("uv"):
            run(uv, "venv", "--quiet", "--python", sys.executable, made, check=True)
            run(uv, "pip", "install", "--quiet", "--python", made, *needed, check=True)
        else:
            run(sys.executable, "-m", "venv", made, check=True)
            pip = (python_of(made), "-m", "pip", "--quiet", "--disable-pip-version-check")
            run(*pip, "install", *needed, check=True)
        if not runs(python_of(environment)):
            shutil.rmtree(environment, ignore_errors=True)
            made.rename(environment)


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it prints: with standard error closed, it would be the command that fails."""
    output = {"text": True, "errors": "replace", "stdout": subprocess.PIPE}
    return subprocess.run(command, stderr=subprocess.STDOUT, **output, **options)


def check(python: Path) -> subprocess.CompletedProcess[str]:
    """Run the project's check; with a database in DATABASE_URL, PostGIS is asked to take the table, too."""
    environment = os.environ | {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", PACKAGE, "check"]
    if "DATABASE_URL" in environment:
        command.append("--ddl")
    return run(*command, env=environment)


if __name__ == "__main__":
    sys.exit(main())
