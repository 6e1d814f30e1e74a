"""The plain REST resource: rows as flat JSON objects, and those nearest to a place."""

from geotables.rest.routes import install

__all__ = ["install"]
