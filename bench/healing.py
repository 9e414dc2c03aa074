"""What a delta of JSON costs to be healed: `python -m bench.healing`.

A token of a model is two to six signs of JSON, and a delta is a token; some providers send several in one. Each text is
legal, so that healing it is all that is paid for. It times the machine alone, best of several rounds; it measures no
gateway, which `bench.run` does.
"""

import json
import random
import time
from collections.abc import Sequence

from trunkline.plugins.healing import Healer

SIGNS_IN_A_DELTA = (2, 4, 6, 20)
ROUNDS = 7
_ITEMS = 600
_WORDS = "The quick brown fox jumps over the lazy dog. "


def main() -> None:
    """Measure every text at every size of a delta, and print microseconds."""
    print("us a delta of so many signs".ljust(36) + "".join(f"{signs:>8}" for signs in SIGNS_IN_A_DELTA))
    for name, text in _texts(random.Random(1)).items():
        spent = (_microseconds(text, signs) for signs in SIGNS_IN_A_DELTA)
        print(f"  {name:<34}" + "".join(f"{value:8.2f}" for value in spent))


def _texts(dice: random.Random) -> dict[str, str]:
    """Legal JSON, from what models write most to what is hardest on the machine."""
    people = [
        {"id": at, "name": f"Person {at}", "tags": ["a", "b"], "ok": True, "text": _WORDS} for at in range(_ITEMS)
    ]
    return {
        "records with prose": json.dumps(people),
        "lists of floats": _dense([dice.random() for _ in range(_ITEMS)]),
        "lists of long numbers": _dense([dice.randint(10**7, 10**8) for _ in range(_ITEMS)]),
        "lists of lists of digits": _dense([[dice.randint(0, 9) for _ in range(10)] for _ in range(_ITEMS)]),
        "empty objects, lists and texts": _dense([{"a": [], "b": {}, "c": ""} for _ in range(_ITEMS)]),
    }


def _dense(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _microseconds(text: str, signs: int) -> float:
    deltas = [text[at : at + signs] for at in range(0, len(text), signs)]
    return min(_seconds(deltas) for _ in range(ROUNDS)) / len(deltas) * 1e6


def _seconds(deltas: Sequence[str]) -> float:
    healer = Healer("[")
    begun = time.process_time()
    for delta in deltas:
        healer.feed(delta)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
