"""What cookiecutter loads first: it refuses an older Python in words, and forgets modules that are another version's.

cruft renders two versions of the template in one process, out of one folder: the one that a project was made of, and the next.
"""

import sys
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import Extension

if sys.version_info < (3, 11):  # noqa: UP036
    raise ImportError(
        "Python 3.11 or later is required, and cookiecutter runs on " + sys.version.split()[0]
    )

FOLDER = Path(__file__).parent


def sources() -> dict[str, int]:
    """When each module of the template was last written."""
    files = [*FOLDER.glob("*.py"), *FOLDER.glob("parameters/*.py")]
    return {str(file): file.stat().st_mtime_ns for file in files}


def forget() -> None:
    """Have the template's modules imported anew."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if file in known and file != __file__:
            del sys.modules[name]


known = sources()

# What versions before this file loaded first.
if "requirement" in sys.modules:
    forget()


class Modules(Extension):
    """Sees, each time that cookiecutter begins to render, that the modules are those of the folder's files."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        global known
        now = sources()
        if now != known:
            forget()
            known = now
