"""What is made of a request before it is planned, as far as somebody has to be waited for; and then its plan.

The steps stand in `prepared` in the order in which they are made. Nobody who answers for models is asked here, but for
one who judges.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from trunkline.call import Admitted, Call, Services
from trunkline.errors import BadRequest
from trunkline.generation import NOTHING_NOTED, Noted
from trunkline.planning import planned
from trunkline.plugins.files import FileStep
from trunkline.plugins.moderating import OutputCheck
from trunkline.plugins.templates import fill, filling_of
from trunkline.protocol.prompts import Prompt
from trunkline.protocol.request import Request
from trunkline.upstream.aside import DEAR_BYTES, DEAR_MARKS


async def prepared(call: Call, request: Request, services: Services, *, is_dear: bool, is_dry: bool) -> Admitted:
    """Make of a request what is to be planned, and plan it; `is_dry`: nothing is sent, fetched or charged for it.

    Raises a GatewayError: 400, 402, 403, 404, 413, 503.
    """
    noted, output = NOTHING_NOTED, None
    if request.prompt is not None:
        call, request, is_dear, noted = await _filled(call, request, request.prompt, services, is_dear=is_dear)
    if services.moderators is not None or call.key.moderation == "always":
        # Loaded where the settings name who judges: most gateways have nobody.
        moderation = import_module("trunkline.moderation")
        told, output = await moderation.moderated(call, request, services, is_dear=is_dear, is_dry=is_dry)
        noted = {**noted, **told}
    admitted = planned(call, request, services, is_dear=is_dear, is_dry=is_dry)
    if (step := admitted.steps.files) is not None:
        admitted = await _filed(admitted, step, services, is_dry=is_dry)
        if "moderation" in noted and not is_dry:
            await moderation.moderated_files(call, request, _with_texts(admitted), noted, services)
    return _with_noted(admitted, noted, output) if noted else admitted


class _Prepared(NamedTuple):
    call: Call
    request: Request
    is_dear: bool
    noted: Noted


async def _filled(call: Call, request: Request, prompt: Prompt, services: Services, *, is_dear: bool) -> _Prepared:
    """Fill in the template that a request names; from then on it is one that came as long as it is now.

    Raises BadRequest, NotFound, PayloadTooLarge, and ServiceUnavailable where only the store knows the template.
    """
    if services.templates is None:
        raise BadRequest("prompt: no templates are kept here; send instructions and input.", param="prompt")
    kept = await services.templates.find(prompt.id, prompt.version)
    filling = filling_of(
        prompt,
        kept.template,
        template_bytes=kept.body_bytes,
        body_bytes=call.body_bytes,
        max_body_bytes=services.settings.server.max_body,
    )
    is_dear = is_dear or filling.body_bytes > DEAR_BYTES or kept.quotes > DEAR_MARKS
    request = await services.aside.run(fill, request, filling) if is_dear else fill(request, filling)
    noted = {"template": {"id": kept.id, "version": kept.version}}
    return _Prepared(call._replace(body_bytes=filling.body_bytes), request, is_dear, noted)


async def _filed(admitted: Admitted, step: FileStep, services: Services, *, is_dry: bool) -> Admitted:
    """Read the files of a request, as far as somebody takes none, or say what would read them."""
    assert services.documents is not None, "there is a step for files without who reads them"
    documents = await services.documents.get()
    # Loaded with what reads them, by the first request that has files.
    filing = import_module("trunkline.filing")
    if is_dry:
        told: Admitted = filing.noted(admitted, step, services)
        return told
    filed: Admitted = await filing.filed(admitted, step, documents, services)
    return filed


def _with_texts(admitted: Admitted) -> Request:
    """The request with what its files say in their place, as far as they were read."""
    steps = admitted.steps
    weighed = None if steps.files is None else steps.files.weighed
    return weighed or steps.asked or admitted.request


def _with_noted(admitted: Admitted, noted: Noted, output: OutputCheck | None) -> Admitted:
    steps = admitted.steps
    return admitted._replace(steps=steps._replace(noted={**noted, **steps.noted}, output=output))
