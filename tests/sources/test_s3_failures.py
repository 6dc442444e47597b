"""What the source `s3` says when it is refused, and what it does not believe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from tests.services.seaweedfs import ADMIN, READER, S3Server
from tests.simulators.web import WebServer
from tests.simulators.wire import Wire
from weighbridge.domain.manifest import FileEntry
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    InvalidReference,
    ModelNotFound,
    SourceError,
    SourceMisbehaved,
    SourceUnavailable,
    UnsafePath,
)
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.auth import Auth
from weighbridge.net.parallel_ranges import WINDOW
from weighbridge.net.s3.connections import MAX_DOCUMENT
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.s3 import S3Source

pytestmark = pytest.mark.xdist_group("s3")
MODEL = ModelRef("s3", "hostile/model")


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


def hostile(web: WebServer, **settings: object) -> S3Source:
    return S3Source(SourceSettings(auth=READER, endpoint=web.url(""), timeout_s=2, **settings))  # type: ignore[arg-type]


def listing(*keys: str, size: str = "4", etag: str = "&quot;e&quot;", more: str = "") -> bytes:
    items = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size><ETag>{etag}</ETag></Contents>" for key in keys
    )
    return f"<?xml version='1.0'?><ListBucketResult>{items}{more}</ListBucketResult>".encode()


def refusal(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


class TestKeys:
    @pytest.mark.parametrize(
        ("auth", "what"),
        [
            (Auth("", READER.username, "wrong-secret"), "secret access key is not the one"),
            (Auth("", "nobody", "wrong-secret"), "has no such access key id"),
            (Auth("wrong-secret"), "no bearer token"),
            (Auth("", READER.username, READER.password, ("elsewhere.example",)), "refuses access"),
            (Auth(), "refuses access"),
        ],
    )
    def test_wrong_ones_are_refused_and_shown_to_nobody(self, s3_server: S3Server, auth: Auth, what: str) -> None:
        place = s3_server.fill({"model.gguf": b"GGUF"})
        with pytest.raises(AccessDenied, match=what) as error:
            S3Source(SourceSettings(auth=auth, endpoint=s3_server.endpoint)).resolve(ModelRef.parse(f"s3://{place}"))
        assert error.value.remedy
        assert not error.value.retryable
        told = f"{error.value!r} {error.value.facts}"
        assert "wrong-secret" not in told
        assert READER.password not in told

    def test_keys_that_reach_another_bucket_only(self, s3_server: S3Server) -> None:
        place = s3_server.fill({"model.gguf": b"GGUF"}, "private")
        with pytest.raises(AccessDenied, match=r"s3:ListBucket"):
            S3Source(SourceSettings(auth=READER, endpoint=s3_server.endpoint)).resolve(ModelRef.parse(f"s3://{place}"))

    def test_no_bucket(self, s3_server: S3Server) -> None:
        with pytest.raises(ModelNotFound, match="no such bucket"):
            S3Source(SourceSettings(auth=ADMIN, endpoint=s3_server.endpoint)).resolve(ModelRef("s3", "nothing/x"))

    def test_the_environment_counts_as_for_awss_own_tools(
        self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = s3_server.fill({"model.gguf": b"GGUF"})
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER.username)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.password)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
        assert S3Source(SourceSettings()).resolve(ModelRef.parse(f"s3://{place}")).size == 4

    def test_a_profile_counts(self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        place = s3_server.fill({"model.gguf": b"GGUF"})
        (tmp_path / "credentials").write_text(
            f"[work]\naws_access_key_id={READER.username}\naws_secret_access_key={READER.password}\n"
        )
        (tmp_path / "config").write_text("[profile work]\nregion = eu-central-1\n")
        uri = f"s3://{place}?endpoint={s3_server.endpoint}"
        with pytest.raises(AccessDenied):
            S3Source(SourceSettings()).resolve(ModelRef.parse(uri))
        monkeypatch.setenv("AWS_PROFILE", "work")
        assert S3Source(SourceSettings()).resolve(ModelRef.parse(uri)).size == 4
        monkeypatch.setenv("AWS_PROFILE", "holiday")
        with pytest.raises(AccessDenied, match="credential chain"):
            S3Source(SourceSettings()).resolve(ModelRef.parse(uri))

    def test_a_strangers_endpoint_gets_no_keys_of_the_machine(
        self, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = s3_server.fill({"model.gguf": b"GGUF"})
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER.username)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.password)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
        policy = AddressPolicy(private=("127.0.0.0/8",))
        with Wire(s3_server.port) as wire, pytest.raises(AccessDenied):
            S3Source(SourceSettings(addresses=policy)).resolve(ModelRef.parse(f"s3://{place}?endpoint={wire.url}"))
        assert wire.requests
        assert not any(READER.username in head or "the-token" in head for head in wire.requests)


class TestAddresses:
    @pytest.mark.parametrize("policy", [AddressPolicy(private=()), AddressPolicy(hosts=("*.example",))])
    def test_where_requests_may_not_go(self, s3_server: S3Server, policy: AddressPolicy) -> None:
        with Wire(s3_server.port) as wire:
            source = S3Source(SourceSettings(auth=READER, endpoint=wire.url, addresses=policy))
            with pytest.raises(AddressRefused):
                source.resolve(ModelRef("s3", "models/x"))
            entry = FileEntry("model.gguf", 4, version=f"{wire.url} x %22e%22", locator="x/model.gguf")
            with pytest.raises(AddressRefused), source.open(ModelRef("s3", "models/x"), entry):
                pass
        assert wire.requests == []

    def test_names_are_connected_to_at_the_address_that_was_judged(self, s3_server: S3Server) -> None:
        place = s3_server.fill({"model.gguf": bytes(WINDOW + 1)})
        settings = SourceSettings(
            auth=READER,
            endpoint=f"http://localhost:{s3_server.port}",
            addresses=AddressPolicy(private=("127.0.0.0/8", "::1/128")),
        )
        source = S3Source(settings)
        manifest = source.resolve(ModelRef.parse(f"s3://{place}"))
        with source.open(manifest.ref, manifest.files[0]) as stream:
            assert sum(map(len, stream.chunks)) == WINDOW + 1

    @pytest.mark.parametrize(
        "options",
        ["endpoint=ftp://host", "endpoint=host", "endpoint=https://", "region=no region", "no=1", "region=a&region=b"],
    )
    def test_wrong_options(self, options: str) -> None:
        with pytest.raises(InvalidReference) as error:
            S3Source(SourceSettings(auth=READER)).resolve(ModelRef.parse(f"s3://models/x?{options}"))
        assert error.value.remedy

    def test_nobody_there(self) -> None:
        with pytest.raises(SourceUnavailable, match="failed"):
            S3Source(SourceSettings(auth=READER, endpoint="http://127.0.0.1:9")).resolve(MODEL)

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
    def test_a_certificate_that_nobody_vouches_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        with WebServer(tmp_path) as web:
            web.put("/hostile", listing("model/a"))
            with pytest.raises(SourceMisbehaved, match="certificate"):
                hostile(web).resolve(MODEL)
            monkeypatch.setenv(variable, str(web.certificate))
            web.put("/hostile/model/a", b"GGUF", etag='"e"')
            assert hostile(web).resolve(MODEL).size == 4


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (503, "SlowDown", SourceUnavailable),
            (500, "InternalError", SourceUnavailable),
            (403, "AccessDenied", AccessDenied),
            (403, "InvalidObjectState", AccessDenied),
            (400, "ExpiredToken", AccessDenied),
            (404, "NoSuchBucket", ModelNotFound),
            (400, "Whatever", SourceMisbehaved),
            (405, "MethodNotAllowed", SourceMisbehaved),
            (200, "InternalError", SourceError),
        ],
    )
    def test_refusals(self, web: WebServer, status: int, code: str, kind: type[SourceError]) -> None:
        web.put("/hostile", refusal(code), status=status)
        with pytest.raises(kind) as error:
            hostile(web).resolve(MODEL)
        assert error.value.remedy
        assert len(web.requests) == (4 if isinstance(error.value, SourceUnavailable) else 1)

    def test_a_busy_server_says_when_to_come_back(self, web: WebServer) -> None:
        web.put("/hostile", refusal("SlowDown"), status=503, headers={"Retry-After": "7"})
        with pytest.raises(SourceUnavailable) as error:
            hostile(web).resolve(MODEL)
        assert error.value.facts["retry_after_s"] == 7

    def test_a_bucket_in_another_region(self, web: WebServer) -> None:
        headers = {"x-amz-bucket-region": "eu-west-1"}
        web.put("/hostile", refusal("PermanentRedirect"), status=301, headers=headers)
        with pytest.raises(SourceMisbehaved, match="eu-west-1") as error:
            hostile(web).resolve(MODEL)
        assert "?region=eu-west-1" in error.value.remedy

    def test_silence(self, web: WebServer) -> None:
        web.put("/hostile", listing("model/a"), hang_after=10)
        with pytest.raises(SourceUnavailable):
            S3Source(SourceSettings(auth=READER, endpoint=web.url(""), timeout_s=0.3)).resolve(MODEL)

    @pytest.mark.parametrize(
        "content",
        [
            b"<html>please log in</html>",
            b"",
            b"{}",
            b"<?xml",
            b"\xff\xfe",
            listing("model/a", size="many"),
            listing("model/a", size="-1"),
            listing("model/a", size=""),
            listing("elsewhere/a"),
            b"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            b"<ListBucketResult><Contents>text</Contents></ListBucketResult>",
            listing("model/a", more="<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"),
            b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>"
            + b"".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10 if n else '&a;' * 10}'>".encode() for n in range(9))
            + b"]><ListBucketResult><Name>&a8;</Name></ListBucketResult>",
        ],
    )
    def test_listings_that_are_none(self, web: WebServer, content: bytes) -> None:
        web.put("/hostile", content)
        with pytest.raises(SourceError):
            hostile(web).resolve(MODEL)

    @pytest.mark.parametrize(
        "key", ["../x", "a/../../x", "/etc/passwd", "a//b", "a\\b", "./x", "a\x7f", "sub/", "." * 300]
    )
    def test_hostile_names(self, web: WebServer, key: str) -> None:
        web.put("/hostile", listing(f"model/{key}"))
        with pytest.raises(UnsafePath):
            hostile(web).resolve(MODEL)
        assert {request.method for request in web.requests} == {"GET"}

    def test_an_answer_without_an_end(self, web: WebServer) -> None:
        web.put("/hostile", b" " * (MAX_DOCUMENT + 1) + listing("model/a"))
        with pytest.raises(SourceMisbehaved, match="longer than"):
            hostile(web).resolve(MODEL)

    def test_more_objects_than_allowed(self, web: WebServer) -> None:
        web.put("/hostile", listing(*(f"model/{number}" for number in range(11))))
        with pytest.raises(SourceError, match="more than 10 objects"):
            hostile(web, max_files=10).resolve(MODEL)


class TestObjects:
    """Answers to GET that do not fit what was listed: 4 bytes, ETag "e"."""

    def read(self, web: WebServer, size: int = 4) -> bytes:
        source = hostile(web)
        entry = FileEntry("a", size, version=f"{web.url('')}  %22e%22", locator="model/a")
        with source.open(MODEL, entry) as stream:
            return b"".join(stream.chunks)

    def test_what_fits(self, web: WebServer) -> None:
        web.put("/hostile/model/a", b"GGUF", etag='"e"')
        assert self.read(web) == b"GGUF"

    @pytest.mark.parametrize("conditions", [True, False])
    @pytest.mark.parametrize("size", [4, 2 * WINDOW])
    def test_another_etag(self, web: WebServer, conditions: bool, size: int) -> None:
        web.put("/hostile/model/a", bytes(size), etag='"f"', conditions=conditions)
        with pytest.raises(SourceMisbehaved, match="no longer the object"):
            self.read(web, size)

    @pytest.mark.parametrize("content", [b"GGU", b"GGUF!"])
    def test_another_size(self, web: WebServer, content: bytes) -> None:
        web.put("/hostile/model/a", content, etag='"e"')
        with pytest.raises(SourceMisbehaved):
            self.read(web)

    def test_a_server_that_knows_no_ranges(self, web: WebServer) -> None:
        web.put("/hostile/model/a", bytes(2 * WINDOW), etag='"e"', ranges=False)
        with pytest.raises(SourceMisbehaved, match="holds other bytes"):
            self.read(web, 2 * WINDOW)

    @pytest.mark.parametrize("size", [4, 2 * WINDOW])
    def test_a_cut(self, web: WebServer, size: int) -> None:
        web.put("/hostile/model/a", bytes(size), etag='"e"', cut_after=3)
        with pytest.raises(SourceUnavailable):
            self.read(web, size)

    def test_no_rights_to_read(self, web: WebServer) -> None:
        web.put("/hostile/model/a", refusal("AccessDenied"), status=403)
        with pytest.raises(AccessDenied, match="s3://hostile/model/a"):
            self.read(web)
