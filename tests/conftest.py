"""How property tests run, for all of them: no test sets a time limit or silences a check of its own."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "trunkline",
    deadline=None,
    # How long an example takes to make or to run says how busy the machine is, and failed good changes.
    suppress_health_check=[HealthCheck.too_slow],
    # The same change gets the same verdict twice where a merge waits for it; at home each run looks elsewhere.
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("trunkline")
