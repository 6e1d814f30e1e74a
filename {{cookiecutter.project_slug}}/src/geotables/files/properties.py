"""Which properties of a file are the values of which attributes."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from geotables.collection import Collection
from geotables.files.attributes import LEFT_OUT, attributes
from geotables.files.fields import Fields
from geotables.files.refusals import LoadError
from geotables.files.sources import Batch, Source


class Properties:
    """The properties of the features of a file, and the attributes that take them.

    Attributes:
        seen: All of them, in the order of their appearance.
        unknown: Those that no attribute takes.
        read_only: Those that only the database sets.
        has_ids: Whether features bring ids of their own that no attribute takes.
    """

    def __init__(
        self, collection: Collection, source: Source, renamed: Mapping[str, str], id_to: str | None
    ) -> None:
        """
        Args:
            collection: What has the attributes.
            source: The file.
            renamed: Attributes by the names that the file has for them, where they differ.
            id_to: An attribute that gets the features' own ids.
        """
        self.seen: dict[str, None] = {}
        self.unknown: dict[str, None] = {}
        self.read_only: dict[str, None] = {}
        self.has_ids = False
        self._collection = collection
        self._source = source
        self._attributes = list(attributes(collection))
        self._renamed = renamed
        self._id_to = id_to

    @cached_property
    def _fields(self) -> Fields:
        """What is known of the properties that no attribute takes."""
        return self._source.fields()

    def declarations(self) -> list[str]:
        """Declare the columns that would hold the properties that no attribute takes."""
        if not self.unknown:
            return []
        return [
            field.declaration(re.sub(r"\W+", "_", field.name).strip("_").lower())
            for field in self._fields.all()
            if field.name in self.unknown and field.type
        ]

    def values(self, batch: Batch) -> dict[str, list[Any]]:
        """The values of each attribute, for all the features of a batch; ``LEFT_OUT`` where one has none."""
        seen: dict[str, Any] = {}
        for properties in batch.properties:
            seen.update(properties)
        self.seen.update(dict.fromkeys(seen))
        sources = self._sources(seen)
        values = {
            name: [properties.get(source, LEFT_OUT) for properties in batch.properties]
            for name, source in sources.items()
        }
        taken = set(sources.values())
        has_ids = any(each is not None for each in batch.ids)
        if self._id_to is not None:
            taken.discard(sources.get(self._id_to, ""))
            # Formats without ids have them among the properties, under the name of the key where ``export`` wrote them.
            key = self._collection.key.name
            own = key if key in seen else "id"
            if not has_ids or own != "id":
                taken.add(own)
            values[self._id_to] = _given(
                batch.ids if has_ids else [each.get(own) for each in batch.properties]
            )
        elif has_ids and self._collection.has_given_key:
            # They are the keys, as ``export`` wrote them.
            values.setdefault(self._collection.key.name, _given(batch.ids))
        elif has_ids:
            self.has_ids = True
        for name in seen:
            if name not in taken:
                is_read_only = name in self._collection.read_only
                (self.read_only if is_read_only else self.unknown)[name] = None
        if self.unknown:
            self._fields.add(
                {name: value for name, value in properties.items() if name in self.unknown}
                for properties in batch.properties
            )
        return values

    def _sources(self, properties: Iterable[str]) -> dict[str, str]:
        """The property of each attribute: the one that is said to be, else its namesake, else one in another case."""
        sources: dict[str, str] = {}
        named = [name for name in properties if name not in self._renamed]
        folded: dict[str, list[str]] = {}
        for name in named:
            folded.setdefault(name.casefold(), []).append(name)
        for attribute in self._attributes:
            given = [name for name in properties if self._renamed.get(name) == attribute]
            exact = [name for name in named if name == attribute]
            # A Shapefile has ten characters for a name.
            short = attribute[:10].casefold()
            cut = (
                folded.get(short, [])
                if len(attribute) > 10 and short not in self._attributes
                else []
            )
            found = given or exact or folded.get(attribute.casefold(), []) or cut
            if len(found) > 1:
                raise LoadError(
                    f"{attribute} may be any of the properties {', '.join(found)}: say which one with"
                    f" --map {found[0]}={attribute}"
                )
            if found and (given or attribute not in self._renamed.values()):
                sources[attribute] = found[0]
        return sources


def _given(ids: Iterable[Any]) -> list[Any]:
    """Ids, where none counts as left out."""
    return [LEFT_OUT if each is None else each for each in ids]
