"""Conversations are told apart by account, model and what names them; memory is bounded."""

from __future__ import annotations

import pytest

from tests.routing.catalogs import ask
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.routing.affinity import Affinity, conversation


def says(role: str, text: str) -> Message:
    return Message(role=role, content=(InputText(text),))  # type: ignore[arg-type]


OPENING = (says("system", "Be brief."), says("user", "Hello"))
LATER = (*OPENING, says("assistant", "Hello!"), says("user", "And now?"))


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (ask(input=OPENING), ask(input=LATER), True),
        (ask(input=OPENING), ask(input=OPENING[1:], instructions="Be brief."), True),
        (ask(input=OPENING), ask(input=(OPENING[0], says("user", "Good day"))), False),
        (ask(input=OPENING), ask(input=(says("system", "Be long."), OPENING[1])), False),
        (ask(session_id="s"), ask(session_id="s", input=LATER), True),
        (ask(session_id="s"), ask(session_id="t"), False),
        (ask(session_id="s", prompt_cache_key="k"), ask(session_id="s"), True),
        (ask(prompt_cache_key="k"), ask(prompt_cache_key="k", input=LATER), True),
        (ask(prompt_cache_key="s"), ask(session_id="s"), False),
    ],
    ids=[
        "a later turn",
        "instructions are a system message",
        "another first message",
        "another system message",
        "one session",
        "two sessions",
        "a session before a cache key",
        "one cache key",
        "a cache key is no session",
    ],
)
def test_conversation(one: Request, other: Request, alike: bool) -> None:
    assert (conversation(one, "a", "m/one") == conversation(other, "a", "m/one")) is alike


def test_RT_12_accounts_and_models_do_not_share_a_session() -> None:
    request = ask(session_id="s")
    names = {conversation(request, account, model) for account in ("a", "b") for model in ("m/one", "m/two")}
    assert len(names) == 4


def test_a_lone_surrogate_is_a_name_too() -> None:
    assert conversation(ask(session_id="\ud800"), "a", "m/one")


def test_it_forgets_after_its_time() -> None:
    affinity = Affinity(ttl_s=600)
    affinity.keep(b"c", "alpha:m/one", 100.0)
    assert affinity.find(b"c", 699.0) == "alpha:m/one"
    assert affinity.find(b"c", 700.0) is None
    affinity.keep(b"c", "beta:m/one", 650.0)
    assert affinity.find(b"c", 1200.0) == "beta:m/one"


def test_it_forgets_the_least_recently_served_when_it_is_full() -> None:
    affinity = Affinity(max_conversations=2)
    for name in (b"a", b"b", b"a", b"c"):
        affinity.keep(name, "alpha:m/one", 0.0)
    assert [affinity.find(name, 1.0) for name in (b"a", b"b", b"c")] == ["alpha:m/one", None, "alpha:m/one"]
