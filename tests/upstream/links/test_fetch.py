"""Links that clients give, by the fault ids of the catalogue: what is refused, bounded, and never connected to.

"Public" is 127.0.0.1 here and nothing else; a tripwire on 127.0.0.2 must never be touched.
"""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.upstream.loopback import Asked, Loopback, Say, answer, saying, serving
from trunkline.adapters.encoding.links import Noun, Wanted
from trunkline.adapters.media import inline
from trunkline.errors import BadRequest, ClientError, PayloadTooLarge
from trunkline.protocol.addresses import is_public, read_link
from trunkline.upstream.links.client import LinkClient
from trunkline.upstream.links.fetch import Fetched, Fetcher, Limits, Resolve
from trunkline.upstream.names import Names
from trunkline.upstream.shares import Claim
from trunkline.upstream.transport import UpstreamFailure

T = TypeVar("T")

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00" + b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00" + b";"
JPEG = b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00" + b"\x00" * 40 + b"\xff\xd9"
LIMITS = Limits(max_bytes=100_000, max_total_bytes=150_000, deadline_s=5.0)


def only_loopback(address: str) -> bool:
    return address == "127.0.0.1"


def names(**told: str | Sequence[str]) -> Resolve:
    """A resolver of these host names with dots for underscores; a list is answered one after the other."""
    left = {name.replace("_", "."): [at] if isinstance(at, str) else list(at) for name, at in told.items()}

    async def resolve(host: str, claim: Claim) -> Sequence[str]:
        if host not in left:
            raise OSError("no such host")
        return [left[host].pop(0) if len(left[host]) > 1 else left[host][0]]

    return resolve


@asynccontextmanager
async def fetching(
    limits: Limits = LIMITS, resolve: Resolve | None = None, is_allowed: Callable[[str], bool] = only_loopback
) -> AsyncIterator[Fetcher]:
    client = LinkClient(connect_s=2.0)
    client.open()
    try:
        yield Fetcher(client, limits, resolve or names(), is_allowed=is_allowed)
    finally:
        await client.close()


def run(work: Awaitable[T]) -> T:
    async def play() -> T:
        return await work

    return asyncio.run(play())


def later(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def until(claim: Callable[[], bool]) -> None:
    """Wait for a claim to come true."""
    for _ in range(500):
        if claim():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


def fetched(
    say: Say,
    path: str = "/p.png",
    *,
    noun: Noun = "image",
    limits: Limits = LIMITS,
    resolve: Resolve | None = None,
    host: str = "127.0.0.1",
) -> tuple[Fetched | ClientError, Loopback]:
    """Fetch one link from a server, and what became of it."""

    async def play() -> tuple[Fetched | ClientError, Loopback]:
        async with serving(say) as server, fetching(limits, resolve) as fetcher:
            try:
                return (await fetcher.fetch([Wanted(server.url(path, host), noun, "input[0]")], later()))[0], server
            except ClientError as error:
                return error, server

    return run(play())


def refusal(url: str, *, noun: Noun = "image", resolve: Resolve | None = None) -> ClientError:
    """Ask for a link that must be refused by the rule of the real world, without a connection."""

    async def play() -> ClientError:
        async with fetching(resolve=resolve, is_allowed=is_public) as fetcher:
            with pytest.raises(ClientError) as caught:
                await fetcher.fetch([Wanted(url, noun, "input[0].content[1]")], later())
            return caught.value

    return run(play())


def picture(body: bytes, media_type: str = "image/png") -> Say:
    return saying(answer(body, media_type))


def test_a_picture_is_fetched_with_the_type_of_its_bytes() -> None:
    found, server = fetched(picture(PIXEL, "application/octet-stream"), "/a%20b.png?x=1&y=é#z")
    assert found == Fetched("image/png", PIXEL)
    assert server.asked[0].target == "/a%20b.png?x=1&y=%C3%A9"


def test_the_order_of_many_links_is_kept() -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(asked.target.encode(), "text/plain"))
        await writer.drain()

    async def play() -> list[bytes]:
        async with serving(say) as server, fetching() as fetcher:
            wanted = [Wanted(server.url(f"/{number}"), "file") for number in range(30)]
            return [each.body for each in await fetcher.fetch(wanted, later())]

    assert run(play()) == [f"/{number}".encode() for number in range(30)]


