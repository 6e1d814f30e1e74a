"""Whether geotables is as its version has it; a project may not have changed it, since an update replaces it."""

import hashlib
import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1]

#: How many files a warning names.
NAMED = 5


def warn_of_changes(folder: Path = FOLDER) -> None:
    """Log a warning that names files which differ from the manifest, if there is one: a wheel has none."""
    manifest = folder.with_name(f"{folder.name}.sha256")
    if not manifest.is_file():
        return
    changes = changed(folder, manifest)
    named = list(islice(changes, NAMED))
    if named:
        more = len(list(changes))
        log.warning(
            "%s differs from what its version has, and an update replaces it: %s%s",
            folder.name,
            ", ".join(named),
            f" and {more} more" * bool(more),
        )


def changed(folder: Path, manifest: Path) -> Iterator[str]:
    """Each file that was changed, removed or added since the manifest was written; a whole folder may be removed.

    The manifest has a line for each file, ``HASH  PATH`` as ``sha256sum`` writes it, its path from the manifest's folder.
    """
    lines = manifest.read_text(encoding="utf-8").splitlines()
    hashes = {
        manifest.parent / path: digest
        for digest, _, path in (line.partition("  ") for line in lines if line[:1] != "#")
    }
    files = set(_files(folder))
    folders = {file.parent for file in files}
    for file in sorted(hashes.keys() | files):
        path = file.relative_to(manifest.parent).as_posix()
        if file not in hashes:
            yield f"{path} (added)"
        elif file not in files:
            # The other folders are of faces that the project goes without.
            if file.parent in folders:
                yield f"{path} (removed)"
        elif hashlib.sha256(file.read_bytes()).hexdigest() != hashes[file]:
            yield path


def _files(folder: Path) -> Iterator[Path]:
    """The files in a folder, without those of caches."""
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part[0] == "." or part == "__pycache__" for part in parts):
            yield file
