"""Programs and libraries of Node, in the versions that tests/package.json names."""

import fcntl
import subprocess
import sys
from pathlib import Path

from rendering import TEMPLATE

FOLDER = TEMPLATE / "build" / "npm"
WANTED = Path(__file__).with_name("package.json")

#: Node itself is a Python package of the environment.
NODE = Path(sys.executable).with_name("node")


def modules() -> Path:
    """The folder node_modules, with everything in it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    installed, wanted = FOLDER / "installed.json", WANTED.read_bytes()
    with (FOLDER / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != wanted:
            (FOLDER / "package.json").write_bytes(wanted)
            command = [NODE.with_name("npm"), "install", "--no-audit", "--no-fund"]
            run = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=300)
            assert run.returncode == 0, run.stderr
            installed.write_bytes(wanted)
    return FOLDER / "node_modules"


def node(script: str, *arguments: str | Path, folder: Path) -> str:
    """What a script below node_modules prints, run in a folder; it has to succeed."""
    command = [NODE, modules() / script, *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, f"{script}: {run.stdout}{run.stderr}"
    return run.stdout
