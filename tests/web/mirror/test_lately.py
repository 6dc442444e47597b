"""What was served lately: for a second, and while one request has it made anew, for whoever else asks meanwhile."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.audit import Head
from weighbridge.web.mirror.lately import ServedLately


def request(path: bytes = b"/api/models/a") -> Request:
    host = [(b"host", b"127.0.0.1")]
    return Request({"type": "http", "scheme": "http", "headers": host, "raw_path": path, "query_string": b""})


def test_of_many_who_ask_when_a_second_is_over_one_has_the_work() -> None:
    now, newest, found = [10.0], Head(1, "a" * 64), Response(b"{}")
    lately = ServedLately(lambda: now[0])
    assert lately.document(newest, request(), ANONYMOUS) is None
    lately.keep_document(newest, request(), ANONYMOUS, found)
    assert lately.document(newest, request(), ANONYMOUS) is found
    now[0] = 11.0
    assert lately.document(newest, request(), ANONYMOUS) is None, "the first one makes it anew"
    assert lately.document(newest, request(), ANONYMOUS) is found
    anew = Response(b"[]")
    lately.keep_document(newest, request(), ANONYMOUS, anew)
    assert lately.document(newest, request(), ANONYMOUS) is anew
    now[0] = 12.0
    assert lately.document(newest, request(), ANONYMOUS) is None
    now[0] = 13.0
    assert lately.document(newest, request(), ANONYMOUS) is None, "nobody made it anew, and it is too old"
    assert lately.document(newest, request(), ANONYMOUS) is None


def test_nothing_outlives_a_change_or_is_for_somebody_else() -> None:
    now, newest = [10.0], Head(1, "a" * 64)
    lately = ServedLately(lambda: now[0])
    assert lately.document(newest, request(), ANONYMOUS) is None
    lately.keep_document(newest, request(), ANONYMOUS, Response(b"{}"))
    other = Caller("one", "reader")
    assert lately.document(newest, request(), other) is None
    assert lately.document(newest, request(b"/api/models/b"), ANONYMOUS) is None
    now[0] = 11.0
    assert lately.document(newest, request(), ANONYMOUS) is None
    changed = Head(2, "b" * 64)
    assert lately.document(changed, request(), ANONYMOUS) is None
    assert lately.document(changed, request(), ANONYMOUS) is None
