"""The map page: the collections for people, drawn by MapLibre from the service's own tiles, without the internet."""

from geotables.webmap.page import install

__all__ = ["install"]