@pytest.mark.parametrize(
    ("noun", "declared", "path", "body", "media_type"),
    [
        ("file", "application/pdf; x=1", "/f", b"%PDF-1.7 x", "application/pdf"),
        ("file", "text/csv", "/f", b"a,b", "text/csv"),
        ("file", "", "/f.md", b"# a", "text/markdown"),
        ("file", "", "/f", b"?", "application/octet-stream"),
        ("file", "text/plain", "/f", PIXEL, "image/png"),
        ("file", "text/plain,evil", "/f", b"a", "application/octet-stream"),
        ("file", 'a"b/c', "/f", b"a", "application/octet-stream"),
        ("video", "video/mp4", "/v", b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
        ("video", "video/ogg", "/v", b"OggS....", "video/ogg"),
        ("image", "image/gif", "/g", GIF, "image/gif"),
        ("image", "", "/j", JPEG, "image/jpeg"),
    ],
)
def test_the_type_of_a_file_is_found(noun: Noun, declared: str, path: str, body: bytes, media_type: str) -> None:
    found, _ = fetched(picture(body, declared), path, noun=noun)
    assert isinstance(found, Fetched)
    assert found.media_type == media_type
    assert found.data_url.startswith(f"data:{media_type};base64,")


# Addresses


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.9.8.7", "192.168.0.1", "169.254.169.254", "[::1]", "0.0.0.0", "127.0.0.1:8080"]
)
def test_FE_01_a_link_to_a_private_address_is_refused(host: str) -> None:
    error = refusal(f"http://{host}/latest/meta-data/")
    assert (type(error), error.kind) == (BadRequest, "invalid_image_url")
    assert error.metadata["param"] == "input[0].content[1]"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "0x7f000001",
        "127.0.0.1.",
        "1.0x",
    ],
)
def test_FE_02_another_spelling_of_an_address_is_refused(host: str) -> None:
    assert refusal(f"http://{host}/").kind == "invalid_image_url"


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[fe80::1%25lo]", "[::1", "::1"])
def test_FE_03_an_address_inside_another_is_refused(host: str) -> None:
    assert refusal(f"http://{host}/").kind == "invalid_image_url"


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0"])
def test_FE_05_a_name_of_a_private_address_is_refused(address: str) -> None:
    error = refusal("https://metadata.example/", resolve=names(metadata_example=address))
    assert error.kind == "invalid_image_url"
    assert "public" in error.message


def test_FE_05_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def resolve(host: str, claim: Claim) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    assert refusal("https://a.example/", resolve=resolve).kind == "invalid_image_url"


def test_FE_05_that_a_private_name_exists_is_not_told() -> None:
    private = refusal("https://intranet.example/", resolve=names(intranet_example="10.0.0.1"))
    unknown = refusal("https://nowhere.example/", resolve=names())
    assert private.message == unknown.message


def test_FE_05_the_machines_own_name_is_refused() -> None:
    async def resolve(host: str, claim: Claim) -> Sequence[str]:
        return await Names().link(host, claim)

    assert refusal("http://localhost:8080/", resolve=resolve).kind == "invalid_image_url"


def test_FE_06_only_the_address_that_was_checked_is_connected_to() -> None:
    """The name leads elsewhere from the second question on; there is no second question."""
    found, server = fetched(
        picture(PIXEL), host="rebind.example", resolve=names(rebind_example=["127.0.0.1", "127.0.0.2", "127.0.0.2"])
    )
    assert found == Fetched("image/png", PIXEL)
    assert server.asked[0].headers["host"] == f"rebind.example:{server.port}"


def test_FE_06_the_client_connects_nowhere_but_to_the_given_addresses() -> None:
    async def play() -> None:
        async with serving(picture(PIXEL)) as server:
            client = LinkClient()
            client.open()
            for url in (server.url(), server.url(host="localhost")):
                with pytest.raises(UpstreamFailure, match="no connection"):
                    await client.get(url, {}, ["127.0.0.2"])
            await client.close()
            assert server.connections == 0

    run(play())


# Redirects


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://private.example:{port}/",
        "http://good@127.0.0.2:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://127.1/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_FE_08_a_redirect_to_where_a_link_may_not_lead_is_refused(target: str, status: int) -> None:
    async def play() -> tuple[ClientError, int]:
        async with serving(picture(PIXEL)) as tripwire:
            location = target.format(port=tripwire.port)
            say = saying(answer(b"", status=status, location=location))
            resolve = names(private_example="127.0.0.2")
            async with serving(say) as server, fetching(resolve=resolve) as fetcher:
                with pytest.raises(BadRequest) as caught:
                    await fetcher.fetch([Wanted(server.url(), "image")], later())
            return caught.value, tripwire.connections

    error, connections = run(play())
    assert error.kind == "invalid_image_url"
    assert connections == 0


def test_FE_08_a_redirect_to_a_public_place_is_followed() -> None:
    say = saying(answer(b"", status=302, location="../there.png?a=1"), picture_bytes())
    found, server = fetched(say, "/a/b/c")
    assert found == Fetched("image/png", PIXEL)
    assert [asked.target for asked in server.asked] == ["/a/b/c", "/a/there.png?a=1"]


def picture_bytes() -> bytes:
    return answer(PIXEL, "image/png")


@pytest.mark.parametrize("location", ["/again", "", "?"])
def test_FE_09_a_redirect_loop_ends(location: str) -> None:
    found, server = fetched(saying(answer(b"", status=302, location=location)))
    assert isinstance(found, BadRequest)
    assert found.kind == "failed_to_download_image"
    assert server.connections == LIMITS.max_redirects + 1


# Spelling


@pytest.mark.parametrize(
    "url",
    [
        "http://good\\@127.0.0.1/",
        "http://good#@127.0.0.1/",
        "http://good\t.example/",
        "http://good\n.example/",
        "http://127.0.0.1\t@good.example/",
        " http://good.example/",
        "http://good.example/\r\nx: y",
        "http://a%2eb/",
        "http://exa mple/",
        "http://[good.example]/",
        "http://good.example:80:81/",
        "http://good.example:0/",
        "http://good.example:25/",
        "http://good.example:99999/",
        "http://a..b/",
        "http://.a/",
        "http://-/",
        "http:///path",
        "http://",
        "http://" + "a" * 300 + ".example/",
        "https://good.example/" + "a" * 9000,
    ],
)
def test_FE_10_a_link_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    assert refusal(url, resolve=names(good="127.0.0.1")).kind == "invalid_image_url"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://good.example/x",
        "unix:/run/x.sock",
        "jar:http://good.example!/",
        "//good.example/x",
        "good.example/x",
        "/x.png",
        "javascript:alert(1)",
        "",
    ],
)
def test_FE_11_only_http_and_https_are_links(url: str) -> None:
    assert refusal(url).kind == "invalid_image_url"


