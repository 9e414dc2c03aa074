"""What is made of a request before it is planned, as far as somebody has to be waited for; and then its plan.

The steps stand in `prepared` in the order in which they are made. Nobody who answers for models is asked here.
"""

from __future__ import annotations

from trunkline.call import Admitted, Call, Services
from trunkline.planning import planned
from trunkline.protocol.request import Request


async def prepared(call: Call, request: Request, services: Services, *, is_dear: bool, is_dry: bool) -> Admitted:
    """Make of a request what is to be planned, and plan it; `is_dry`: nothing is sent, fetched or charged for it.

    Raises a GatewayError: 400, 404.
    """
    return planned(call, request, services, is_dear=is_dear)
