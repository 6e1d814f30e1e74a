"""Refuses an older Python in words, before it meets syntax that it does not know: cookiecutter loads this first."""

import sys

from jinja2.ext import Extension

if sys.version_info < (3, 11):  # noqa: UP036
    raise ImportError(
        f"Python 3.11 or later is required, and cookiecutter runs on {sys.version.split()[0]}"
    )


class Python311(Extension):
    """Stands for the requirement in ``_extensions``."""
