"""Copies of the template to be changed, and cookiecutter's and cruft's own command lines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from rendering import CACHES, TEMPLATE

#: What a template is made of: whatever else lies in the folder does not belong to it.
PARTS = (
    *("cookiecutter.json", "*.py", "adoption", "hooks", "parameters", "table"),
    "{{cookiecutter.project_slug}}",
)

#: A person for git, which asks for one, and nobody's settings but these.
GIT = {
    **{
        f"GIT_{who}_{what}": "tests@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def copy(target: Path) -> Path:
    """Copy the template as it is in the working folder."""
    target.mkdir(parents=True)
    for pattern in PARTS:
        for part in TEMPLATE.glob(pattern):
            if part.is_dir():
                shutil.copytree(part, target / part.name, ignore=shutil.ignore_patterns(*CACHES))
            else:
                shutil.copy(part, target)
    return target


def edit(template: Path, file: str, old: str, new: str) -> None:
    """Replace what stands once in a file of the service, given as it is in a rendered project."""
    names = {"PACKAGE": "{{cookiecutter.package_name}}", "TABLE": "{{cookiecutter.table_name}}"}
    for word, name in names.items():
        file = file.replace(word, name)
    path = template / "{{cookiecutter.project_slug}}" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    environment = os.environ | GIT
    return subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path, message: str) -> None:
    """Commit all that is in the folder, which is a repository then."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


class User:
    """Somebody at a command line, with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)

    def run(
        self,
        module: str,
        *arguments: str | Path,
        folder: Path | None = None,
        output: int = subprocess.PIPE,
        given: str | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m module …`` in a folder, the user's unless told, and keep what it prints unless told; type what is given."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        for name in ("DATABASE_URL", "TEST_DATABASE_URL"):
            kept.pop(name, None)
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=folder or self.folder,
            env=kept | GIT | {"HOME": str(self.home)} | environment,
            stdout=output,
            stderr=output,
            input=given,
            text=True,
        )

    def cookiecutter(
        self, *arguments: str | Path, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return self.run("cookiecutter", *arguments, **options)
