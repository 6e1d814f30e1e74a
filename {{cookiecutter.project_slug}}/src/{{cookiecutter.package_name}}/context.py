"""What the rest of the service knows of the request that it works for, without every caller passing it on."""

from contextvars import ContextVar
from dataclasses import dataclass

from .crs import WORLD


@dataclass(frozen=True, slots=True)
class Context:
    """A request, or the work of a command, which has no id and no limits."""

    #: As the logs have it and PostgreSQL is told it.
    request_id: str = ""
    #: Whether reads have to see every write that was acknowledged before, which a replica may not have yet.
    fresh: bool = False
    #: Vertices of a geometry, at the most; none: as many as there are.
    max_vertices: int | None = None
    #: Degrees that a box may be wide, at the most.
    max_bbox_width: float = WORLD.xmax - WORLD.xmin


NO_REQUEST = Context()
current: ContextVar[Context] = ContextVar("current", default=NO_REQUEST)
