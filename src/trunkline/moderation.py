"""A request judged before anything is done with it, and who judges its answer.

What is judged and what follows is `plugins/moderating.py`'s, who is asked how `upstream/engines/moderation.py`'s. What
was flagged is logged with the name of the request, and nothing of what it says.
"""

from __future__ import annotations

from functools import partial

from trunkline.call import Call, Services
from trunkline.errors import PaymentRequired
from trunkline.generation import Noted
from trunkline.judging import ask_judge
from trunkline.plugins.moderating import (
    Checked,
    ModerationStep,
    OutputCheck,
    checked_of,
    files_of,
    input_note,
    moderation_step,
    refusal,
    unjudged,
)
from trunkline.protocol.opaque import Json
from trunkline.protocol.request import Request
from trunkline.telemetry import logs
from trunkline.upstream.engines.judged import Passage, Verdict
from trunkline.upstream.engines.moderation import Moderators

NOT_ASKED = "would run"
"""What an explanation says of the result, for which nobody is asked."""


async def moderated(
    call: Call, request: Request, services: Services, *, is_dear: bool, is_dry: bool
) -> tuple[Noted, OutputCheck | None]:
    """Have a request judged where it is to be: what is noted of that, and how its answer is judged, if it is.

    Raises Forbidden where it is flagged, ServiceUnavailable where nobody judges it and that is not allowed, BadRequest
    where it asks for what is not configured, and PaymentRequired where a model judges and credit does not pay for it.
    """
    moderators = services.moderators
    names = () if moderators is None else moderators.names
    step = moderation_step(request, call.key.moderation, services.settings, names)
    if step is None or moderators is None:
        return {}, None
    if is_dry:
        return {"moderation": {"engine": step.engine, "result": NOT_ASKED, "output": step.checks_output}}, None
    choose = partial(checked_of, request, moderators.pictures(step.engine))
    checked = await services.aside.run(choose) if is_dear else choose()
    note = await _judged(step, moderators, checked, call, request, services)
    return {"moderation": note}, _output_check(step, call, request, services, note) if step.checks_output else None


async def moderated_files(call: Call, request: Request, told: Request, noted: Noted, services: Services) -> None:
    """Have what was read of a request's files judged, which was not known before; `told` has it in their place.

    It is noted with what was `noted` of the request. Raises as `moderated` does.
    """
    moderators, note = services.moderators, noted.get("moderation")
    names = () if moderators is None else moderators.names
    step = moderation_step(request, call.key.moderation, services.settings, names)
    if step is None or moderators is None or note is None:
        return
    read, count = files_of(request, told)
    if not count:
        return
    checked = await services.aside.run(checked_of, read, "none")
    note["files"] = await _judged(step, moderators, checked, call, request, services)
    note["unchecked_media"] = max(0, note.get("unchecked_media", 0) - count)


async def _judged(
    step: ModerationStep, moderators: Moderators, checked: Checked, call: Call, request: Request, services: Services
) -> dict[str, Json]:
    """Have passages judged; what is noted of that."""
    ask = partial(ask_judge, of=call, wishes=request.provider, services=services)
    verdict = await moderators.judge(step.engine, checked.passages, call.deadline, ask)
    if verdict.is_flagged:
        logs.request_flagged(call.id, call.key.id, step.engine, verdict.reasons, "input")
        raise refusal(verdict, checked.passages, _asked_model(call, request))
    if verdict.problem and step.is_blocking:
        raise unjudged()
    return input_note(verdict, checked)


def _output_check(
    step: ModerationStep, call: Call, request: Request, services: Services, note: dict[str, Json]
) -> OutputCheck:
    moderators = services.moderators
    assert moderators is not None
    ask = partial(ask_judge, of=call, wishes=request.provider, services=services)

    async def judge(text: str) -> Verdict:
        try:
            verdict = await moderators.judge(step.engine, [Passage(text)], call.deadline, ask)
        except PaymentRequired:  # the answer is under way
            return Verdict(step.engine, problem="the credit does not pay for the judge")
        if verdict.is_flagged:
            logs.request_flagged(call.id, call.key.id, step.engine, verdict.reasons, "output")
        return verdict

    return OutputCheck(judge, step.is_blocking, note)


def _asked_model(call: Call, request: Request) -> str:
    models = (request.model, *request.models, call.key.policy.default_model)
    return next((model for model in models if model), "")
