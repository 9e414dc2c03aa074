"""Whether a text is the beginning of a legal JSON text: an own reading of RFC 8259, sign by sign."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r'(?P<space>[ \t\r\n]+)|(?P<mark>[{}\[\],:])|(?P<text>"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*")'
    r"|(?P<atom>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE+-])|true|false|null)"
)
_BEGUN = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*(?:\\(?:u[0-9A-Fa-f]{0,3})?)?\Z'
    r"|(?:-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:(?<=[0-9])[eE][+-]?[0-9]*)?)?|t|tr|tru|f|fa|fal|fals|n|nu|nul)\Z"
)


def begins_json(text: str) -> bool:
    """Whether something can follow with which the text is legal JSON, or nothing has to."""
    stack: list[str] = []
    due, at = "value", 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return (
                due in ("value", "item", "key", "member")
                and _BEGUN.match(text, at) is not None
                and (text[at] == '"' or due in ("value", "item"))
            )
        at = token.end()
        if token["space"]:
            continue
        due = _after(token, due, stack)
        if due == "wrong":
            return False
    return True


def _after(token: re.Match[str], due: str, stack: list[str]) -> str:
    """What is due after a token, or that it was wrong."""
    sign = token["mark"]
    if sign is None:
        if due in ("key", "member"):
            return "colon" if token["text"] else "wrong"
        return ("comma" if stack else "end") if due in ("value", "item") else "wrong"
    if sign in "{[" and due in ("value", "item"):
        stack.append(sign)
        return "member" if sign == "{" else "item"
    if sign in "}]" and stack and stack[-1] == {"}": "{", "]": "["}[sign]:
        if due == "comma" or due == ("member" if sign == "}" else "item"):
            stack.pop()
            return "comma" if stack else "end"
        return "wrong"
    if sign == "," and due == "comma":
        return "key" if stack[-1] == "{" else "value"
    return "value" if sign == ":" and due == "colon" else "wrong"
