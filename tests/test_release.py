"""What `make release` refuses to tag; tests/release_updates.py has what it runs besides."""

import datetime
from pathlib import Path

import pytest
import templates

from scripts import release

TODAY = datetime.date(2026, 12, 1)
CHANGELOG = """# Changelog

## 2.2.0 (2026-12-01)

To take it: `make update VERSION=2.2.0`.

- Presets have defaults.

## 2.1.0 (2026-11-28)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A template that can be released as 2.2.0."""
    root = tmp_path / "template"
    files = {
        release.VERSION: "2.2.0\n",
        "CHANGELOG.md": CHANGELOG,
        "SECURITY.md": "| 2.x, the latest minor version | yes |\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    templates.commit(root, "Version 2.2.0")
    for tag in ("2.1.0", "2.0.0", "another"):
        templates.git(root, "tag", tag)
    origin = tmp_path / "origin"
    templates.git(tmp_path, "clone", "--quiet", "--bare", str(root), str(origin))
    templates.git(root, "remote", "add", "origin", str(origin))
    return root


def test_a_commit_that_can_be_released(repository: Path) -> None:
    assert list(release.problems(repository, "2.2.0", TODAY)) == []


def test_tags_are_fetched(repository: Path) -> None:
    templates.git(repository, "tag", "--delete", "2.1.0", "2.0.0")
    assert list(release.problems(repository, "2.2.0", TODAY)) == []
    templates.git(repository, "tag", "--delete", "2.1.0", "2.0.0")
    templates.git(repository.with_name("origin"), "tag", "--delete", "2.1.0", "2.0.0")
    (problem,) = release.problems(repository, "2.2.0", TODAY)
    assert problem == "no earlier release has a tag"


def test_a_commit_that_has_not_landed(repository: Path) -> None:
    templates.git(repository, "commit", "--quiet", "--allow-empty", "--message", "Another")
    (problem,) = release.problems(repository, "2.2.0", TODAY)
    assert problem == "HEAD is not in origin's main: it has to land there first"
    templates.git(repository, "push", "--quiet", "origin", "HEAD:main")
    assert list(release.problems(repository, "2.2.0", TODAY)) == []
    repository.with_name("origin").rename(repository.with_name("moved"))
    (problem,) = release.problems(repository, "2.2.0", TODAY)
    assert problem.startswith("origin does not say what main and the tags are: ")


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("2.2", "major.minor.patch"),
        ("v2.2.0", "major.minor.patch"),
        ("2.1.0", "there is a tag 2.1.0"),
        ("2.3.0", "after 2.1.0 comes one of 2.1.1, 2.2.0, 3.0.0"),
        ("2.1.1", "VERSION says 2.2.0"),
        ("3.0.0", "which fixes 3.x gets"),
    ],
)
def test_a_version_that_cannot_be(repository: Path, version: str, says: str) -> None:
    assert says in "\n".join(release.problems(repository, version, TODAY))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("## 2.2.0 (2026-12-01)", "## Unreleased", "it has to be '2.2.0 (2026-12-01)'"),
        ("2026-12-01", "2026-11-30", "it has to be '2.2.0 (2026-12-01)'"),
        ("To take it", "Take it", "how a project takes the version"),
        ("- Presets", "Presets", "what the version brings"),
    ],
)
def test_a_changelog_that_does_not_say_it(repository: Path, old: str, new: str, says: str) -> None:
    file = repository / "CHANGELOG.md"
    file.write_text(CHANGELOG.replace(old, new), encoding="utf-8")
    found = "\n".join(release.problems(repository, "2.2.0", TODAY))
    assert says in found
    assert " M CHANGELOG.md" in found
