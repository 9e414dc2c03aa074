"""The files of a request read before anybody is asked, and the request planned anew with what they say in it.

It is planned first with the files as they are, so that nothing is fetched or read for those who take them. Where all
who may be asked are told the same, they are asked that; else each is told what it needs when its turn comes
(`upstream/reading.py`).
"""

from __future__ import annotations

from trunkline.adapters.encoding.documents import Texts, for_takers, placed_documents, with_texts
from trunkline.call import Admitted, Services
from trunkline.errors import ClientError, ServiceUnavailable
from trunkline.planning import given_away, planned_with
from trunkline.plugins.files import FileStep, kept_to_takers, needed, would_read
from trunkline.plugins.order import Steps
from trunkline.protocol.request import Request
from trunkline.upstream.aside import DEAR_BYTES
from trunkline.upstream.reading import Documents, Reading


async def filed(admitted: Admitted, step: FileStep, documents: Documents, services: Services) -> Admitted:
    """Read the files of a request that somebody needs who may be asked.

    Raises a GatewayError: 400, 404, 413, 503.
    """
    call, steps, plan = admitted.call, admitted.steps, admitted.plan
    placed = placed_documents(_asked(admitted))
    wanted = needed(step.rule, placed, plan.attempts)
    if not wanted:
        return noted(admitted, step, services)
    try:
        reading = await documents.read(step.rule, wanted, call.key.owner.account_id, call.deadline)
        again = _planned_again(admitted, step, reading, services)
    except (ClientError, ServiceUnavailable) as error:
        if step.rule.engine is not None:
            raise
        is_missing = error.kind == "file_missing"
        takers = kept_to_takers(placed, plan, or_unknown=is_missing)
        if not takers.attempts:
            raise
        return noted(admitted._replace(plan=takers), step, services)
    took = {"files": reading.noted}
    has_takers = any(map(reading.has_taker_in, again.plan.attempts))
    is_dear = admitted.is_dear or call.body_bytes + reading.grown_bytes > DEAR_BYTES
    grown = max(call.body_bytes + reading.grown_bytes, 1)
    if reading.is_done and not has_takers:
        return again._replace(
            call=call._replace(body_bytes=grown),
            is_dear=is_dear,
            steps=again.steps._replace(files=None, noted={**steps.noted, **took}),
        )
    told = FileStep(step.rule, reading, reading.fees, reading.fee_nano, again.steps.asked, grown, has_takers=has_takers)
    kept = _with_search(steps, step)
    if kept.search is not None:
        kept = given_away(kept) if again.steps.search is None else kept._replace(asked=kept.search.asked)
    return again._replace(steps=kept._replace(files=told, noted={**steps.noted, **took}), is_dear=is_dear)


def noted(admitted: Admitted, step: FileStep, services: Services) -> Admitted:
    """Say what would read the files of a request, and read none."""
    told = would_read(step.rule, placed_documents(_asked(admitted)), admitted.plan.attempts, services.ocr or "")
    steps = admitted.steps
    search, asked = steps.search, None if steps.asked is None else for_takers(steps.asked)
    if search is not None:
        search = search._replace(asked=for_takers(search.asked))
    return admitted._replace(
        steps=steps._replace(search=search, asked=asked, files=None, noted={**steps.noted, "files": told})
    )


def _with_search(steps: Steps, step: FileStep) -> Steps:
    """The steps as they were before it was known who makes a search."""
    return steps if step.search is None else steps._replace(search=step.search)


def _planned_again(admitted: Admitted, step: FileStep, reading: Reading, services: Services) -> Admitted:
    """Plan the request with what its files say in their place."""
    steps = _told(_with_search(admitted.steps, step), reading.texts())
    asked = steps.asked or admitted.request
    return planned_with(admitted.call, admitted.request, asked, steps, services, is_dear=admitted.is_dear)


def _told(steps: Steps, texts: Texts) -> Steps:
    search = steps.search
    if search is not None:
        native = None if search.native is None else with_texts(search.native, texts)
        search = search._replace(asked=with_texts(search.asked, texts), native=native)
    asked = None if steps.asked is None else with_texts(steps.asked, texts)
    return steps._replace(search=search, asked=asked)


def _asked(admitted: Admitted) -> Request:
    return admitted.steps.asked or admitted.request
