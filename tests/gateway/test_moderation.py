"""Moderation through the running gateway: what is flagged reaches nobody, and nothing goes on unjudged by itself."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openrouter import OpenRouter

from tests.document import validate_event
from tests.gateway.checks import error_of, events_of, response_of, text_of
from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, Reply, post, running
from tests.gateway.speech import SPEECHES
from tests.gateway.tenants import Store, Tenant
from tests.gateway.test_healing import ENDS, whole_answer
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, stream, usage_chunk, whole
from tests.gateway.waiting import eventually
from tests.upstream.documents.making import simple_pdf
from trunkline.store.statements.templates import add_template

Json = Any

DIALECTS = ("chat", "messages")
WAYS = [(dialect, streams) for dialect in ("chat", "messages", "fake") for streams in (True, False)]
PLUGIN = [{"id": "moderation"}]
PASSED = {"flagged": False, "categories": {"violence": False, "hate": False}}
FLAGGED = {"flagged": True, "categories": {"violence": True, "hate": True, "sexual": False}}
OPENAI = """
[moderation.openai]
kind = "openai"
base_url = "{url}/mod/v1"
api_key = {{ env = "MOD_KEY" }}
timeout = "1500 ms"
"""
WORDS = """
[moderation.list]
kind = "words"
words = ["gelignite", "how to pick a lock"]
patterns = ["(?i)recipe no\\\\. \\\\d{{3}}"]
[plugins]
defaults = ["moderation"]
[plugins.moderation]
output = true
[search.exa]
kind = "exa"
base_url = "{url}/exa"
api_key = {{ env = "MOD_KEY" }}
"""
JUDGE = """
[moderation.guard]
kind = "judge"
model = "mock/guard"
[plugins.moderation]
output = true
"""
_numbers = itertools.count()


def config(url: str, more: str = "") -> str:
    rows = "".join(
        PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{url}/{dialect[0]}/v1")
        + ENDPOINT.format(provider=f"mock-{dialect}", model=f"mock/{dialect}")
        for dialect in DIALECTS
    )
    rows += PROVIDER.format(name="mock-guard", dialect="chat", url=f"{url}/guard/v1")
    return CONFIG + rows + ENDPOINT.format(provider="mock-guard", model="mock/guard") + more


def started(upstream: Upstream, factory: pytest.TempPathFactory, more: str) -> Any:
    text = config(upstream.url, more)
    return running(factory.mktemp("moderation"), text, MOCK_KEY=PROVIDER_KEY, MOD_KEY=PROVIDER_KEY)


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with started(upstream, tmp_path_factory, OPENAI.format(url=upstream.url)) as gateway:
        yield gateway
    assert "nonce-" not in gateway.log.read_text(), "a prompt is in the log"


@pytest.fixture(scope="module")
def lenient(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that judges answers as well, and goes on where nobody does."""
    more = '[plugins.moderation]\noutput = true\non_failure = "pass"\n'
    with started(upstream, tmp_path_factory, OPENAI.format(url=upstream.url) + more) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def listed(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a list of words that looks through each request and each answer."""
    with started(upstream, tmp_path_factory, WORDS.format(url=upstream.url)) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def judged(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway where a model judges, requests and answers."""
    with started(upstream, tmp_path_factory, JUDGE) as gateway:
        yield gateway


@pytest.fixture
def mark() -> str:
    return f"nonce-moderation-{next(_numbers)}"


def tenant_of(gateway: Gateway, credit: int | None = None, **terms: Json) -> Tenant:
    store = Store(gateway, gateway.log.with_name("trunkline.db"))
    return store.tenant(credit, **({"terms": json.dumps(terms)} if terms else {}))


def body(mark: str, dialect: str = "chat", **more: Json) -> Json:
    model = "fake/echo" if dialect == "fake" else f"mock/{dialect}"
    return {"model": model, "input": f"Say a word, {mark}", "plugins": PLUGIN, **more}


def verdicts(*results: Json) -> Script:
    return whole({"id": "modr-1", "model": "omni-moderation-latest", "results": list(results)})


def noted(tenant: Tenant, reply: Reply) -> Json:
    return json.loads(tenant.record(reply)["plugins"])["moderation"]


def asked(upstream: Upstream, mark: str) -> list[str]:
    """The paths that were asked for but the moderator's."""
    return [seen.path for seen in upstream.seen(mark) if not seen.path.startswith("/mod/")]


def pdf(words: str) -> Json:
    data = base64.b64encode(simple_pdf(words)).decode()
    return {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{data}"}


# The request


@pytest.mark.parametrize("place", ["what a user sends", "what a tool gives back"])
def test_what_a_file_says_is_judged_once_it_was_read(
    place: str, listed: Gateway, upstream: Upstream, mark: str
) -> None:
    def asking(words: str) -> Json:
        said: Json = {"role": "user", "content": [{"type": "input_text", "text": mark}, pdf(words)]}
        if place == "what a user sends":
            return {"model": "mock/chat", "input": [said]}
        called = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "c", "output": [pdf(words)]}
        return {"model": "mock/chat", "input": [{"role": "user", "content": mark}, called, output]}

    error = error_of(listed.call(asking("Mix the gelignite with care.")), 403)
    assert error["metadata"]["reasons"] == ["words"]
    assert "gelignite" in error["metadata"]["flagged_input"]
    assert not upstream.seen(mark)
    tenant = tenant_of(listed)
    upstream.play(mark, whole(completion("Cake.")))
    reply = tenant.call(asking("Mix the flour with care."))
    assert response_of(reply)["output_text"] == "Cake."
    note = noted(tenant, reply)
    assert (note["result"], note["files"]["result"], note["unchecked_media"]) == ("passed", "passed", 0)
    assert note["files"]["checked_bytes"] > 0


@pytest.mark.parametrize(("dialect", "streams"), WAYS)
def test_what_is_flagged_is_a_403_and_reaches_no_provider(
    dialect: str, streams: bool, house: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, verdicts(FLAGGED), host="mod")
    tenant = tenant_of(house, 10**9)
    reply = tenant.call(body(mark, dialect, stream=streams))
    error = error_of(reply, 403)
    assert error["metadata"] == {
        "error_type": "content_policy_violation",
        "reasons": ["hate", "violence"],
        "flagged_input": f"Say a word, {mark}",
        "provider_name": "openai",
        "model_slug": "fake/echo" if dialect == "fake" else f"mock/{dialect}",
    }
    assert asked(upstream, mark) == []
    assert tenant.settled().charged == 0
    eventually(lambda: tenant.key_id in house.log.read_text(), "no line says that it was flagged")
    (line,) = [line for line in house.log.read_text().splitlines() if tenant.key_id in line]
    told = json.loads(line)
    assert (told["event"], told["reasons"], told["where"]) == ("request.flagged", "hate,violence", "input")
    assert told["request"].removeprefix("resp_") == reply.headers["x-request-id"].removeprefix("req_")


@pytest.mark.parametrize(("dialect", "streams"), WAYS)
def test_what_is_not_flagged_is_answered_and_the_record_says_what_was_judged(
    dialect: str, streams: bool, house: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, verdicts(PASSED, PASSED), host="mod")
    if dialect != "fake" and streams:
        upstream.play(mark, SPEECHES[dialect].script(["Well."], rest=ENDS[dialect]["stop"]), host=dialect[0])
    elif dialect != "fake":
        upstream.play(mark, whole_answer(dialect, "Well."), host=dialect[0])
    tenant = tenant_of(house)
    reply = tenant.call(body(mark, dialect, stream=streams, instructions="Be brief."))
    response = events_of(reply)[-1]["response"] if streams else response_of(reply)
    assert response["output_text"]
    (seen,) = upstream.seen(mark, "mod")
    assert (seen.path, seen.headers["authorization"]) == ("/mod/v1/moderations", f"Bearer {PROVIDER_KEY}")
    assert seen.json == {"model": "omni-moderation-latest", "input": [f"Say a word, {mark}", "Be brief."]}
    note = noted(tenant, reply)
    latency = tenant.data(f"generation?id={reply.headers['x-generation-id']}")["moderation_latency"]
    assert note.pop("ms") == latency >= 0
    size = len(f"Say a word, {mark}Be brief.")
    assert note == {"engine": "openai", "result": "passed", "checked_bytes": size, "unchecked_bytes": 0}


def test_a_request_that_asks_for_none_is_judged_by_nobody(house: Gateway, upstream: Upstream, mark: str) -> None:
    reply = tenant_of(house).call(body(mark, plugins=[]))
    assert response_of(reply)["output_text"] == "Hello."
    assert upstream.seen(mark, "mod") == []


def test_pictures_are_judged_each_with_its_text(house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, verdicts(PASSED), host="mod")
    pictures = [f"data:image/png;base64,iVBORw0KGgo{last}" for last in ("=", "AAAA=")]
    parts = [{"type": "input_image", "image_url": url, "detail": "auto"} for url in pictures]
    given = [{"role": "user", "content": [{"type": "input_text", "text": mark}, *parts]}]
    reply = tenant_of(house).call(body(mark, input=given))
    response_of(reply)
    asked = sorted((json.dumps(seen.json["input"]) for seen in upstream.seen(mark, "mod")), key=len)
    shown = [[{"type": "text", "text": mark}, {"type": "image_url", "image_url": {"url": url}}] for url in pictures]
    assert asked == [json.dumps(each) for each in ([mark], shown[0], shown[1])]


DOWN: dict[str, Script] = {
    "it fails": whole({"error": "oops"}, 500),
    "it refuses our key": whole({"error": f"wrong key {PROVIDER_KEY}"}, 401),
    "it is gone": Script([], "reset"),
    "it is silent": Script([], "stall"),
    "it is silent after its head": Script([head()], "stall"),
    "half an answer": Script([head(200, content_length="500"), b'{"results": [{"flagged": false'], "reset"),
    "half an answer that ends well": Script([head(), b'{"results": [{"flagged": false']),
    "no JSON": whole(b"<html>Log in</html>"),
    "no result": whole({"results": []}),
    "two results": verdicts(PASSED, PASSED),
    "a result that is none": verdicts({}),
    "a result that says neither": verdicts({"flagged": "no"}),
    "a chat completion": whole(completion()),
    "a redirect": whole({}, 302, location="http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("down", DOWN)
def test_where_nobody_judges_nothing_goes_on(down: str, house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, DOWN[down], host="mod")
    reply = tenant_of(house).call(body(mark))
    error = error_of(reply, 503)
    assert error["message"].startswith("The moderator did not answer")
    assert asked(upstream, mark) == []


@pytest.mark.parametrize("down", ["it fails", "it is gone", "no JSON"])
def test_with_pass_it_goes_on_unjudged_and_the_record_says_so(
    down: str, lenient: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, DOWN[down], host="mod")
    tenant = tenant_of(lenient)
    reply = tenant.call(body(mark))
    assert response_of(reply)["output_text"] == "Hello."
    note = noted(tenant, reply)
    assert note["result"] == "unjudged"
    assert note["problem"]


KEYS: list[tuple[str, Json, Json, Json, str, int]] = [
    # the key's term, its account's, the plugins of the request, what the moderator does, how it ends
    ("a key that passes", "pass", None, PLUGIN, "it fails", 200),
    ("a key that passes in an account that blocks", "pass", "block", PLUGIN, "it fails", 503),
    ("a key that is always judged", "always", None, [], "flagged", 403),
    ("an account that is always judged", None, "always", [], "flagged", 403),
    ("a key that is always judged is blocked where nobody judges", "always", "pass", [], "it fails", 503),
    ("a key that is always judged and lists another plugin", "always", None, [{"id": "web", "enabled": False}],
     "flagged", 403),
    ("a key with a word for failures alone", "block", None, [], "flagged", 200),
]  # fmt: skip


@pytest.mark.parametrize(("id", "own", "of_account", "plugins", "does", "status"), KEYS, ids=[each[0] for each in KEYS])
def test_a_key_has_its_own_word(
    id: str,
    own: Json,
    of_account: Json,
    plugins: Json,
    does: str,
    status: int,
    house: Gateway,
    upstream: Upstream,
    mark: str,
) -> None:
    upstream.play(mark, verdicts(FLAGGED) if does == "flagged" else DOWN[does], host="mod")
    tenant = tenant_of(house, **({} if own is None else {"moderation": own}))
    if of_account is not None:
        with tenant.store.opened() as connection:
            terms = json.dumps({"moderation": of_account})
            connection.execute("UPDATE accounts SET terms = ? WHERE id = ?", (terms, tenant.account_id))
    reply = tenant.call(body(mark, plugins=plugins))
    assert reply.status == status, reply.body
    assert len(asked(upstream, mark)) == (status == 200)


def test_who_asks_for_what_is_not_configured_is_told_so(gateway: Gateway, upstream: Upstream, mark: str) -> None:
    error = error_of(gateway.call(body(mark)), 400)
    assert "[moderation.NAME]" in error["message"]
    assert error["metadata"]["param"] == "plugins"
    always = tenant_of(gateway, moderation="always")
    assert "no moderator is configured" in error_of(always.call(body(mark, plugins=[])), 503)["message"]
    assert upstream.seen(mark) == []


def test_an_explanation_says_who_would_judge_and_asks_nobody(house: Gateway, upstream: Upstream, mark: str) -> None:
    told = house.call(body(mark), path="/api/v1/responses/explain").json
    assert told["error"] is None
    assert told["plugins"]["moderation"] == {"engine": "openai", "result": "would run", "output": False}
    assert upstream.seen(mark) == []


@pytest.mark.parametrize("dialect", [*DIALECTS, "fake"])
def test_libraries_show_what_was_flagged(dialect: str, house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, verdicts(FLAGGED), host="mod")
    given: Json = {"model": body(mark, dialect)["model"], "input": f"Say a word, {mark}"}
    with (
        OpenAI(base_url=house.url + "/api/v1", api_key=KEY, max_retries=0) as sdk,
        OpenRouter(api_key=KEY, server_url=house.url + "/api/v1") as client,
    ):
        for streams in (False, True):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                sdk.responses.create(**given, stream=streams, extra_body={"plugins": PLUGIN})
            assert refused.value.body["metadata"]["reasons"] == ["hate", "violence"]
            with pytest.raises(Exception) as raised:
                client.beta.responses.send(**given, stream=streams, plugins=PLUGIN, retries=None)
            assert raised.value.status_code == 403  # type: ignore[attr-defined]
    assert asked(upstream, mark) == []
    assert len(upstream.seen(mark, "mod")) == 4


@pytest.mark.parametrize("dialect", [*DIALECTS, "fake"])
def test_libraries_read_what_was_not_flagged(dialect: str, house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, verdicts(PASSED), host="mod")
    if dialect != "fake":
        spoken = SPEECHES[dialect].script(["Well."], rest=ENDS[dialect]["stop"])
        upstream.play(
            mark, whole_answer(dialect, "Well."), spoken, whole_answer(dialect, "Well."), spoken, host=dialect[0]
        )
    given: Json = {"model": body(mark, dialect)["model"], "input": f"Say a word, {mark}"}
    with (
        OpenAI(base_url=house.url + "/api/v1", api_key=KEY, max_retries=0) as sdk,
        OpenRouter(api_key=KEY, server_url=house.url + "/api/v1") as client,
    ):
        said: list[Json] = [sdk.responses.create(**given, extra_body={"plugins": PLUGIN})]
        events: list[Json] = list(sdk.responses.create(**given, stream=True, extra_body={"plugins": PLUGIN}))
        said += [events[-1].response, client.beta.responses.send(**given, plugins=PLUGIN)]
        with client.beta.responses.send(**given, stream=True, plugins=PLUGIN) as told:
            said.append(list(told)[-1].response)
    assert [each.output[-1].content[0].text for each in said] == [said[0].output_text] * 4
    assert len(upstream.seen(mark, "mod")) == 4


# Lists of words


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("Where is GELIGNITE sold?", ["words"]),
        ("ｇｅｌｉｇｎｉｔｅ", ["words"]),
        ("geli\u200bgnite", ["words"]),
        ("how to\n pick  a LOCK", ["words"]),
        ("Recipe no. 123", ["patterns"]),
        ("gelignite by RECIPE NO. 456", ["patterns", "words"]),
    ],
)
def test_words_and_patterns_are_found_however_they_are_written(
    text: str, reasons: list[str], listed: Gateway, upstream: Upstream, mark: str
) -> None:
    error = error_of(listed.call(body(mark, input=f"{text} {mark}", plugins=[])), 403)
    assert error["metadata"]["reasons"] == reasons
    assert upstream.seen(mark) == []


def test_what_a_tool_gave_back_is_judged_too(listed: Gateway, upstream: Upstream, mark: str) -> None:
    given = [
        {"role": "user", "content": f"Look, {mark}"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}", "id": "f1"},
        {"type": "function_call_output", "call_id": "c1", "output": "Three sticks of gelignite."},
    ]
    error = error_of(listed.call(body(mark, input=given, plugins=[])), 403)
    assert error["metadata"]["flagged_input"] == "Three sticks of gelignite."


def test_what_a_template_was_filled_with_is_judged(listed: Gateway, upstream: Upstream, mark: str) -> None:
    tenant = tenant_of(listed)
    with tenant.store.opened() as connection:
        template = {"input": "How is {{what}} made?", "variables": {"what": {}}}
        add_template(connection, mark, json.dumps(template), 1)
    asked = {"model": "mock/chat", "prompt": {"id": mark, "variables": {"what": "gelignite"}}}
    assert error_of(tenant.call(asked), 403)["metadata"]["flagged_input"] == "How is gelignite made?"
    asked["prompt"] = {"id": mark, "variables": {"what": "butter"}}
    reply = tenant.call(asked)
    response_of(reply)
    assert set(json.loads(tenant.record(reply)["plugins"])) >= {"template", "moderation"}


def test_the_page_shows_what_a_client_is_told(listed: Gateway) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "moderation.md").read_text("utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    settings = WORDS.format(url="").partition("[plugins]")[0].strip().splitlines()
    assert all(line in page for line in settings)
    asked = {"model": "fake/echo", "input": "Where is GELIGNITE sold?"}
    assert listed.call(asked).json == json.loads(shown)


# The answer

LONG = [f"Sentence {number} is about nothing at all. " for number in range(150)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_that_is_flagged_ends_as_filtered(
    dialect: str, listed: Gateway, upstream: Upstream, mark: str
) -> None:
    pieces = [*LONG, "Now gelignite. ", *LONG]
    upstream.play(mark, SPEECHES[dialect].script(pieces, pause_s=0.002, rest=ENDS[dialect]["stop"]))
    tenant = tenant_of(listed, 10**12)
    reply = tenant.call(body(mark, dialect, stream=True))
    events = events_of(reply, "incomplete")
    for event in events:
        validate_event(event)
    response = events[-1]["response"]
    assert response["incomplete_details"] == {"reason": "content_filter"}
    assert len(text_of(events)) < len("".join(pieces))
    assert response["usage"]["cost"] > 0
    assert tenant.settled().charged > 0
    note = noted(tenant, reply)["output"]
    assert (note["result"], note["reasons"]) == ("flagged", ["words"])
    assert note["checks"] > 1


def test_a_verdict_ends_a_stream_that_is_silent_and_its_provider_is_left(
    listed: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, SPEECHES["chat"].script(["Now gelignite. ", *LONG], ending="stall"))
    reply = listed.call(body(mark, stream=True))
    assert events_of(reply, "incomplete")[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}
    (seen,) = upstream.seen(mark)
    assert seen.is_closed_by_client.wait(5)


def test_a_stream_waits_for_no_verdict_but_at_its_end(lenient: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, verdicts(PASSED), DOWN["it is silent"], host="mod")
    upstream.play(mark, SPEECHES["chat"].script([mark, *LONG], rest=ENDS["chat"]["stop"]), host="c")
    with lenient.connect() as client:
        client.send(post(body(mark, stream=True), "connection: close"))
        assert b"response.completed" not in client.read_until(b"Sentence 149")
        eventually(lambda: len(upstream.seen(mark, "mod")) > 1, "the answer is judged by nobody")
        assert b"response.completed" in client.read_to_end()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streams", [True, False])
def test_a_short_answer_is_judged_at_its_end(
    streams: bool, dialect: str, listed: Gateway, upstream: Upstream, mark: str
) -> None:
    script = whole_answer(dialect, "Use gelignite.")
    if streams:
        script = SPEECHES[dialect].script(["Use ", "gelignite."], rest=ENDS[dialect]["stop"])
    upstream.play(mark, script)
    tenant = tenant_of(listed, 10**12)
    reply = tenant.call(body(mark, dialect, stream=streams))
    response = events_of(reply, "incomplete")[-1]["response"] if streams else response_of(reply, "incomplete")
    assert response["incomplete_details"] == {"reason": "content_filter"}
    assert ("gelignite" in json.dumps(response)) == streams
    assert response["usage"]["output_tokens"] == 9
    assert tenant.settled().charged > 0


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("dialect", ["chat", "messages", "fake"])
def test_an_answer_that_is_not_flagged_is_told_word_for_word(
    dialect: str, streams: bool, listed: Gateway, upstream: Upstream, mark: str
) -> None:
    script = whole_answer(dialect, "".join(LONG)) if dialect != "fake" else None
    if streams and dialect != "fake":
        script = SPEECHES[dialect].script(LONG, rest=ENDS[dialect]["stop"])
    if script is not None:
        upstream.play(mark, script)
    tenant = tenant_of(listed)
    reply = tenant.call(body(mark, dialect, stream=streams, plugins=[]))
    response = events_of(reply)[-1]["response"] if streams else response_of(reply)
    assert response["output_text"] == "".join(LONG) if script is not None else mark in response["output_text"]
    assert noted(tenant, reply)["output"]["result"] == "passed"


def test_the_arguments_of_calls_are_judged(listed: Gateway, upstream: Upstream, mark: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "write", "arguments": '{"text": "gelignite"}'}}
    upstream.play(mark, whole(completion(None, "tool_calls", tool_calls=[call])))
    tools = [{"type": "function", "name": "write", "parameters": {"type": "object"}}]
    response = response_of(listed.call(body(mark, tools=tools)), "incomplete")
    assert response["output"] == []


def test_a_healed_answer_is_judged_as_it_is_told(listed: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, SPEECHES["chat"].script(["```json\n{'use': 'geli", "gnite'}\n```"], rest=ENDS["chat"]["stop"]))
    tenant = tenant_of(listed)
    format = {"format": {"type": "json_object"}}
    reply = tenant.call(body(mark, stream=True, text=format, plugins=[{"id": "response-healing"}]))
    assert text_of(events_of(reply, "incomplete")) == '{"use": "gelignite"}'
    noted_all = json.loads(tenant.record(reply)["plugins"])
    assert set(noted_all) == {"healing", "moderation"}


@pytest.mark.parametrize("streams", [True, False])
def test_all_turns_of_an_answer_with_a_search_are_judged(
    streams: bool, listed: Gateway, upstream: Upstream, mark: str
) -> None:
    function = {"name": "web_search", "arguments": json.dumps({"query": mark})}
    call = [{"index": 0, "id": "call_0", "type": "function", "function": function}]
    turns = [whole(completion("Let me look.", "tool_calls", tool_calls=call)), whole(completion("Use gelignite."))]
    if streams:
        said = [chunk("Let me look."), chunk(tool_calls=call), chunk(finish="tool_calls"), usage_chunk(), "[DONE]"]
        turns = [stream(said), SPEECHES["chat"].script(["Use ", "gelignite."], rest=ENDS["chat"]["stop"])]
    upstream.play(mark, *turns, host="c")
    upstream.play(mark, whole({"results": []}), host="exa")
    tenant = tenant_of(listed, 10**12)
    reply = tenant.call(body(mark, stream=streams, tools=[{"type": "web_search"}]))
    response = events_of(reply, "incomplete")[-1]["response"] if streams else response_of(reply, "incomplete")
    assert response["incomplete_details"] == {"reason": "content_filter"}
    assert ("gelignite" in json.dumps(response)) == streams
    assert set(json.loads(tenant.record(reply)["plugins"])) >= {"web", "moderation"}
    tenant.store.check()


def test_a_client_that_leaves_pays_for_what_was_said(listed: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, SPEECHES["chat"].script(LONG, ending="stall"))
    tenant = tenant_of(listed, 10**12)
    with listed.connect() as client:
        client.send(post(body(mark, stream=True), key=tenant.text))
        client.read_until(b"Sentence 149")
        client.reset()
    assert tenant.settled().charged > 0
    tenant.store.check()


def test_an_answer_that_breaks_off_is_judged_before_it_is_told(listed: Gateway, upstream: Upstream, mark: str) -> None:
    broken = Script([head(200, "text/event-stream"), SPEECHES["chat"].said(["Use gelignite."])], "reset")
    upstream.play(mark, broken)
    reply = listed.call(body(mark))
    assert b"gelignite" not in reply.body


def test_the_beginning_of_a_very_long_answer_is_judged_too(listed: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole_answer("chat", "Use gelignite. " + "And so on. " * 10_000))
    response = response_of(listed.call(body(mark)), "incomplete")
    assert response["incomplete_details"] == {"reason": "content_filter"}
    assert "gelignite" not in json.dumps(response)


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_that_nobody_judges_is_told_where_that_may_be(
    streams: bool, lenient: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, verdicts(PASSED), DOWN["it fails"], host="mod")
    script = whole_answer("chat", f"Well, {mark}.")
    upstream.play(
        mark,
        SPEECHES["chat"].script([f"Well, {mark}."], rest=ENDS["chat"]["stop"]) if streams else script,
        host="c",
    )
    tenant = tenant_of(lenient)
    reply = tenant.call(body(mark, stream=streams))
    response = events_of(reply)[-1]["response"] if streams else response_of(reply)
    assert response["output_text"] == f"Well, {mark}."
    assert noted(tenant, reply)["output"]["result"] == "unjudged"


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_that_nobody_judges_fails_where_it_must_not_be(
    streams: bool, lenient: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, verdicts(PASSED), DOWN["it fails"], host="mod")
    script = whole_answer("chat", f"Well, {mark}.")
    upstream.play(
        mark,
        SPEECHES["chat"].script([f"Well, {mark}."], rest=ENDS["chat"]["stop"]) if streams else script,
        host="c",
    )
    reply = tenant_of(lenient, moderation="block").call(body(mark, stream=streams))
    if streams:
        assert events_of(reply, "failed")[-1]["response"]["error"]
    else:
        error_of(reply, 503)


# A model that judges


def judgment(said: str) -> Script:
    return whole(completion(said))


@pytest.mark.parametrize("streams", [True, False])
def test_a_model_judges_on_a_record_of_its_own(streams: bool, judged: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, judgment("safe"), host="guard")
    said = SPEECHES["chat"].script([mark], rest=ENDS["chat"]["stop"]) if streams else whole(completion(mark))
    upstream.play(mark, said, host="c")
    tenant = tenant_of(judged, 10**12, models=["mock/chat"], rpm=1, concurrency=1)
    reply = tenant.call(body(mark, stream=streams))
    response = events_of(reply)[-1]["response"] if streams else response_of(reply)
    assert response["output_text"] == mark
    note = noted(tenant, reply)
    rows = tenant.store.rows(
        "SELECT id, cost_nano FROM generations WHERE account_id = ? ORDER BY created_at_ms", tenant.account_id
    )
    assert {note["record"], note["output"]["record"], reply.headers["x-generation-id"]} == {id for id, _ in rows}
    assert tenant.settled().charged == sum(cost for _, cost in rows) > 0
    asked = upstream.seen(mark, "guard")[0].json
    assert asked["messages"][-1] == {"role": "user", "content": f"Say a word, {mark}"}
    assert asked["messages"][0]["content"].startswith("You moderate texts")
    tenant.store.check()


def test_what_a_model_says_is_unsafe_is_a_403_and_paid_for(judged: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, judgment("\n\nunsafe\nS10,S1"), host="guard")
    tenant = tenant_of(judged, 10**12)
    error = error_of(tenant.call(body(mark)), 403)
    assert error["metadata"]["reasons"] == ["S1", "S10"]
    assert error["metadata"]["provider_name"] == "guard"
    assert upstream.seen(mark, "c/") == []
    assert tenant.settled().charged > 0
    tenant.store.check()


@pytest.mark.parametrize("said", ["I cannot judge that.", "", "safe, or unsafe? I cannot say"])
def test_a_model_that_does_not_judge_is_as_good_as_down(
    said: str, judged: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, judgment(said), host="guard")
    error_of(tenant_of(judged).call(body(mark)), 503)
    assert upstream.seen(mark, "c/") == []


def test_a_judge_is_asked_of_no_provider_that_a_request_forbids(judged: Gateway, upstream: Upstream, mark: str) -> None:
    error_of(judged.call(body(mark, provider={"ignore": ["mock-guard"]})), 503)
    assert upstream.seen(mark) == []


def test_a_credit_that_does_not_pay_for_the_judge_is_a_402(judged: Gateway, upstream: Upstream, mark: str) -> None:
    error_of(tenant_of(judged, 1_000).call(body(mark)), 402)
    assert upstream.seen(mark) == []
