"""Render a service, load it with the world's airports, and serve it: what ``make demo`` does."""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "demo"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", default="8000")
    parser.add_argument("parameters", nargs="*", metavar="PARAMETER=VALUE")
    options = parser.parse_args()
    project = render(options.parameters)
    # Beside it lies geotables, which is no service.
    package = next((project / "src").glob("*/main.py")).parent.name
    with postgis(project).server() as server, server.database() as url:
        run = Service(project, package, url)
        run("migrate")
        features = FOLDER / "airports.geojsonl"
        run.python(ROOT / "scripts" / "airports.py", package, features)
        run("load", features)
        run("check", "--database")
        print(f"\n  http://127.0.0.1:{options.port}/map and /docs   (Ctrl-C ends it)\n", flush=True)
        run("serve", "--port", options.port)
    return 0


def render(parameters: list[str]) -> Path:
    """Render the template as a user would; the folder of the project."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = ["cookiecutter", str(ROOT), "--no-input", "--default-config", "--output-dir", FOLDER]
    subprocess.run([sys.executable, "-m", *command, *parameters], check=True)
    return next(path for path in FOLDER.iterdir() if path.is_dir())


def postgis(project: Path) -> ModuleType:
    """The project's own tools/postgis.py."""
    spec = importlib.util.spec_from_file_location("postgis", project / "tools" / "postgis.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["postgis"] = module
    spec.loader.exec_module(module)
    return module


class Service:
    """The rendered service's command line, with a database."""

    def __init__(self, project: Path, package: str, url: str) -> None:
        self.package = package
        self.project = project
        self.environment = os.environ | {"PYTHONPATH": "src", "DATABASE_URL": url}

    def __call__(self, *arguments: str | Path) -> None:
        self.python("-m", self.package, *arguments)

    def python(self, *arguments: str | Path) -> None:
        command = [sys.executable, *arguments]
        subprocess.run(command, cwd=self.project, env=self.environment, check=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        print()
