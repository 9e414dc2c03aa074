"""What statements are given: a connection that is in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
Connection = sqlite3.Connection
Work = Callable[[Connection], Result]
"""Statements to run in one transaction."""
