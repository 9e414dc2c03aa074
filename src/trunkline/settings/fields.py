"""What sections are made of: the table that each is one of, and the kinds of fields that more than one file needs."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from trunkline.settings.forms import Json, Written
from trunkline.settings.secret import Secret

Slug = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(gt=0)]
CountOrNone = Annotated[int, Meta(ge=0)]


class Section(Struct, frozen=True, kw_only=True):
    """A table of settings."""


def present(section: Section) -> dict[str, Json]:
    """What is set of a table whose settings are None otherwise, by its name."""
    values = ((name, getattr(section, name)) for name in section.__struct_fields__)
    return {name: value for name, value in values if value is not None}


class SecretSource(Section, frozen=True):
    """Where a secret is found: exactly one of the three. A plain string counts as `inline`."""

    env: str | None = None
    """The name of an environment variable."""

    file: str | None = None
    """The path of a file whose text, without the white space around it, is the secret."""

    inline: Secret | None = None
    """The secret itself. Prefer `env` or `file`: configuration files are copied about."""

    def __post_init__(self) -> None:
        if sum(place is not None for place in (self.env, self.file, self.inline)) != 1:
            raise ValueError('name one place, as { env = "NAME" } or { file = "/run/secrets/name" }')


def _secret_source(value: object) -> object:
    return {"inline": value} if isinstance(value, str) else value


SecretField = Annotated[SecretSource, Written(_secret_source)]


def written_as(pattern: str, words: str) -> Written:
    """Refuse other text, and what is no text at all, in words that say how to write it."""

    def check(value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(words)
        return value

    return Written(check)


def spelled_like(address: str) -> Written:
    """Refuse what is not spelled like this address: plain HTTP or HTTPS, without user, password or parameters."""
    return written_as(
        r"https?://[^\s/?#@]+(/[^\s?#@]*)?",
        f"write the whole address, as {address}, without user, password or parameters",
    )


def address_before(*ends: str, example: str) -> Written:
    """Take the address of an engine, to which the gateway adds one of `ends`; one that has it already is refused."""

    def check(value: object) -> object:
        parts = urlsplit(str(value))
        try:
            has_host = bool(parts.hostname) and parts.port != 0
        except ValueError:
            has_host = False
        if not has_host:
            raise ValueError(f"write the whole address, as {example}")
        for end in ends:
            if parts.path.rstrip("/").endswith(end):
                raise ValueError(f"leave out {end}: the gateway adds the path of the engine")
        return str(value).rstrip("/")

    return Written(check)
