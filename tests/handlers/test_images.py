"""Images in messages come from strangers: what is taken, and everything that is not."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.simulators.web import WebServer
from weighbridge.errors import HandlerError
from weighbridge.handlers.images import ImageRules, rules_of


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def data_url(image: Image.Image | bytes, format_: str = "PNG") -> str:
    content = image if isinstance(image, bytes) else encoded(image, format_)
    return f"data:image/{format_.lower()};base64,{base64.b64encode(content).decode()}"


def claiming(width: int, height: int) -> bytes:
    """Return a PNG of few bytes that says it is large."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF"])
def test_known_formats_are_read(format_: str) -> None:
    found = ImageRules().read(data_url(Image.new("RGB", (8, 4), "blue"), format_))
    assert (found.mode, found.size) == ("RGB", (8, 4))
    red, _, blue = found.getpixel((0, 0))
    assert red < 10 < 240 < blue


@pytest.mark.parametrize("format_", ["BMP", "TIFF", "ICO", "PPM", "EPS"])
def test_other_formats_are_not_even_opened(format_: str) -> None:
    with pytest.raises(HandlerError, match="cannot be decoded: UnidentifiedImageError"):
        ImageRules().read(data_url(Image.new("RGB", (16, 16)), format_))


def test_images_are_upright_and_lie_on_white() -> None:
    upside_down = Image.new("RGB", (8, 4))
    exif = upside_down.getexif()
    exif[0x0112] = 6  # turned by a quarter
    assert ImageRules().read(data_url(encoded(upside_down, "JPEG", exif=exif), "JPEG")).size == (4, 8)
    assert ImageRules().read(data_url(Image.new("RGBA", (2, 2), (0, 0, 0, 0)))).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 1_000), (2**31 - 1, 2**31 - 1)])
def test_a_small_file_that_would_be_a_large_image_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(HandlerError, match=r"pixels|DecompressionBomb"):
        ImageRules().read(data_url(claiming(*size)))


def test_limits_hold() -> None:
    url = data_url(Image.new("RGB", (10, 10)))
    assert ImageRules(max_pixels=100).read(url).size == (10, 10)
    with pytest.raises(HandlerError, match="99 pixels"):
        ImageRules(max_pixels=99).read(url)
    with pytest.raises(HandlerError, match="larger than 20 bytes"):
        ImageRules(max_size=20).read(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("data:image/png", "has no data"),
        ("data:image/png;base64,!!", "not base64"),
        ("data:image/png;base64,aGVsbG8=", "cannot be decoded"),
        ("data:,hello", "cannot be decoded"),
        ("", "files are not read"),
        ("/etc/passwd", "files are not read"),
        ("file:///etc/passwd", "files are not read"),
        ("http://169.254.169.254/", "on behalf of others"),
        ("ftp://example.org/a.png", "files are not read"),
    ],
)
def test_what_is_no_image_is_told(url: str, told: str) -> None:
    with pytest.raises(HandlerError, match=told):
        ImageRules().read(url)


def test_broken_images_are_told() -> None:
    whole = encoded(Image.effect_noise((64, 64), 50).convert("RGB"))
    for end in range(0, len(whole) - 20, 997):
        with pytest.raises(HandlerError, match="decoded"):
            ImageRules().read(data_url(whole[:end]))


def test_files_are_read_below_their_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/a.png", "out.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "out.png")
    rules = rules_of({"image_folder": str(tmp_path / "in")})
    inside = tmp_path / "in" / "a.png"
    assert [rules.read(name).size for name in ("a.png", str(inside), inside.as_uri())] == [(4, 4)] * 3
    for name in ("../out.png", str(tmp_path / "out.png"), "link.png", ".", "none.png", "a\0.png", "x" * 5000):
        with pytest.raises(HandlerError):
            rules.read(name)


def test_named_hosts_are_asked_and_no_others() -> None:
    with WebServer() as web:
        address = web.put("/a.png", encoded(Image.new("RGB", (4, 4))))
        host = f"127.0.0.1:{web.port}"
        assert rules_of({"image_hosts": [host]}).read(address).size == (4, 4)
        asked = len(web.requests)
        for hosts in (["example.org"], ["127.0.0.1"], "example.org"):
            with pytest.raises(HandlerError, match="cannot be fetched"):
                rules_of({"image_hosts": hosts}).read(address)
        assert len(web.requests) == asked
        elsewhere = web.redirect("/elsewhere.png", web.url("/a.png", "localhost"))
        with pytest.raises(HandlerError, match="cannot be fetched"):
            rules_of({"image_hosts": [host]}).read(elsewhere)
        with pytest.raises(HandlerError, match="cannot be fetched"):
            rules_of({"image_hosts": [host]}).read(web.url("/none.png"))
