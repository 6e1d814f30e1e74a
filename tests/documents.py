"""Documents whose commands and diffs the tests run as they stand."""

import re
from pathlib import Path


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document, flags=re.MULTILINE | re.DOTALL)


def apply(folder: Path, diff: str) -> None:
    """Apply a diff for people: after ``@@`` comes no number but a line, below which the first such place is meant."""
    for part in re.split(r"^--- a/.*\n", diff, flags=re.MULTILINE)[1:]:
        name, *hunks = re.split(r"^@@ (.*)\n", part, flags=re.MULTILINE)
        path = folder / name.strip().removeprefix("+++ b/")
        text = path.read_text(encoding="utf-8")
        for heading, hunk in zip(hunks[::2], hunks[1::2], strict=True):
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] or "\n" for line in lines if line[0] != "+")
            new = "".join(line[1:] or "\n" for line in lines if line[0] != "-")
            above, found, below = text.partition(f"{heading}\n")
            assert found, f"{path} has no line {heading!r}"
            assert f"\n{old}" in f"\n{below}", f"{path} has not, below {heading!r}:\n{old}"
            text = above + found + f"\n{below}".replace(f"\n{old}", f"\n{new}", 1)[1:]
        path.write_text(text, encoding="utf-8")
