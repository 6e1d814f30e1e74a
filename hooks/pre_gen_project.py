"""Refuse wrong parameters: all of them at once, and leave nothing behind."""

import json
import os
import sys
from pathlib import Path

#: What is wrong, found while this hook was rendered: a hook runs in a folder of its own and can import nothing.
PROBLEMS = json.loads(r'''{{ cookiecutter | problems | tojson }}''')

#: The file with the answers, and the command that goes on from it, where cookiecutter keeps them.
AGAIN = json.loads(r'''{{ cookiecutter | again | tojson }}''')

#: The folder that cookiecutter has made for the project, as it was asked for: `a/b` is two.
SLUG = json.loads(r'''{{ cookiecutter.project_slug | tojson }}''')


def leave_nothing_behind() -> None:
    """Remove the folders that cookiecutter made around the project's own, which it removes itself."""
    project = Path.cwd()
    around = [*project.parents][: len(Path(SLUG).parts) - 1]
    if not around:
        return
    os.chdir(project.anchor)
    for folder in [project, *around]:
        try:
            folder.rmdir()
        except OSError:
            # It is not empty, so it is somebody's.
            return


def say(text: str) -> None:
    """Print to standard error, if anyone reads it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # What is still to be written at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def main() -> int:
    if not PROBLEMS:
        return 0
    rule = "=" * 88
    advice = "Correct them and run cookiecutter again."
    if AGAIN:
        advice += " Your answers are kept. To go on from them, correct them in\n  {}\nand run\n  {}".format(*AGAIN)
    lines = "\n".join(f"- {problem}" for problem in PROBLEMS)
    say(
        f"\n{rule}\nThe parameters are wrong; nothing was generated.\n{lines}\n\n"
        f"{advice}\n{rule}\n"
    )
    leave_nothing_behind()
    return 1


if __name__ == "__main__":
    sys.exit(main())
