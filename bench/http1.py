"""Just enough HTTP/1.1 to know where a message ends, for the two ends of the benchmark.

Does not follow redirects, decompress, or read bodies that end with the connection.
"""

END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CHUNKED = b"\r\ntransfer-encoding: chunked"
_CHUNKED_TIGHT = b"\r\ntransfer-encoding:chunked"


class Malformed(Exception):
    """The other side broke HTTP, or used a part of it that is not read here."""


def content_length(head: bytes) -> int | None:
    """The length a lower-cased head promises; None when it names none."""
    at = head.find(_LENGTH)
    if at < 0:
        return None
    end = head.find(b"\r\n", at + 2)
    return int(head[at + len(_LENGTH) : end if end >= 0 else None])


def is_chunked(head: bytes) -> bool:
    """Whether a lower-cased head announces a chunked body."""
    return _CHUNKED in head or _CHUNKED_TIGHT in head


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Answer:
    """One response, fed as it arrives; its pieces are the body so far, without chunk headers."""

    __slots__ = ("_is_headed", "_length", "_received", "_rest", "pieces", "status")

    def __init__(self) -> None:
        self.status = 0
        self.pieces: list[bytes] = []
        self._rest = b""
        self._is_headed = False
        self._length: int | None = None
        self._received = 0

    def feed(self, data: bytes) -> bool:
        """Take bytes in; true when the response is whole. Raises Malformed."""
        buffer = self._rest + data if self._rest else data
        at = 0
        if not self._is_headed:
            end = buffer.find(END_OF_HEAD)
            if end < 0:
                self._rest = buffer
                return False
            self._read_head(buffer[:end].lower())
            at = end + len(END_OF_HEAD)
        return self._feed_chunks(buffer, at) if self._length is None else self._feed_rest(buffer[at:], self._length)

    def _read_head(self, head: bytes) -> None:
        if not head.startswith(b"http/1.1 "):
            raise Malformed(f"not an HTTP/1.1 response: {head[:80]!r}")
        self.status = int(head[9:12])
        self._is_headed = True
        self._length = content_length(head)
        if self._length is None and not is_chunked(head):
            raise Malformed(f"a body of unknown length: {head[:300]!r}")

    def _feed_rest(self, data: bytes, length: int) -> bool:
        self._rest = b""
        self._received += len(data)
        if data:
            self.pieces.append(data)
        if self._received > length:
            raise Malformed("bytes after the end of the body")
        return self._received == length

    def _feed_chunks(self, buffer: bytes, at: int) -> bool:
        while (line_end := buffer.find(b"\r\n", at)) >= 0:
            size = int(buffer[at:line_end], 16)
            begin = line_end + 2
            end = begin + size
            if len(buffer) < end + 2:
                break
            if size == 0:
                return True
            self.pieces.append(buffer[begin:end])
            at = end + 2
        self._rest = buffer[at:]
        return False
