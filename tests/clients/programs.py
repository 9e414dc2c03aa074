"""Runs programs one after the other in one process, so that what they import is loaded once: `python programs.py`.

On standard input is a JSON object of their sources by name, on standard output one of what each printed and raised.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback


def output_of(source: str) -> tuple[str, str]:
    """Run a program as `python -c` would; give what it printed, and how it failed."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException:
        return printed.getvalue(), traceback.format_exc()
    return printed.getvalue(), ""


if __name__ == "__main__":
    print(json.dumps({name: output_of(source) for name, source in json.load(sys.stdin).items()}))
