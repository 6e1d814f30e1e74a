"""Whether geotables, and the tests that come with it, are as the template made them."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

#: ``src`` in a project; a folder of packages, without a manifest, where geotables is installed.
SOURCES = Path(__file__).parents[2]

#: What Python and its tools leave in a folder.
CACHES = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


def check_manifests() -> None:
    """Warn of each file that was edited: an update replaces the folders as a whole, and refuses to lose an edit."""
    for manifest in (SOURCES / "geotables.sha256", SOURCES.parent / "tests/geotables.sha256"):
        if manifest.is_file():
            for file, what in differences(manifest):
                path = (manifest.parent / file).relative_to(SOURCES.parent).as_posix()
                log.warning("%s was %s: `make update` will refuse to replace it", path, what)


def differences(manifest: Path) -> Iterator[tuple[str, str]]:
    """The files that differ from a manifest. A subfolder that is missing as a whole, such as a face, was left out on purpose."""
    folder = manifest.with_suffix("")
    lines = manifest.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("  ", 1) for line in lines if line and not line.startswith("#"))
    hashes = {file: digest for digest, file in pairs}
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        file = path.relative_to(manifest.parent).as_posix()
        if path.is_dir() or not CACHES.isdisjoint(path.parts):
            continue
        if file not in hashes:
            yield file, "added"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != hashes[file]:
            yield file, "changed"
    for file in hashes:
        # A file of geotables itself, or the folder of one of its parts.
        part = manifest.parent.joinpath(*Path(file).parts[:2])
        if not (manifest.parent / file).exists() and (part.exists() or len(Path(file).parts) == 2):
            yield file, "removed"
