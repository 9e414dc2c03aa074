"""Searches and citations in the Messages API: which are told, with which pages, and when."""

from __future__ import annotations

import pytest

from tests.faces.messages.grammar import Json
from tests.faces.messages.told import whole
from trunkline.protocol.items import FileCitation, OpenPageAction, UrlCitation
from trunkline.stream.deltas import Citation, Delta, Found, Search, Stopped, Text

PAGE = UrlCitation("https://a.example", "A", 0, 4)
OTHER_PAGE = UrlCitation("https://b.example", "B", 5, 9)
STOP = Stopped("stop")


def searches(*deltas: Delta) -> Json:
    """The content of an answer to a client that offered a search."""
    return whole(*deltas, STOP, searches=True)["content"]


def result(tool_use_id: str, *pages: tuple[str, str, str, str | None]) -> Json:
    names = ("url", "title", "encrypted_content", "page_age")
    content = [{"type": "web_search_result", **dict(zip(names, page, strict=True))} for page in pages]
    return {"type": "web_search_tool_result", "tool_use_id": tool_use_id, "content": content}


def call(search_id: str, query: str) -> Json:
    return {"type": "server_tool_use", "id": search_id, "name": "web_search", "input": {"query": query}}


def test_a_search_is_told_with_its_pages_once_it_has_ended() -> None:
    found = (Found("https://a.example", "A", "2 days", "sealed"), Found("https://b.example"))
    content = searches(
        Search("srvtoolu_9", "web", "in_progress"),
        Search("srvtoolu_9", "web", "searching", ("rain",)),
        Search("srvtoolu_9", "web", "completed", results=found),
        Search("srvtoolu_9", "web", "completed", results=found),
        Text(0, "It rains."),
    )
    pages = [("https://a.example", "A", "sealed", "2 days"), ("https://b.example", "https://b.example", "", None)]
    assert content == [call("srvtoolu_9", "rain"), result("srvtoolu_9", *pages), {"type": "text", "text": "It rains."}]


def test_a_search_without_pages_waits_for_those_that_are_cited() -> None:
    deltas: list[Delta] = [
        Search(3, "web", "completed", query="rain"),
        Text(0, "It rains."),
        Citation(0, PAGE),
        Citation(0, OTHER_PAGE),
    ]
    pages = [("https://a.example", "A", "", None), ("https://b.example", "B", "", None)]
    assert searches(*deltas)[1:] == [call("srvtoolu_000000", "rain"), result("srvtoolu_000000", *pages)]


def test_pages_that_are_cited_without_a_search_are_told_as_one() -> None:
    content = searches(Text(0, "It rains."), Citation(0, PAGE))
    assert content[1:] == [call("srvtoolu_000000", ""), result("srvtoolu_000000", ("https://a.example", "A", "", None))]


def test_a_search_that_failed_says_so() -> None:
    told = searches(Search(0, "web", "failed", ("rain",)))[1]
    assert told["content"] == {"type": "web_search_tool_result_error", "error_code": "unavailable"}


@pytest.mark.parametrize(
    "search",
    [
        Search(0, "file", "completed", ("rain",), sources=("https://a.example",)),
        Search(0, "web", "completed", sources=("https://a.example",), visit=OpenPageAction("https://a.example")),
    ],
    ids=["of files", "that opened a page"],
)
def test_no_search_of_the_web_is_told_of_one(search: Search) -> None:
    assert searches(search) == []


def test_a_client_that_offered_no_search_hears_of_none() -> None:
    deltas: list[Delta] = [
        Search(0, "web", "completed", ("rain",), sources=("https://a.example",)),
        Text(0, "a"),
        Citation(0, PAGE),
    ]
    assert [block["type"] for block in whole(*deltas, STOP)["content"]] == ["text"]


def test_citations_name_their_source() -> None:
    (block,) = whole(Text(0, "a"), Citation(0, PAGE), Citation(0, FileCitation("file_1", "a.txt", 2)), STOP)["content"]
    page, file = block["citations"]
    assert (page["type"], page["url"], page["title"]) == ("web_search_result_location", "https://a.example", "A")
    assert (file["type"], file["document_index"], file["document_title"]) == ("char_location", 2, "a.txt")
