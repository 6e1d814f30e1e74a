"""Documents whose commands and diffs the tests run as they stand."""

import re
from pathlib import Path

from rendering import rewrite


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document, flags=re.MULTILINE | re.DOTALL)


def find(folder: Path, name: str) -> Path:
    """The one file of a name in a document: a revision has an identifier that is not known before."""
    (path,) = folder.glob(name.replace("…", "*"))
    return path


def apply(folder: Path, diff: str) -> None:
    """Apply a diff for people, whose hunks have no line numbers.

    What follows ``@@`` is a line below which the first such place is meant; with nothing there, the place stands once in the file.
    """
    for part in re.split(r"^--- a/", diff, flags=re.MULTILINE)[1:]:
        name, second, *_ = part.splitlines()
        assert second == f"+++ b/{name}"
        path = find(folder, name)
        text = path.read_text(encoding="utf-8")
        _, *hunks = re.split(r"^@@ ?(.*)\n", part, flags=re.MULTILINE)
        for heading, hunk in zip(hunks[::2], hunks[1::2], strict=True):
            lines = hunk.splitlines(keepends=True)
            assert {line[0] for line in lines} <= {" ", "+", "-"}, hunk
            old, new = (
                "".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +")
            )
            above, found, below = text.partition(f"{heading}\n") if heading else ("", "", text)
            assert bool(found) == bool(heading), f"{name} has no line {heading!r}"
            # From the beginning of a line.
            places = f"\n{below}".count(f"\n{old}")
            assert places == 1 or (heading and places), f"{name}\n{hunk}"
            text = above + found + f"\n{below}".replace(f"\n{old}", f"\n{new}", 1)[1:]
        rewrite(path, text)
