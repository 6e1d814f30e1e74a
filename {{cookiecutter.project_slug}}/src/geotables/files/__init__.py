"""The commands ``load`` and ``export``: files become rows, and rows files."""

from geotables.files.commands import add_commands

__all__ = ["add_commands"]
