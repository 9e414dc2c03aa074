"""How an answer comes about, as those see it who tell it, settle it, or put something around it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from trunkline.catalog.entries import Endpoint
from trunkline.errors import GatewayError
from trunkline.generation import Fee, Noted
from trunkline.routing.fallback import Attempted, Outrun
from trunkline.stream.deltas import Delta
from trunkline.upstream.drivers import Sink


class Course(Protocol):
    """How one answer comes about: a run of attempts, or whatever goes through several of them.

    `answering` is only asked once `has_spoken`. `endpoint` is the same, or until then who was asked last. `held` is
    what it said and nobody was told. `is_byok`, `spoke` (when, on the loop's clock) and `upstream_id` (what they call
    the answer) are of who answers; `waited_s` is how long it waited for turns. `fees` are what steps around the model
    cost until now, `noted` is what they did. A `sink` may be set, and unset, once the first list has come: what goes on
    without waiting is given to it then, in place of being yielded, and an empty list says that the sink has no room.
    """

    sink: Sink | None

    @property
    def endpoint(self) -> Endpoint | None: ...

    @property
    def answering(self) -> Endpoint: ...

    @property
    def dropped(self) -> Sequence[str]: ...

    @property
    def attempted(self) -> Sequence[Attempted]: ...

    @property
    def outrun(self) -> Sequence[Outrun]: ...

    @property
    def has_spoken(self) -> bool: ...

    @property
    def is_byok(self) -> bool: ...

    @property
    def spoke(self) -> float | None: ...

    @property
    def upstream_id(self) -> str | None: ...

    @property
    def held(self) -> Sequence[Delta]: ...

    @property
    def waited_s(self) -> float: ...

    @property
    def fees(self) -> Sequence[Fee]: ...

    @property
    def noted(self) -> Noted: ...

    def deltas(self) -> AsyncGenerator[list[Delta], None]:
        """Lists of deltas, of which the first holds something that a client can see. Raises a GatewayError."""
        ...

    async def whole(self) -> tuple[list[Delta], GatewayError | None]:
        """All deltas at once, for a client that wants no stream; with an error those of an answer that failed.

        Raises a GatewayError where there is nothing to tell.
        """
        ...
