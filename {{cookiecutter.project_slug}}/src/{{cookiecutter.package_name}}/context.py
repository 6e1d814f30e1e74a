"""The request that is being served, for code deep in the service to which no caller passes it."""

from contextvars import ContextVar
from dataclasses import dataclass

from .crs import WORLD


class ClientGone(Exception):
    """The client has closed its connection: nobody waits for the answer."""


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
    #: Whether the client has closed its connection before it had an answer.
    gone: bool = False

    def check(self) -> None:
        """Go no further for a client that has left.

        Raises:
            ClientGone: It has.
        """
        if self.gone:
            raise ClientGone


NO_REQUEST = Context()
current: ContextVar[Context] = ContextVar("current", default=NO_REQUEST)
