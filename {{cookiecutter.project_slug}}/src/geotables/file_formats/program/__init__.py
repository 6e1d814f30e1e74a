"""Writes PostgreSQL's CSV as GeoParquet or FlatGeobuf.

It is run as a program and imports nothing of geotables, which takes longer to import and more memory than pyarrow.
"""
