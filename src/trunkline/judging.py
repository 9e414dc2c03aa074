"""A model asked what it thinks of a text: a request of the gateway's own, for the key of the one that is judged.

It has a plan, a hold and a record of its own, so that its cost is exact and within what the key may spend. Which models
a key may ask for, and how often, says nothing of it; where its prompts may go does. What goes wrong is told as an
answer, but for a credit that does not pay for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trunkline.call import Admitted, Call, Services
from trunkline.catalog.moderators import Moderator
from trunkline.errors import GatewayError, PaymentRequired
from trunkline.plugins.order import Steps
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.preferences import ProviderPreferences
from trunkline.protocol.request import Request
from trunkline.reserving import reserve
from trunkline.routing.policy import of_any_model
from trunkline.settlement import begin
from trunkline.stream.deltas import Text
from trunkline.upstream.engines.judged import Answer
from trunkline.upstream.engines.moderation_table import judgment

MAX_OUTPUT_TOKENS: Final = 1_024
"""A verdict is a few tokens; some models think first."""


async def ask_judge(
    moderator: Moderator, text: str, deadline: float, *, of: Call, wishes: ProviderPreferences, services: Services
) -> Answer:
    """Have a model judge a text of a call, within what its client says of where prompts may go.

    Raises PaymentRequired.
    """
    request = _request(moderator, text, wishes)
    call = _call(moderator, text, deadline, of, services)
    try:
        plan = services.planner.plan(request, call.key.policy)
        steps = Steps(noted={"moderation": {"judges": of.id}})
        admitted = Admitted(call, request, plan, is_dear=False, steps=steps)
        said = await _answer(admitted, services)
    except PaymentRequired:
        raise
    except GatewayError as error:
        to_do = f"see whether moderation.{moderator.name}.model can be asked" if error.status in (400, 404) else ""
        return Answer(problem=f"no model judges ({error.status})", to_do=to_do, record=call.id)
    return judgment(said)._replace(record=call.id)


async def _answer(admitted: Admitted, services: Services) -> str:
    """What a model says, once that is on record. Raises a GatewayError."""
    course, settlement = begin(admitted, await reserve(admitted, services), services)
    try:
        heard, error = await course.whole()
        settlement.price(heard)
        if error is not None:
            raise error
        if (generation := settlement.close("ended")) is not None:
            await services.ledger.settle(generation, None)
    except BaseException as raised:
        raise settlement.fail(services.stopping.translate(raised)) from None
    return "".join([each.text for each in heard if isinstance(each, Text)])


def _request(moderator: Moderator, text: str, wishes: ProviderPreferences) -> Request:
    return Request(
        input=(Message(role="user", content=(InputText(text),)),),
        model=moderator.model,
        instructions=moderator.prompt or None,
        max_output_tokens=MAX_OUTPUT_TOKENS,
        temperature=0.0,
        provider=ProviderPreferences(data_collection=wishes.data_collection, zdr=wishes.zdr, ignore=wishes.ignore),
    )


def _call(moderator: Moderator, text: str, deadline: float, of: Call, services: Services) -> Call:
    key = replace(of.key, rates=(), policy=of_any_model(of.key.policy))
    return Call(
        id=f"resp_{next(services.ids)}",
        key=key,
        session_id=None,
        take_body=bytes,
        body_bytes=len(text.encode("utf-8", "replace")) + len(moderator.prompt) + 256,
        received_at=services.wall_clock(),
        deadline=deadline,
    )
