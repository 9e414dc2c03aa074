"""Files in the input as a step: whether the gateway reads them and how; and what a request with them may cost.

Pure. `upstream/reading.py` reads them; `adapters/encoding/documents.py` says what each is, and what takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trunkline.adapters.encoding.documents import Placed, Rule, is_taken, rule_of
from trunkline.catalog.entries import Endpoint
from trunkline.generation import Fee
from trunkline.money import NanoUsd
from trunkline.plugins.searching import SearchStep
from trunkline.protocol.opaque import Json
from trunkline.protocol.request import Request
from trunkline.routing.estimate import Estimate, either, estimate, with_fees
from trunkline.routing.plan import Plan, kept_to
from trunkline.settings.sections import BillingSettings
from trunkline.upstream.asking import Documents


class FileStep(NamedTuple):
    """How the files of a request are read.

    `documents` has them where endpoints are told different things; what they cost is in `fees`, which grow, and will be
    `fee_nano` more. There `weighed` is the request as it is measured, of so many bytes, and `has_takers` whether
    somebody takes the files as they are. `search` is one that was given to those who make it themselves.
    """

    rule: Rule
    documents: Documents | None = None
    fees: Sequence[Fee] = ()
    fee_nano: NanoUsd = 0
    weighed: Request | None = None
    weighed_bytes: int = 0
    has_takers: bool = False
    search: SearchStep | None = None

    def estimated(
        self, plan: Plan, asked: Request, body_bytes: int, bounds: BillingSettings, *, counts_own: bool = False
    ) -> Estimate:
        """What the request may cost, whoever reads its files."""
        if self.weighed is None:
            return estimate(plan, asked, body_bytes, bounds, counts_own=counts_own)
        found = estimate(plan, self.weighed, self.weighed_bytes, bounds, counts_own=counts_own)
        if self.has_takers:
            found = either(found, estimate(plan, asked, body_bytes, bounds, counts_own=counts_own))
        return with_fees(found, self.fee_nano)


def file_step(request: Request, ocr: str | None) -> FileStep | None:
    """How the files of a request are read; None where it has none that are, or they are for who takes them alone."""
    rule = None if ocr is None else rule_of(request, has_ocr=bool(ocr))
    return None if rule is None else FileStep(rule)


def needed(rule: Rule, placed: Sequence[Placed], attempts: Sequence[Endpoint]) -> list[Placed]:
    """The files that somebody who may be asked does not take as they are."""
    return [each for each in placed if not all(rule.is_native(endpoint, each.kind) for endpoint in attempts)]


def would_read(rule: Rule, placed: Sequence[Placed], attempts: Sequence[Endpoint], ocr: str) -> list[Json]:
    """What is said beforehand of each file: what would read it, and for whom that is not done."""
    told: list[Json] = []
    for each in placed:
        natives: list[Json] = [endpoint.id for endpoint in attempts if rule.is_native(endpoint, each.kind)]
        here = ocr if each.kind is not None and rule.wants_ocr(each.kind) else "pdf-text"
        engine = "native" if len(natives) == len(attempts) else here
        told.append({"path": each.path, "kind": each.kind or "link", "engine": engine, "native_at": natives})
    return told


def kept_to_takers(placed: Sequence[Placed], plan: Plan, *, or_unknown: bool) -> Plan:
    """The plan with those alone who take all files as they are; `or_unknown`: and those of whom nobody knows."""

    def takes(endpoint: Endpoint) -> bool:
        if or_unknown and endpoint.input_modalities is None and endpoint.quirks.native_files is None:
            return True
        return all(is_taken(endpoint, each.kind) for each in placed if not each.is_of_tool)

    return kept_to(plan, takes)
