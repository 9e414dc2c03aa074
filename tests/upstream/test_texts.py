"""What files said is kept for its account and its hour, within its bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.upstream.texts import KEPT_S, Known, Text, Texts

accounts = st.sampled_from(["one", "other"])
digests = st.sampled_from([b"a", b"b", b"c", b"d"])
knowns = st.builds(Known, accounts, digests, st.sampled_from(["pdf-text", "mistral"]))
steps = st.lists(st.tuples(knowns, st.integers(0, 3_000), st.floats(0, KEPT_S)), max_size=30)


@given(steps, st.integers(0, 8_000))
def test_what_is_found_is_what_was_kept_last_under_the_same_and_not_too_long_ago(
    taken: list[tuple[Known, int, float]], max_bytes: int
) -> None:
    texts, kept, now = Texts(max_bytes), dict[Known, tuple[Text, float]](), 0.0
    for number, (known, size, passed) in enumerate(taken):
        now += passed
        found = texts.find(known, now)
        assert found is None or (found, True) == (kept[known][0], now < kept[known][1] + KEPT_S)
        text = Text(f"{number} " + "x" * size, 1)
        texts.keep(known, text, now)
        kept[known] = text, now
        assert sum(len(each.text) for each, _, _ in texts._kept.values()) <= max_bytes
        assert texts._left >= 0


def test_nothing_is_kept_without_room_and_nothing_of_another_account_found() -> None:
    texts = Texts(0)
    known = Known("one", b"a", "pdf-text")
    texts.keep(known, Text("Kites.", 1), 0.0)
    assert texts.find(known, 0.0) is None
    texts = Texts(10_000)
    texts.keep(known, Text("Kites.", 1), 0.0)
    assert texts.find(known._replace(account="other"), 0.0) is None
    assert texts.find(known._replace(read_with="mistral"), 0.0) is None
    assert texts.find(known, KEPT_S - 1) == Text("Kites.", 1)
    assert texts.find(known, KEPT_S) is None


def test_the_least_used_is_given_up_first() -> None:
    texts, known = Texts(4_000), Known("one", b"a", "pdf-text")
    first, second, third = (known._replace(digest=each) for each in (b"a", b"b", b"c"))
    for each in (first, second):
        texts.keep(each, Text("x" * 1_000, 1), 0.0)
    assert texts.find(first, 1.0) is not None
    texts.keep(third, Text("y" * 1_000, 1), 2.0)
    assert [texts.find(each, 3.0) is not None for each in (first, second, third)] == [True, False, True]
