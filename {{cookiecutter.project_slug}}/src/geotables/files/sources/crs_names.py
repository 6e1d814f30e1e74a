"""What files call CRSs: by names of the EPSG's and of the OGC's."""

import re
from pathlib import Path

from geotables.crs import WGS84
from geotables.files.sources.base import SourceError


def srid_of(crs: str) -> int:
    """The SRID of ``EPSG:27700`` or of another name of a CRS of the EPSG's; of CRS 84 it is that of WGS 84.

    Raises:
        ValueError: It is of neither.
    """
    if re.search(r'\bCRS84"?\W*$', crs):
        return WGS84
    match = re.fullmatch(r"(?i)(?:.*\bEPSG[:/](?:[\d.]*[:/])?)?(\d{1,6})", crs)
    if match is None:
        raise ValueError(f"{crs!r:.100} is no CRS of the EPSG, like EPSG:27700")
    return int(match[1])


def stated_srid(path: Path, crs: str, problem: str) -> int:
    """The SRID of the CRS that a file states.

    Args:
        path: The file.
        crs: The name of the CRS.
        problem: What is wrong where that is of none of the EPSG's.

    Raises:
        SourceError: It is of none.
    """
    try:
        return srid_of(crs)
    except ValueError as error:
        raise SourceError(f"{path}: {problem}; say which with --source-crs EPSG:n") from error
