"""Which steps run around the model for a request, and in which order: decided before anybody is planned or asked.

Pure. A step that is asked for and not configured is refused here, so that an explanation says it, too.
"""

from __future__ import annotations

from typing import NamedTuple

from trunkline.protocol.request import Request
from trunkline.settings.sections import Settings


class SearchStep(NamedTuple):
    """A search that the gateway makes for the model."""


class Steps(NamedTuple):
    """What runs around the model: the search inside, the healing around it."""

    search: SearchStep | None = None
    healing: object | None = None


NO_STEPS = Steps()
"""Those of a request that is asked as it is; known by identity."""


def order(request: Request, settings: Settings) -> tuple[Request, Steps]:
    """Say what is to be planned for a request, and what runs around it.

    The request is the same object where nothing of it changes. Raises BadRequest for what is not configured.
    """
    return request, NO_STEPS
