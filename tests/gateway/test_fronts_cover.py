"""Which faults of the catalogue are tried at the other two doors, and why some are not: none is forgotten in silence.

The ids stand in the names of tests and of their cases. A new one at the Responses door fails here until it is tried at
the others, or named below with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from tests.gateway.test_stream_faults import CASES

FOLDER = Path(__file__).parent
AT_RESPONSES = (
    "test_intake_faults.py", "test_input_faults.py", "test_client_faults.py", "test_stream_faults.py",
    "test_silence.py", "test_http.py", "test_idempotency.py",
)  # fmt: skip
AT_OTHERS = ("test_fronts_intake.py", "test_fronts_streams.py", "test_fronts_statuses.py")
_AT_ALL_WAYS = re.compile(r"@WAYS\n.*?def test_\w+", re.DOTALL)

NOT_AT_DOORS = MappingProxyType(
    {
        "CL-10": "how many connections there are is counted before anything is read of them",
        "ST-14": "a line is bounded where upstream bytes are cut into messages; its end is that of ST-13",
        "ST-22": "which upstream connection is used again is decided below every face",
    }
)
"""By id, why the test at Responses says it for all doors."""


def ids_in(text: str) -> Iterator[str]:
    """The ids in names of tests and of cases; a name may have several."""
    for name in re.findall(r"def (test_\w+)|(?:Case|Said)\(\s*f?\"([^\"]*)|id=f?\"([^\"]*)", text):
        for kind, number in re.findall(r"(?:^|[_ ])(IN|CL|ST)[-_](\d\d)(?!\d)", " ".join(name)):
            yield f"{kind}-{number}"


def ids_of(*files: str) -> set[str]:
    return {each for name in files for each in ids_in((FOLDER / name).read_text())}


def at_every_way(name: str) -> set[str]:
    """The ids of those tests of a file that are run at all doors."""
    return {each for found in _AT_ALL_WAYS.findall((FOLDER / name).read_text()) for each in ids_in(found)}


def test_every_fault_is_tried_at_the_other_doors_or_it_is_said_why_not() -> None:
    tried = ids_of(*AT_OTHERS) | at_every_way("test_client_faults.py")
    tried |= {each for case in CASES for each in ids_in(f'id="{case.id}"')}  # all of which test_fronts_streams.py plays
    tried.add("CL-15")  # which leaves at any of the doors, as the dice fall
    known = ids_of(*AT_RESPONSES)
    assert {"IN-01", "IN-29", "CL-01", "CL-16", "ST-01", "ST-30"} <= known
    assert known - tried == NOT_AT_DOORS.keys()
    assert all(len(reason) > 20 for reason in NOT_AT_DOORS.values())
