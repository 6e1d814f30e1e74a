"""The command line: ``python -m {{ cookiecutter.package_name }} COMMAND``."""

from geotables import files
from geotables.commands import add_check, add_migrate, add_overviews, add_serve, command_line, run
from geotables.service import Service

from . import auth
from .settings import Settings
from .tables import COLLECTIONS, MIGRATIONS

SERVICE = Service(
    package="{{ cookiecutter.package_name }}",
    settings=Settings,
    collections=COLLECTIONS,
    migrations=MIGRATIONS,
    factory="{{ cookiecutter.package_name }}.main:create_app",
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit code."""
    parser, commands = command_line(SERVICE.package)
    add_check(commands, SERVICE)
    add_serve(commands, SERVICE)
    add_migrate(commands, SERVICE)
    add_overviews(commands, SERVICE)
    files.add_commands(commands, SERVICE)  # load, export
    auth.add_commands(commands)
    # A command of your own: commands.add_parser("name").set_defaults(run=function of the options).
    return run(parser, arguments)
