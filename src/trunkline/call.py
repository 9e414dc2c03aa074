"""The values of one request on its way: the call as it came, what it may have, and the course that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from trunkline.accounts.claims import Claims
from trunkline.accounts.idempotency import Claim
from trunkline.accounts.keys import Key, Keys
from trunkline.accounts.ledger import Ledger
from trunkline.accounts.rates import Counters, Rate, Refused, Taken
from trunkline.accounts.records import Records
from trunkline.catalog.entries import Catalog
from trunkline.faces.contract import Answering, Asked, Face, Telling
from trunkline.faces.kept_telling import KeptTelling
from trunkline.faces.responses.face import RESPONSES
from trunkline.generation import Generation
from trunkline.money import NanoUsd
from trunkline.plugins.order import NO_STEPS, Steps
from trunkline.protocol.request import Request
from trunkline.routing.health import Health
from trunkline.routing.plan import Plan, Planner
from trunkline.settings.sections import BillingSettings, Settings
from trunkline.stopping import Stopping
from trunkline.telemetry.recent import Recent
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.courses import Course as Course

if TYPE_CHECKING:
    from trunkline.plugins.auto_router import AutoRouter
    from trunkline.store.templates import Templates
    from trunkline.upstream.documents_late import LateDocuments
    from trunkline.upstream.engines.moderation import Moderators
    from trunkline.upstream.engines.search import SearchEngines

_USUAL_BOUNDS: Final = BillingSettings()
_USUAL_SETTINGS: Final = Settings()
NOTHING_SAID: Final[Mapping[bytes, bytes]] = MappingProxyType({})


class Call(NamedTuple):
    """One HTTP request, as received, from a key that may be used.

    `take_body` gives the bytes away, once; `received_at` is Unix time, `deadline` on the loop's clock.
    `max_cost_nano` is the most that the client wants to pay, `claim` what it names the request by, so
    that it is answered once however often it is sent. `face` is the API that the client speaks, `said` are the header
    fields that it heeds.
    """

    id: str
    key: Key
    session_id: str | None
    take_body: Callable[[], bytes | bytearray]
    body_bytes: int
    received_at: float
    deadline: float
    max_cost_nano: int | None = None
    claim: Claim | None = None
    face: Face = RESPONSES
    said: Mapping[bytes, bytes] = NOTHING_SAID


class SharedCounters(Protocol):
    """Takes of limits that several processes count together, so that it has to be waited for."""

    async def take(self, rates: tuple[Rate, ...], model: str, tokens: int, id: str) -> Taken | Refused:
        """Do as `Counters.take` does."""
        ...

    def give_back(self, taken: Taken, tokens_used: int | None) -> None:
        """Do as `Counters.give_back` does."""
        ...


@dataclass(frozen=True)
class Services:
    """What a request needs of the process; built once in `app.py`.

    `note` is told of every request that is over; `bounds` say how much is held for one. `find_explanation`, where there
    are other nodes, asks them for that of a response, for an account. `engines` and `moderators` are None where the
    settings name none; `settings` say what runs around the model. `templates` are those of the store, None where there
    is no store. `documents` read files, and are loaded with the first. `router` finds the auto-router, made when it is
    first asked for.
    """

    keys: Keys
    rates: Counters | SharedCounters
    records: Records
    health: Health
    planner: Planner[Catalog]
    upstream: Upstream
    recent: Recent
    note: Callable[[Generation], None]
    ledger: Ledger
    claims: Claims
    aside: Aside
    ids: Iterator[str]
    wall_clock: Callable[[], float]
    loop_clock: Callable[[], float]
    stopping: Stopping
    bounds: BillingSettings = _USUAL_BOUNDS
    find_explanation: Callable[[str, str], Awaitable[bytes | None]] | None = None
    engines: SearchEngines | None = None
    moderators: Moderators | None = None
    settings: Settings = _USUAL_SETTINGS
    templates: Templates | None = None
    documents: LateDocuments | None = None
    router: Callable[[], AutoRouter] | None = None

    @cached_property
    def has_steps(self) -> bool:
        """Whether something may run around the model that a request does not ask for by a plugin."""
        return bool(self.settings.search or self.settings.plugins.defaults)

    @property
    def ocr(self) -> str | None:
        """The engine that reads scanned files; empty where none is on, None where no files are read."""
        return None if self.documents is None else self.documents.ocr

    @property
    def catalog(self) -> Catalog:
        """The catalog in use: another one after a newer list of models was taken."""
        return self.planner.catalog


class Admitted(NamedTuple):
    """A call that may be served: who asks, what for, and who will be asked.

    `is_dear`: its request is so large that it is encoded beside the loop. `steps` run around the model. `catalog` is
    what an answer of several turns was planned over, `form` what its face alone needs.
    """

    call: Call
    request: Request
    plan: Plan
    is_dear: bool
    steps: Steps = NO_STEPS
    catalog: Catalog | None = None
    form: object = None


class Reservation(NamedTuple):
    """What a request may spend, and what of it is kept from others until it is settled.

    `held_nano` is None where nothing is held, `most_nano` where nothing bounds what is charged. `max_output_tokens` is
    sent upstream, and kept to, in the place of the client's own where that is not None. `key_budget` is the budget of a
    key with a limit, for as long as that lasts. `taken` is what it has of the limits of its key and account.
    """

    held_nano: NanoUsd | None = None
    most_nano: NanoUsd | None = None
    max_output_tokens: int | None = None
    key_budget: str | None = None
    taken: Taken | None = None


NOTHING_RESERVED = Reservation()
"""That of a key without limits."""


def new_telling(admitted: Admitted, services: Services, model: str) -> Telling:
    """Begin to tell an answer; nobody needs to have answered yet."""
    call = admitted.call
    answering = Answering(call.id, services.ids, call.received_at, model, services.wall_clock)
    telling = call.face.telling(Asked(admitted.request, admitted.form), answering)
    return telling if call.claim is None else KeptTelling(telling)
