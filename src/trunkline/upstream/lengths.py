"""How long an input was that was refused for its length, and how long it may be: for programs, beside the last word.

The figures of a request that nobody was asked for are the planner's (`routing/refusal.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline.adapters.decoding.room import told_context
from trunkline.errors import GatewayError
from trunkline.protocol.request import Request
from trunkline.protocol.weighing import figures, rough_needs
from trunkline.routing.fallback import Attempted


def measured(error: GatewayError, attempted: Sequence[Attempted], request: Request) -> GatewayError:
    """Put the figures of the last attempt on an error that says that the input is too long: its provider's, else ours.

    A context of which nobody tells how long it is has none.
    """
    if error.kind != "context_length_exceeded":
        return error
    endpoint, fault = attempted[-1].endpoint, attempted[-1].fault
    told = told_context(fault.message, fault.raw or "")
    context_tokens = told.context or endpoint.context_tokens
    if context_tokens is not None:
        ours = figures(context_tokens, rough_needs(request))
        counted = {} if told.read is None else {"estimated_input_tokens": told.read}
        error.metadata.update(ours | counted)
    return error