def test_FE_12_nothing_of_ours_goes_along() -> None:
    say = saying(answer(b"", status=302, location="/next", set_cookie="a=b; Path=/"), picture_bytes())
    _, server = fetched(say)
    for asked in server.asked:
        assert asked.headers.keys() == {"host", "accept", "accept-encoding", "user-agent", "connection"}
        assert asked.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "url", ["http://user:pw@good.example/", "http://user@good.example/", "https://:@good.example/"]
)
def test_FE_12_a_link_with_credentials_is_refused(url: str) -> None:
    error = refusal(url, resolve=names(good_example="93.184.216.34"))
    assert error.kind == "invalid_image_url"
    assert "pw" not in error.message


@given(st.text(min_size=1, max_size=60).map(lambda text: f"http://{text}/"))
def test_FE_10_whatever_is_read_as_a_link_is_written_the_same_for_both_readers(url: str) -> None:
    try:
        link = read_link(url)
    except ValueError:
        return
    assert read_link(link.url) == link
    assert link.url.isascii()
    assert not set(link.url) & set("\\\t\r\n @") or "@" in link.target


# Time


async def drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_head(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def stall(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("say", [drip, endless_head, stall])
def test_FE_13_the_deadline_is_for_the_whole_and_not_for_each_read(say: Say) -> None:
    found, _ = fetched(say, limits=Limits(deadline_s=0.3))
    assert isinstance(found, BadRequest)
    assert found.kind == "failed_to_download_image"


def test_FE_13_a_resolver_that_stalls_ends_at_the_deadline_too() -> None:
    async def resolve(host: str, claim: Claim) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    found, server = fetched(picture(PIXEL), host="slow.example", limits=Limits(deadline_s=0.1), resolve=resolve)
    assert isinstance(found, BadRequest)
    assert server.connections == 0


def test_FE_19_many_stalling_links_share_one_deadline_and_a_few_places() -> None:
    async def play() -> tuple[BadRequest, float, Loopback]:
        limits = Limits(deadline_s=0.3, per_request=5)
        async with serving(stall) as server, fetching(limits) as fetcher:
            began = asyncio.get_running_loop().time()
            with pytest.raises(BadRequest) as caught:
                await fetcher.fetch([Wanted(server.url(f"/{n}"), "image") for n in range(64)], later())
            took = asyncio.get_running_loop().time() - began
            return caught.value, took, server

    error, took, server = run(play())
    assert error.kind == "failed_to_download_image"
    assert took < 3 * 0.3
    assert server.connections == server.most_open == 5


@pytest.mark.parametrize(("limits", "most"), [(Limits(per_server=3), 3), (Limits(total=2), 2)])
def test_FE_19_requests_together_keep_to_the_places_of_a_host_and_of_all(limits: Limits, most: int) -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.01)
        writer.write(picture_bytes())
        await writer.drain()

    async def play() -> int:
        async with serving(say) as server, fetching(limits) as fetcher:
            asked = [fetcher.fetch([Wanted(server.url(), "image")], later()) for _ in range(12)]
            assert len(await asyncio.gather(*asked)) == 12
            return server.most_open

    assert run(play()) <= most


def test_what_waits_for_a_slow_host_takes_no_place_from_others() -> None:
    async def play() -> None:
        limits = Limits(per_server=1, total=2, deadline_s=30.0)
        async with (
            serving(stall) as slow,
            serving(picture(PIXEL)) as quick,
            fetching(limits, names(slow_example="127.0.0.1")) as fetcher,
        ):
            url = slow.url(host="slow.example")
            waiting = [asyncio.create_task(fetcher.fetch([Wanted(url, "image")], later(30.0))) for _ in range(20)]
            found = await fetcher.fetch([Wanted(quick.url(), "image")], later())
            assert found[0].media_type == "image/png"
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    run(play())


@pytest.mark.parametrize("account", ["theirs", "another"])
def test_FE_20_one_server_that_stalls_under_nine_names_holds_up_no_honest_link(account: str) -> None:
    """Nine requests with eight links each; the honest one comes from the same account, or from another."""

    async def play() -> int:
        told = names(**{f"n{number}_example": "127.0.0.1" for number in range(9)})
        async with serving(stall) as slow, serving(picture(PIXEL)) as quick, fetching(Limits(), told) as fetcher:
            groups = [[Wanted(slow.url(f"/{n}", f"n{g}.example"), "image") for n in range(8)] for g in range(9)]
            asked = [asyncio.create_task(fetcher.fetch(group, later(30.0), account="theirs")) for group in groups]
            await until(lambda: slow.open_now == 8)
            async with asyncio.timeout(1.0):
                found = await fetcher.fetch([Wanted(quick.url(), "image")], later(), account=account)
            assert found[0].media_type == "image/png"
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            return slow.most_open

    assert run(play()) == Limits().per_server


def test_FE_20_one_account_with_many_servers_that_stall_holds_up_no_other() -> None:
    async def play() -> None:
        async with AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(serving(stall)) for _ in range(12)]
            quick = await stack.enter_async_context(serving(picture(PIXEL), "127.0.0.3"))
            fetcher = await stack.enter_async_context(fetching(Limits(), is_allowed=lambda address: True))
            asked = [
                asyncio.create_task(
                    fetcher.fetch([Wanted(each.url(), "image") for _ in range(8)], later(30.0), account="theirs")
                )
                for each in slow
            ]
            await until(lambda: sum(each.open_now for each in slow) == 32)
            async with asyncio.timeout(1.0):
                await fetcher.fetch([Wanted(quick.url(host="127.0.0.3"), "image")], later(), account="another")
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

    run(play())


