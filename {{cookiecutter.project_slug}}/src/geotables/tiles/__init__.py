"""OGC API - Tiles: the collections as vector tiles, and as TileJSON documents for MapLibre and its like."""

from geotables.tiles.routes import install

__all__ = ["install"]
