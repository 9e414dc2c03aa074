"""How long the event loop is held by one large request: `python -m bench.stalls`, for each dialect that is encoded.

Each request is sent several times, one after the other, to a gateway that has nothing else to do. The figures are the
smallest of the rounds' longest stalls: whatever else the machine does can only make one longer. Where others work on
it, `chrt -f 5 python -m bench.stalls` keeps them out. Does not measure how long the request takes.
"""

import asyncio
import base64
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import recordings, wires
from bench.beating import FIGURES_BYTES, figures
from bench.http1 import END_OF_HEAD, content_length
from bench.servers import free_port, stop
from bench.subjects import ROOT

_ROUNDS = 5
_REST_S = 0.05
_KEY = "tl-" + base64.urlsafe_b64encode(b"a fixed key for benchmarks only.").decode().rstrip("=")
_WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "goes", "on")

_SAID: Mapping[str, bytes] = {
    "chat": recordings.chat(with_usage=True).body,
    "responses": recordings.responses().body,
    "messages": wires.messages().recording.body,
    "gemini": wires.gemini().recording.body,
    "converse": wires.converse().recording.body,
}
_PATHS: Mapping[bytes, str] = {
    b"/chat/completions": "chat",
    b"/responses": "responses",
    b"/messages": "messages",
    b":generatecontent": "gemini",
    b"/converse": "converse",
}
_ENDPOINT = """
[providers.mock-{dialect}]
dialect = "{dialect}"
base_url = "http://127.0.0.1:{port}/v1"
api_key = {{ env = "MOCK_KEY" }}

[[endpoints]]
provider = "mock-{dialect}"
model = "mock/{dialect}"
upstream_model = "m"
price = {{ input = "1", output = "2" }}
"""


def main() -> None:
    """Print the longest stall of each large request at each dialect."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, _gateway(Path(name)) as (port, longest):
        print("longest time between two beats of the loop / most CPU of the process between two, in ms")
        print(f"{'':<26}{'kB':>8}" + "".join(f"{dialect:>16}" for dialect in _SAID))
        for title, members in _large().items():
            cells = [_stall(port, longest, {"model": f"mock/{dialect}", **members}) for dialect in _SAID]
            size = len(_dump(members)) // 1000
            print(f"{title:<26}{size:>8}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def _stall(port: int, longest: "memoryview[float]", body: Mapping[str, object]) -> str:
    data = _dump(body)
    waits, spent = [], []
    for _ in range(_ROUNDS):
        longest[0] = longest[1] = 0.0
        if (status := _post(port, data)) != 200:
            return f"status {status}"
        time.sleep(_REST_S)
        waits.append(longest[0] * 1e3)
        spent.append(longest[1] * 1e3)
    return f"{min(waits):.1f} / {min(spent):.1f}"


def _post(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    head = {"authorization": f"Bearer {_KEY}", "content-type": "application/json"}
    connection.request("POST", "/api/v1/responses", body, head)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def _large() -> Mapping[str, Mapping[str, object]]:
    picture = b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(749_000)
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    pictures = [{"type": "input_image", "image_url": url} for _ in range(10)]
    return {
        "a small request": {"input": "Hi"},
        "text of 10 MB": {"input": _text(random.Random(1), 2_000) * 1_000},
        "history of 280 items": {"input": _history(280)},
        "history of 800 items": {"input": _history(800)},
        "history of 3,200 items": {"input": _history(3_200)},
        "128 tools, history of 200": {"input": _history(200), "tools": _tools(128)},
        "ten pictures of 1 MB": {"input": [{"role": "user", "content": pictures}]},
    }


def _history(count: int) -> list[object]:
    """The turns of an agent: what it was asked, a thought, two calls with their results, what it said."""
    dice = random.Random(1)
    items: list[object] = []
    for turn in range(count // 8 + 1):
        items.append({"role": "user", "content": _text(dice, 40)})
        items.append({"type": "reasoning", "summary": [{"type": "summary_text", "text": _text(dice, 20)}]})
        for call_id in (f"call_{turn}a", f"call_{turn}b"):
            call = {"name": "read_file", "arguments": '{"path":"a/b.py"}', "status": "completed"}
            items.append({"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, **call})
            items.append({"type": "function_call_output", "call_id": call_id, "output": _text(dice, 60)})
        said = {"type": "output_text", "text": _text(dice, 40), "annotations": []}
        items.append({"type": "message", "id": f"msg_{turn}", "role": "assistant", "content": [said]})
        items.append({"role": "user", "content": [{"type": "input_text", "text": _text(dice, 20)}]})
    return items[: count - count % 8]


def _tools(count: int) -> Sequence[object]:
    argument = {"type": "string", "description": "What it is about, in a few words."}
    places = {"type": "array", "items": {"type": "object", "properties": {"x": argument, "y": argument}}}
    schema = {"type": "object", "properties": {**{f"arg_{at}": argument for at in range(8)}, "places": places}}
    words = {"description": "Does one thing with the files of a project.", "parameters": schema}
    return [{"type": "function", "name": f"tool_{at}", **words} for at in range(count)]


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choice(_WORDS) for _ in range(words))


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@contextmanager
def _gateway(folder: Path) -> Iterator[tuple[int, "memoryview[float]"]]:
    """The gateway before a provider that speaks all dialects: its port, and the figures of its loop."""
    upstream_port, port = free_port(), free_port()
    threading.Thread(target=lambda: asyncio.run(_provide(upstream_port)), daemon=True).start()
    config, file = folder / "trunkline.toml", folder / "figures"
    file.write_bytes(bytes(FIGURES_BYTES))
    config.write_text("".join(_ENDPOINT.format(dialect=dialect, port=upstream_port) for dialect in _SAID))
    environment = {**os.environ, "MOCK_KEY": "bench", "TRUNKLINE_BOOTSTRAP_KEY": _KEY, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench.beating", str(file), "serve", "--config", str(config), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _await_start(port, folder / "log")
        yield port, figures(file)
    finally:
        stop(process)


def _await_start(port: int, log: Path) -> None:
    body = _dump({"model": "mock/chat", "input": "Hi"})
    for _ in range(100):
        time.sleep(0.1)
        try:
            if _post(port, body) == 200:
                return
        except OSError:
            continue
    raise SystemExit(f"The gateway does not answer.\n{log.read_text()[-2000:]}")


async def _provide(port: int) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", port, limit=1 << 20)
    await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            head = (await reader.readuntil(END_OF_HEAD)).lower()
            await reader.readexactly(content_length(head) or 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        path = head.partition(b"\r\n")[0]
        body = next(_SAID[dialect] for end, dialect in _PATHS.items() if end in path)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body))
        writer.write(body)
    writer.close()


if __name__ == "__main__":
    main()
