"""Write the world's airports as features that a rendered service can load, whatever its table.

A POINT table gets each airport's place, another a small shape there; of the attributes, `name` gets the airport's.
Run with the service's sources on the path.
"""

import importlib
import json
import sys
from pathlib import Path

import airportsdata
import numpy as np
import shapely


def main(package: str, target: str) -> None:
    samples = importlib.import_module("geotables.geometry.samples")
    (collection, *_) = importlib.import_module(f"{package}.tables").COLLECTIONS
    with Path(target).open("w", encoding="utf-8") as file:
        for number, airport in enumerate(airportsdata.load().values()):
            place = (airport["lon"], airport["lat"])
            if not collection.crs.domain.contain(np.array([place])):
                continue
            (geometry, *_) = samples.geometries(collection.geometry, at=place, size=0.01)
            attributes = collection.example(number)
            if "name" in attributes:
                attributes["name"] = airport["name"][: collection.table.c.name.type.length]
            feature = {
                "type": "Feature",
                "geometry": json.loads(shapely.to_geojson(geometry)),
                "properties": attributes,
            }
            file.write(json.dumps(feature, default=str) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
