"""What an answer of an engine means whose status is not 200, as far as all engines mean the same by it."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """What is wrong, and what to do about it; `to_do` is empty where nobody can do anything."""

    problem: str
    to_do: str = ""


def refusal_of(status: int, setting: str, *, questions: str, question: str, has_model: bool = True) -> Refusal:
    """Read a status; `setting` is the engine's in the settings, as search.mine, `questions` are what it is asked."""
    match status:
        case 401 | 403:
            return Refusal(f"it refuses the key ({status})", f"see whether {setting}.api_key is good")
        case 402:
            return Refusal("its credit or plan is used up (402)", "add credit to the engine's account")
        case 404 if has_model:
            about = f"see whether {setting}.base_url and {setting}.model are right"
            return Refusal("it knows no such path or model (404)", about)
        case 404:
            return Refusal("it knows no such path (404)", f"see whether {setting}.base_url is right")
        case 429:
            return Refusal(f"it takes no more {questions} now (429)")
        case _ if 300 <= status < 400:
            about = f"set {setting}.base_url to where it leads"
            return Refusal(f"it sends us elsewhere ({status}), and no redirect is followed", about)
        case _ if status >= 500:
            return Refusal(f"it failed ({status})")
        case _:
            return Refusal(f"it refuses the {question} ({status})")