def test_CL_14_a_client_that_leaves_ends_the_fetch_and_its_connection() -> None:
    asked = asyncio.Event()

    async def trickle(request: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 1000000\r\n\r\n")
        asked.set()
        while True:  # until the connection is gone
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def play() -> int:
        async with serving(trickle) as server, fetching() as fetcher:
            task = asyncio.create_task(fetcher.fetch([Wanted(server.url(), "image")], later()))
            await asked.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(1.0):
                await until(lambda: server.open_now == 0)
            assert len(asyncio.all_tasks()) <= 2
            return server.connections

    assert run(play()) == 1


# Size


async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n")
    while True:
        writer.write(b"." * 10_000)
        await writer.drain()


async def longer_than_declared(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("say", [endless, longer_than_declared])
def test_FE_14_what_is_larger_than_the_cap_is_a_413(say: Say) -> None:
    found, _ = fetched(say)
    assert (type(found), getattr(found, "kind", "")) == (PayloadTooLarge, "image_file_too_large")


def test_FE_14_what_comes_after_the_declared_length_is_no_part_of_it() -> None:
    found, _ = fetched(saying(answer(PIXEL, "image/png") + b"x" * 200_000))
    assert not isinstance(found, Fetched) or found.body == PIXEL


def test_FE_14_the_files_of_a_request_have_a_cap_together() -> None:
    async def play() -> None:
        async with serving(saying(answer(b"%PDF-" + b"x" * 80_000))) as server, fetching() as fetcher:
            one = [Wanted(server.url("/1"), "file")]
            assert len(await fetcher.fetch(one, later())) == 1
            with pytest.raises(PayloadTooLarge):
                await fetcher.fetch([*one, Wanted(server.url("/2"), "file")], later())

    run(play())


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_FE_15_a_bomb_is_a_413_at_the_cap_of_what_it_unpacks_to(encoding: str) -> None:
    packed = (gzip.compress if encoding == "gzip" else zlib.compress)(bytes(20 * 10**6), 9)
    found, _ = fetched(saying(answer(packed, "image/png", content_encoding=encoding)))
    assert isinstance(found, PayloadTooLarge)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip, gzip", "compress"])
def test_FE_15_what_is_packed_in_a_way_nobody_asked_for_is_not_unpacked(encoding: str) -> None:
    found, _ = fetched(saying(answer(PIXEL, "image/png", content_encoding=encoding)))
    assert isinstance(found, BadRequest)
    assert found.kind == "failed_to_download_image"


@pytest.mark.parametrize(
    "body", [gzip.compress(PIXEL), gzip.compress(PIXEL[:9]) + gzip.compress(PIXEL[9:])], ids=["one", "members"]
)
def test_a_picture_that_comes_packed_is_unpacked(body: bytes) -> None:
    found, _ = fetched(saying(answer(body, "image/png", content_encoding="gzip")))
    assert found == Fetched("image/png", PIXEL)


@pytest.mark.parametrize("body", [gzip.compress(PIXEL)[:-12], b"not gzip at all"], ids=["cut off", "not gzip"])
def test_a_picture_that_is_packed_badly_is_refused(body: bytes) -> None:
    found, _ = fetched(saying(answer(body, "image/png", content_encoding="gzip")))
    assert isinstance(found, BadRequest)
    assert found.kind == "failed_to_download_image"


def huge_png() -> bytes:
    return PIXEL[:16] + struct.pack(">II", 50_000, 50_000) + PIXEL[24:]


def long_gif() -> bytes:
    return GIF[:13] + GIF[13:-1] * 2_000 + b";"


@pytest.mark.parametrize("body", [huge_png(), long_gif()], ids=["many pixels", "many frames"])
def test_FE_16_a_picture_that_unpacks_to_gigabytes_is_refused_by_its_head(body: bytes) -> None:
    found, _ = fetched(picture(body))
    assert (type(found), getattr(found, "kind", "")) == (BadRequest, "image_too_large")


@pytest.mark.parametrize(
    "body", [b"<html><script>alert(1)</script></html>", b'<svg xmlns="http://www.w3.org/2000/svg"/>', b"%PDF-1.7", b"x"]
)
def test_FE_17_what_only_says_that_it_is_a_picture_is_refused(body: bytes) -> None:
    found, _ = fetched(picture(body))
    assert (type(found), getattr(found, "kind", "")) == (BadRequest, "unsupported_image_media_type")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "empty_image_file"),
        (JPEG[: len(JPEG) // 2], "image_parse_error"),
        (PIXEL[:40], "image_parse_error"),
        (GIF[:-1], "image_parse_error"),
        (b"\x89PNG\r\n\x1a\n", "image_parse_error"),
        (b"\xff\xd8\xff", "image_parse_error"),
    ],
)
def test_FE_18_an_empty_or_damaged_picture_is_refused(body: bytes, kind: str) -> None:
    found, _ = fetched(picture(body))
    assert (type(found), getattr(found, "kind", "")) == (BadRequest, kind)


def test_FE_18_a_body_that_is_cut_off_is_refused() -> None:
    async def say(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(PIXEL, "image/png")[:-10])
        await writer.drain()

    found, _ = fetched(say)
    assert isinstance(found, BadRequest)
    assert found.kind == "failed_to_download_image"


@pytest.mark.parametrize("noun", ["video", "file"])
def test_FE_21_the_same_holds_for_every_kind_of_link(noun: Noun) -> None:
    for url in ("http://127.0.0.1/", "http://127.1/", "file:///etc/passwd", "http://u:p@good.example/"):
        assert refusal(url, noun=noun).kind == f"invalid_{noun}_url"
    found, _ = fetched(saying(answer(b"", status=302, location="http://127.0.0.2/")), noun=noun)
    assert isinstance(found, BadRequest)
    assert found.kind == f"invalid_{noun}_url"
    found, _ = fetched(endless, noun=noun)
    assert isinstance(found, PayloadTooLarge)


@pytest.mark.parametrize("status", [206, 400, 401, 403, 404, 500, 503])
def test_a_status_other_than_200_is_no_picture(status: int) -> None:
    found, _ = fetched(saying(answer(PIXEL, "image/png", status=status)))
    assert isinstance(found, BadRequest)
    assert str(status) in found.message


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,%%%",
        "data:image/png;base64,iVBORw0KGgo*",
        "data:image/png;base64,",
        "data:image/png",
        "data:video/jpeg;base64," + ",".join(["/9j/4AAQ"] * 10_000),
    ],
)
def test_FE_23_a_data_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadRequest):
        inline(url)


def test_FE_26_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.2:9/")
    found, _ = fetched(picture(PIXEL))
    assert found == Fetched("image/png", PIXEL)
