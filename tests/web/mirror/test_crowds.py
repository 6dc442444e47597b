"""What users of other caching proxies report of many clients at once, tried in the mode `read-through`.

Reports: Harbor 23373 and 23875, Envoy 34595, microsoft/containerregistry 196, rpardini/docker-registry-proxy 31,
nginx 237, runk/npm-proxy-cache 62, zot 344. Others are tried in test_read_through (Harbor 22609 and 23600, nuster 69).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.simulators.hub import Hub
from tests.web.mirror.conftest import digest_of
from tests.web.mirror.test_read_through import Through, handing_on, until

pytestmark = pytest.mark.xdist_group("web")

#: More than the buffers between two sockets hold.
LARGE = 24 * 1024**2
#: Seconds after which nginx lets a second request through to the upstream (`proxy_cache_lock_age`).
LOCK_AGE_S = 5


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Through]:
    with Hub() as hub, handing_on(tmp_path_factory.mktemp("crowds"), hub) as found:
        yield found


def opened(through: Through, path: str, stack: ExitStack, **headers: str) -> httpx.Response:
    """Return an answer whose body is to be read, asking again as clients do where it is not there in time (429)."""
    url = f"{through.mirror.url}{path}"
    while True:
        stream = through.mirror.served.client.stream("GET", url, headers={**through.key, **headers})
        answer = stack.enter_context(stream)
        if answer.status_code != 429:
            return answer
        answer.close()
        time.sleep(1)


def whole(through: Through, path: str, **headers: str) -> tuple[int, bytes]:
    with ExitStack() as stack:
        answer = opened(through, path, stack, **headers)
        return answer.status_code, answer.read()


def test_readers_that_stop_hold_nobody_up_and_miss_nothing(through: Through) -> None:
    """Some caches are filled at the pace of who asked first; others cut slow readers off."""
    content = hashlib.shake_128(b"stopped").digest(LARGE)
    through.hub.add("org/stopped", {"model.bin": content})
    path = "/org/stopped/resolve/main/model.bin"
    with ExitStack() as stack:
        answers = [opened(through, path, stack) for _ in range(4)]
        for answer in answers:
            assert answer.headers["content-length"] == str(LARGE), "also before the file is here"
            assert answer.headers["etag"] == f'"{digest_of(content).hex}"'
        pieces = [answer.iter_raw() for answer in answers]
        begun = [next(one) for one in pieces]
        assert whole(through, path) == (200, content)
        for first, rest in zip(begun, pieces, strict=True):
            assert b"".join((first, *rest)) == content
    assert through.fetched("stopped/resolve") == 1


def test_who_comes_late_joins_the_fetch_and_reads_at_once(through: Through) -> None:
    """A fetch that takes longer than a lock lasts is begun again in others, or late ones wait for its end."""
    content = hashlib.shake_128(b"late").digest(12 * 256 * 1024)
    through.hub.add("org/late", {"model.bin": content})
    through.hub.fault(f"late/resolve/{through.commit('org/late')}/model.bin", pause_s=LOCK_AGE_S / 4)
    path, part = "/org/late/resolve/main/model.bin", through.mirror.store.part(str(digest_of(content)))
    with ThreadPoolExecutor(9) as pool, ExitStack() as stack:
        first = pool.submit(whole, through, path)
        until(lambda: part.exists() and part.stat().st_size > 0)
        began = time.monotonic()
        until(lambda: time.monotonic() - began > LOCK_AGE_S)
        ranged = pool.submit(whole, through, path, Range="bytes=9-99")
        late = [pool.submit(whole, through, path) for _ in range(6)]
        pieces = opened(through, path, stack).iter_raw()
        begun = next(pieces)
        assert part.exists(), "the file is still coming"
        assert b"".join((begun, *pieces)) == content
        assert {one.result() for one in (first, *late)} == {(200, content)}
        assert ranged.result() == (206, content[9:100])
    assert through.fetched("late/resolve") == 1
