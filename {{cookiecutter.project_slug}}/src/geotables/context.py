"""The request that is being served, for code that does not get it as an argument."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from geotables.crs import WORLD


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as the service has asked.

    Attributes:
        name: As the logs have it; None: unknown.
        rights: What the caller may do, such as "read" and "write".
        claims: What else is known, such as the claims of a token.
    """

    name: str | None = None
    rights: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)


#: A caller of whom nothing is known.
ANYBODY = Caller()


class ClientGone(Exception):
    """The client has closed its connection before it had an answer."""


@dataclass(slots=True)
class Context:
    """A request, or the work of a command, which has no id and no limits."""

    #: As logged, and sent to PostgreSQL in a comment before each statement.
    request_id: str = ""
    #: Whether reads have to see every write that was acknowledged before, which a replica may not have yet.
    fresh: bool = False
    #: Vertices of a geometry, at the most; None: any number.
    max_vertices: int | None = None
    #: Degrees that a box may be wide, at the most.
    max_bbox_width: float = WORLD.xmax - WORLD.xmin
    #: Who calls: set by the dependencies that ask.
    caller: Caller = ANYBODY
    #: Whether the client has closed its connection before it had an answer.
    gone: bool = False

    def check(self) -> None:
        """Stop working for a client that has left.

        Raises:
            ClientGone: The client has left.
        """
        if self.gone:
            raise ClientGone


NO_REQUEST = Context()
current: ContextVar[Context] = ContextVar("current", default=NO_REQUEST)
