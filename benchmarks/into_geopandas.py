"""Read every feature of a collection into a GeoDataFrame, in one of three ways, and print the seconds that it takes.

Run in the peers' environment, which has geopandas.
"""

import io
import json
import sys
import time
import urllib.request

import geopandas
import pandas


def pages(items: str) -> geopandas.GeoDataFrame:
    """Pages of GeoJSON, by their links."""
    frames, url = [], f"{items}?limit=10000"
    while url:
        page = fetched(url)
        frames.append(geopandas.read_file(io.BytesIO(page), use_arrow=True))
        links = json.loads(page)["links"]
        url = next((link["href"] for link in links if link["rel"] == "next"), "")
    return pandas.concat(frames, ignore_index=True)


def parquet(items: str) -> geopandas.GeoDataFrame:
    return geopandas.read_parquet(io.BytesIO(fetched(f"{items}?f=parquet")))


def fgb(items: str) -> geopandas.GeoDataFrame:
    return geopandas.read_file(io.BytesIO(fetched(f"{items}?f=fgb")), use_arrow=True)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:
        content: bytes = response.read()
    return content


def main() -> None:
    way, items, rows = sys.argv[1:]
    began = time.perf_counter()
    frame = {"pages": pages, "parquet": parquet, "fgb": fgb}[way](items)
    print(time.perf_counter() - began)
    assert len(frame) == int(rows), len(frame)


if __name__ == "__main__":
    main()
