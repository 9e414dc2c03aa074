"""What a function was called with becomes what the tool behind it is called with, wherever the pieces are cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.decoding.unwrapping import Object, RawText, Unwrapping, as_action, as_query

TEXTS = st.one_of(
    st.text(),
    st.text(
        alphabet='"\\/nu{}:,\n\t d83ée\U0001f600\ud83d\ude00input'.encode("utf-16", "replace").decode(
            "utf-16", "replace"
        )
    ),
    st.sampled_from(["", "*** Begin Patch\n*** End Patch", 'print("a")', "\\u0041", "\\\\ud83d", "null", "{}"]),
)
BLANKS = st.text(alphabet=" \n\t\r", max_size=3)
NESTED = st.recursive(TEXTS | st.integers() | st.none(), st.lists, max_leaves=8)
OTHERS = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name != "input"),
    NESTED,
    max_size=2,
)


def heard(machine: Unwrapping, pieces: Iterable[str]) -> str | None:
    """All that the machine tells; None where it says that the call is half."""
    told = [machine.feed(piece) for piece in pieces]
    end = machine.end()
    return None if end is None else "".join(told) + end


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    if draw(st.booleans()):
        return list(text)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def written(draw: st.DrawFn, text: str) -> str:
    """A text as a JSON string, with each character escaped in one of the ways there are."""
    said = '"'
    for character in text:
        forms = [json.dumps(character)[1:-1]]
        if character not in '"\\' and character >= " ":
            forms.append(character)
        if character == "/":
            forms.append("\\/")
        units = character.encode("utf-16-be")
        forms.append("".join(f"\\u{units[at : at + 2].hex().upper()}" for at in range(0, len(units), 2)))
        said += draw(st.sampled_from(forms))
    return said + '"'


class TestRawText:
    @given(data=st.data(), text=TEXTS, others=OTHERS, before=st.booleans())
    def test_any_writing_and_any_cut_give_the_text(
        self, data: st.DataObject, text: str, others: dict[str, Any], before: bool
    ) -> None:
        def blank() -> str:
            return data.draw(BLANKS)

        members = [f"{json.dumps(name)}{blank()}:{blank()}{json.dumps(value)}" for name, value in others.items()]
        members.insert(len(members) if before else 0, f'"input"{blank()}:{blank()}{data.draw(written(text))}')
        said = blank() + "{" + blank() + ",".join(members) + blank() + "}" + blank()
        assert heard(RawText(), data.draw(cut(said))) == text

    @given(data=st.data(), said=st.text() | st.text(alphabet='{}":,\\ud8input nul'))
    def test_a_cut_changes_nothing_whatever_is_said(self, data: st.DataObject, said: str) -> None:
        assert heard(RawText(), data.draw(cut(said))) == heard(RawText(), [said])

    @given(text=st.text(min_size=1), data=st.data())
    def test_half_a_call_is_never_whole(self, text: str, data: st.DataObject) -> None:
        said = '{"input":' + json.dumps(text) + "}"
        at = data.draw(st.integers(1, len(said) - 1))
        assert heard(RawText(), data.draw(cut(said[:at]))) is None

    @given(text=st.text(), data=st.data())
    def test_what_is_told_early_is_the_beginning_of_the_text(self, text: str, data: st.DataObject) -> None:
        machine, told = RawText(), ""
        for piece in data.draw(cut('{"input":' + json.dumps(text) + "}")):
            told += machine.feed(piece)
            assert text.startswith(told)

    def test_a_text_is_told_as_it_comes(self) -> None:
        machine = RawText()
        assert [machine.feed(piece) for piece in ('{"in', 'put": "ab', "c\\", "n", "\\ud83d", "\\ude00d", '"}')] == [
            "", "ab", "c", "\n", "", "\U0001f600d", ""
        ]  # fmt: skip
        assert machine.end() == ""

    @pytest.mark.parametrize(
        ("said", "text"),
        [
            ("", ""),
            ("  ", "  "),
            ("null", ""),
            ("{}", ""),
            ('{"input": null}', ""),
            ('{"input": 5}', "5"),
            ('{"input": ["a", {"b": 1}]}', '["a",{"b":1}]'),
            ('{"patch": "abc"}', "abc"),
            ('{"limit": 5}', '{"limit": 5}'),
            ('{"a": "x", "b": "y"}', '{"a": "x", "b": "y"}'),
            ('{"\\u0069nput": "abc"}', "abc"),
            ('"abc\\n"', "abc\n"),
            ('"a" | wc', '"a" | wc'),
            ("*** Begin Patch", "*** Begin Patch"),
            ("  echo hi", "  echo hi"),
            ("nullify", "nullify"),
            ("nu", "nu"),
            ("[1, 2", "[1, 2"),
            ("{ const a = 1 }", "{ const a = 1 }"),
            ('{"a": 1} | jq', '{"a": 1} | jq'),
            ('{"input": "a", "input": "b"}', "a"),
            ('{"x": 1, "input": "a", "input": "b"}', "a"),
            ('{"input": "a\nb"}', "a\nb"),
            ('{"input": "\\d+ \\u00zz"}', "\\d+ \\u00zz"),
            ('{"input": "a\\ud83d"}', "a\ufffd"),
            ('{"x": 1, "input": "a\\ud83d"}', "a\ufffd"),
            ('{"input": "\\ud83d\\ud83d\\ude00"}', "\ufffd\U0001f600"),
            ('{"input": "echo "hi" \\n"}', 'echo "hi" \n'),
            ('{"input": "f("a", "b")"}', 'f("a", "b")'),
            ('{"input": "a"}}', "a"),
            ('{"input": "a"}{"input": "b"}', "a"),
            ('{"input": "echo "}" "}', 'echo "}" '),
        ],
    )
    def test_what_models_write_instead(self, said: str, text: str) -> None:
        assert heard(RawText(), [said]) == heard(RawText(), said) == text

    @pytest.mark.parametrize(
        "said",
        ["{", '{"inp', '{"input"', '{"input":"a', '{"input":"a"', '{"x":1,"input":"a', '"abc', '{"input":"echo "hi"'],
    )
    def test_what_is_plainly_half(self, said: str) -> None:
        assert heard(RawText(), [said]) is heard(RawText(), said) is None


class TestObject:
    @given(data=st.data(), said=st.dictionaries(TEXTS, NESTED, max_size=8))
    def test_any_cut_gives_the_object(self, data: st.DataObject, said: dict[str, Any]) -> None:
        told = heard(Object(as_query), data.draw(cut(json.dumps(said))))
        assert told is not None
        assert json.loads(told) == said
        assert list(json.loads(told)) == list(said)

    @pytest.mark.parametrize(
        ("said", "shape", "meant"),
        [
            ("", as_query, {}),
            ("null", as_query, {}),
            ('{"query": "a", "limit": 5}', as_query, {"query": "a", "limit": 5}),
            ('{"query": "a", "query": "b"}', as_query, {"query": "a"}),
            ('"weather"', as_query, {"query": "weather"}),
            ("weather tools", as_query, {"query": "weather tools"}),
            ('["a", "b"]', as_query, {"query": '["a","b"]'}),
            ("", as_action, {"type": "exec", "env": {}, "command": []}),
            (
                '{"command": ["ls", "-l"], "timeout_ms": 9, "user": null}',
                as_action,
                {"type": "exec", "env": {}, "command": ["ls", "-l"], "timeout_ms": 9},
            ),
            (
                '{"type": "run", "command": "ls | wc", "env": {"A": "b"}}',
                as_action,
                {"type": "exec", "env": {"A": "b"}, "command": ["bash", "-lc", "ls | wc"]},
            ),
            ("ls | wc", as_action, {"type": "exec", "env": {}, "command": ["bash", "-lc", "ls | wc"]}),
            ('["ls"]', as_action, {"type": "exec", "env": {}, "command": ["ls"]}),
        ],
    )
    def test_what_is_meant(self, said: str, shape: Callable[[Any], Any], meant: dict[str, Any]) -> None:
        told = heard(Object(shape), said)
        assert told is not None
        assert json.loads(told) == meant

    @pytest.mark.parametrize("said", ['{"query": "a', '{"command": ["rm", "-r"', '"wea'])
    def test_what_is_plainly_half(self, said: str) -> None:
        assert heard(Object(as_query), [said]) is None
