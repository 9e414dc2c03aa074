"""One try at one endpoint: what is noted of it while it lasts."""

from __future__ import annotations

from trunkline.accounts.provider_keys import Owner
from trunkline.catalog.entries import Endpoint
from trunkline.stream.deltas import Delta, Usage
from trunkline.upstream.hearing import Hearing
from trunkline.upstream.taking import Held


class Attempt:
    """What is noted of one attempt; with an `owner` it is made with their own key, with a `turn` by that.

    `spoke` is when the first delta came that a client sees, `held` what was heard and not given on yet, `is_told` that
    its answer is given on as it comes, so that nobody else can answer any more.
    """

    spoke: float | None = None
    is_told = False
    hearing: Hearing | None = None
    dropped: tuple[str, ...] = ()

    def __init__(
        self, place: int, endpoint: Endpoint, owner: Owner | None, started: float, turn: Held | None = None
    ) -> None:
        self.place = place
        self.endpoint = endpoint
        self.owner = owner
        self.started = started
        self.turn = turn
        self.held: list[Delta] = []

    @property
    def is_byok(self) -> bool:
        """Whether it is made with the account's own key."""
        return self.owner is not None

    @property
    def own_key(self) -> str | None:
        """The id of that key."""
        return None if self.owner is None else self.owner.ids.get(self.endpoint.provider.slug, "")

    @property
    def usage(self) -> Usage | None:
        """What the provider says was spent so far."""
        return None if self.hearing is None else self.hearing.usage

    @property
    def is_tellable(self) -> bool:
        """Whether there is something to see for a client, and no reason known yet to ask elsewhere instead."""
        return self.spoke is not None and not (self.hearing is not None and self.hearing.has_failed_whole)
