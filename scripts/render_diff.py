"""What a change to the template changes in the projects that it renders: what ``make render-diff`` prints."""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: Between them the variants have most of what the template can render.
VARIANTS = {
    "default": [],
    "projected-partial": [
        "geometry_type=MULTIPOLYGON",
        "srid=27700",
        "index_predicate=status = 'active'",
        "ci=gitlab",
    ],
    "uuid-wkt-every-column": [
        "geometry_type=GEOMETRY",
        "geometry_dimension=XYZ",
        "srid=4979",
        "primary_key=uuid",
        "output_format=wkt",
        "attributes=code:str(20)! note:text? rank:int=0 number:bigint? weight:float? price:numeric(10,2)=0 "
        "open:bool=true built:date? seen:datetime=now token_id:uuid=random extra:json={}",
        "ci=none",
        "license=Apache-2.0",
    ],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="the commit to compare the working folder with")
    base = parser.parse_args().base
    with tempfile.TemporaryDirectory() as folder, checkout(base, Path(folder, "base")) as template:
        before, now = Path(folder, "before"), Path(folder, "now")
        for name, parameters in VARIANTS.items():
            render(template, before / name, parameters)
            render(ROOT, now / name, parameters)
        # The commit that a project records is another each time.
        options = ["--no-index", "--no-prefix", '--ignore-matching-lines=^  "commit": ']
        diff = ["git", "diff", *options, "--stat", "--patch", "before", "now"]
        ended = subprocess.run(diff, cwd=folder, check=False).returncode
    # git says 1 where there are differences.
    return 0 if ended in (0, 1) else ended


@contextlib.contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The template as it was at a commit."""
    git("worktree", "add", "--quiet", "--detach", str(folder), commit)
    try:
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))


def differing(before: Path, now: Path) -> list[str]:
    """The files below two folders that differ, but for the commit that a project records."""

    def contents(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): re.sub(
                rb'(?m)^  "commit": .*', b"", path.read_bytes()
            )
            for path in folder.rglob("*")
            if path.is_file()
        }

    old, new = contents(before), contents(now)
    return sorted(file for file in old | new if old.get(file) != new.get(file))


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=ROOT, check=True)


def render(template: Path, folder: Path, parameters: list[str]) -> None:
    """Render into a folder; cookiecutter's replay files go there, too, and away."""
    with tempfile.TemporaryDirectory() as home:
        options = ["--no-input", "--default-config", "--accept-hooks", "no", "--output-dir", folder]
        subprocess.run(
            [sys.executable, "-m", "cookiecutter", template, *options, *parameters],
            env=os.environ | {"HOME": home},
            check=True,
        )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
