"""Images in messages: their allowed sources and sizes, and their decoding.

Messages are untrusted, so an image is data in the message itself (`data:`), unless the operator of the model allows
more: files below one folder, or hosts for requests on behalf of others. Not here: answers about an image (vision).
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from PIL import Image, ImageOps

from weighbridge.errors import InvalidRequest, SourceError
from weighbridge.net.addresses import AddressPolicy
from weighbridge.net.settings import SourceSettings
from weighbridge.net.transfer import Transfer

#: The accepted formats; Pillow has some fifty, many of them old and little tested.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


@dataclass(frozen=True)
class ImageRules:
    """The images that are accepted.

    Attributes:
        folder: files below it may be named; None for no files.
        hosts: hosts of images: `images.example.org`, `*.example.org`; with a port (`host:8000`) also in a private
            network. Empty for no requests at all.
        max_size: the most bytes of one encoded image.
        max_pixels: the most pixels of one decoded image; a small file may decode to gigabytes.
        max_images: the most images of all messages together.
    """

    folder: Path | None = None
    hosts: tuple[str, ...] = ()
    max_size: int = 20 * 1024**2
    max_pixels: int = 50_000_000
    max_images: int = 16

    def read(self, url: str) -> Image.Image:
        """Return an image as RGB, upright, on white where it is transparent; the first one of several frames.

        Args:
            url: `data:image/png;base64,…`, a path below `folder`, or an http or https address at one of `hosts`.

        Raises:
            InvalidRequest: it may not be read, is too large, or is not an image of an accepted format.
        """
        scheme = urlsplit(url[:256]).scheme.lower()
        if scheme == "data":
            content = self._data(url)
        elif scheme in ("http", "https"):
            content = self._fetched(url)
        else:
            content = self._file(unquote(urlsplit(url).path) if scheme == "file" else url)
        if len(content) > self.max_size:
            raise _too_large(f"{self.max_size:,} bytes")
        return self._decoded(content)

    def _data(self, url: str) -> bytes:
        head, comma, body = url.partition(",")
        if not comma:
            raise InvalidRequest("The image's data: URL has no data.", "Write data:image/png;base64,….")
        if len(body) > 3 * self.max_size:  # each byte has at most three characters, as in %41
            raise _too_large(f"{self.max_size:,} bytes")
        plain = unquote_to_bytes(body)
        if not head.lower().endswith(";base64"):
            return plain
        try:
            return base64.b64decode(plain, validate=True)
        except binascii.Error as error:
            raise InvalidRequest("The image's data: URL is not base64.", "Encode it again.") from error

    def _fetched(self, url: str) -> bytes:
        if not self.hosts:
            raise InvalidRequest(
                "The image is an address on the web, and requests on behalf of others are not allowed here.",
                "Send it as a data: URL; or ask the operator of the model to name the host in image_hosts.",
            )
        named = tuple(host.partition(":")[0] for host in self.hosts)
        trusted = tuple(host for host in self.hosts if ":" in host)
        policy = AddressPolicy(hosts=named, private=(), trusted=trusted, for_others=True)
        try:
            transfer = Transfer.of(SourceSettings(addresses=policy))
            return transfer.read(url, accept="image/*", max_size=self.max_size).content
        except SourceError as error:
            raise InvalidRequest(f"The image cannot be fetched: {error.problem}", error.remedy) from error

    def _file(self, name: str) -> bytes:
        if self.folder is None:
            raise InvalidRequest(
                "The image is a file's name, and files are not read for messages here.",
                "Send it as a data: URL; or ask the operator of the model to name its folder in image_folder.",
            )
        root = self.folder.resolve()
        try:
            path = (root / name).resolve()
            if path.is_relative_to(root) and path.is_file():
                with path.open("rb") as file:
                    return file.read(self.max_size + 1)
        except (OSError, ValueError) as error:
            raise InvalidRequest("The image's file cannot be read.", "Check its name and its permissions.") from error
        raise InvalidRequest("There is no such image below image_folder.", "Check its name.")

    def _decoded(self, content: bytes) -> Image.Image:
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > self.max_pixels:  # the check is before the decoding
                    raise _too_large(f"{self.max_pixels:,} pixels")
                return _on_white(ImageOps.exif_transpose(image))
        except InvalidRequest:
            raise
        except Exception as error:  # decoders may raise anything for broken files
            raise InvalidRequest(
                f"The image cannot be decoded: {type(error).__name__}.",
                f"The accepted formats are {', '.join(FORMATS)}.",
            ) from error


def rules_of(options: dict[str, object]) -> ImageRules:
    """Return the rules of a handler's options `image_folder` and `image_hosts`."""
    folder, hosts = options.get("image_folder"), options.get("image_hosts", ())
    listed: Sequence[object] = hosts if isinstance(hosts, list | tuple) else [hosts]
    return ImageRules(Path(str(folder)) if folder else None, tuple(str(host).lower() for host in listed))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def _too_large(limit: str) -> InvalidRequest:
    return InvalidRequest(f"The image is larger than {limit}.", "Scale it down.")
