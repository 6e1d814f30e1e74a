"""Check that this commit can be released as a version, and tag it: ``make release VERSION=2.2.0``."""

import argparse
import datetime
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSION = "{{cookiecutter.project_slug}}/src/geotables/VERSION"
#: Where releases are made from.
BRANCH = "main"
#: What a section of the changelog says of how a project takes the version.
TAKEN = "To take it:"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 2.2.0")
    version = parser.parse_args().version
    if wrong := list(problems(ROOT, version, datetime.date.today())):
        print("\n- ".join([f"release: {version} cannot be released:", *wrong]), file=sys.stderr)
        return 1
    commit = git(ROOT, "rev-parse", "HEAD").strip()
    print(
        f"Projects of the two releases before take {version}, by make update and by cruft:",
        flush=True,
    )
    proof = [sys.executable, "-m", "pytest", "--verbose", "tests/release_updates.py"]
    # Without releases before, pytest would skip the tests and pass.
    proof += ["--override-ini", "empty_parameter_set_mark=fail_at_collect"]
    if subprocess.run(proof, cwd=ROOT).returncode:
        print(f"release: {version} is not tagged: the updates failed, see above", file=sys.stderr)
        return 1
    # The commit that was proved, which HEAD may have left meanwhile.
    git(ROOT, "tag", "--annotate", version, "--message", f"Version {version}", commit)
    print(f"Tagged. Nothing is pushed yet; publish it with:\n\n  git push origin {version}")
    return 0


def problems(root: Path, version: str, today: datetime.date) -> Iterator[str]:
    """Why the commit in a working folder cannot be released; nothing if it can."""
    numbers = read(version)
    if numbers is None:
        yield "VERSION is three numbers without leading zeros, major.minor.patch: make release VERSION=2.2.0"
        return
    if changes := git(root, "status", "--porcelain"):
        yield f"there are changes that are not committed:\n{changes.rstrip()}"
    fetch = ["git", "fetch", "--quiet", "--tags", "origin", BRANCH]
    fetched = subprocess.run(fetch, cwd=root, capture_output=True, text=True)
    landed = ["git", "merge-base", "--is-ancestor", "HEAD", "FETCH_HEAD"]
    if fetched.returncode:
        yield f"origin does not say what {BRANCH} and the tags are: {fetched.stderr.strip()}"
    elif subprocess.run(landed, cwd=root).returncode:
        yield f"HEAD is not in origin's {BRANCH}: it has to land there first"
    tags = git(root, "tag").split()
    if version in tags:
        yield f"there is a tag {version} already"
    elif released := sorted(filter(None, map(read, tags))):
        major, minor, patch = released[-1]
        following = ((major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0))
        if numbers not in following:
            names = ", ".join(".".join(map(str, each)) for each in following)
            yield f"after {major}.{minor}.{patch} comes one of {names}"
    else:
        yield "no earlier release has a tag"
    written = (root / VERSION).read_text(encoding="utf-8").strip()
    if written != version:
        yield f"{VERSION} says {written}"
    yield from changelog_problems(
        (root / "CHANGELOG.md").read_text(encoding="utf-8"), version, today
    )
    if f"| {numbers[0]}.x, " not in (root / "SECURITY.md").read_text(encoding="utf-8"):
        yield f"SECURITY.md does not say which fixes {numbers[0]}.x gets"


def changelog_problems(text: str, version: str, today: datetime.date) -> Iterator[str]:
    _, _, released = text.partition("\n## ")
    heading, _, rest = released.partition("\n")
    wanted = f"{version} ({today.isoformat()})"
    if heading != wanted:
        yield f"the first heading of CHANGELOG.md is '{heading}'; it has to be '{wanted}'"
    section = rest.partition("\n## ")[0]
    if TAKEN not in section:
        yield f"the section of CHANGELOG.md does not say how a project takes the version: '{TAKEN} …'"
    if not re.search(r"^- ", section, re.MULTILINE):
        yield "the section of CHANGELOG.md does not say what the version brings: '- …'"


def read(version: str) -> tuple[int, int, int] | None:
    """The numbers of a version."""
    found = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        print(error.stderr, file=sys.stderr)
        sys.exit(error.returncode)
