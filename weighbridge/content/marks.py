"""Marks: the bytes that distinguish a format from any other, and further conditions for the short ones.

A mark of four bytes or more that no text has counts alone. A shorter one, or one of letters, needs a further sign:
random weights begin with any two bytes once in 65,536 files, and a text with any word. Not here: what names promise
(domain.format_names), safetensors and pickles, which have no mark (content.detection).
"""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Callable

#: The size of a head: a smaller file is read whole.
_WHOLE_HEAD = 4096
_LZMA_MEMORY = 256 * 1024**2

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
#: Bytes that a user's own block before an HDF5 file may have, or any power of two times as many.
HDF5_BLOCK = 512

#: Of OLE2: installers, documents with macros.
OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

#: Marks at the first byte that neither a text nor chance begins with.
STRONG: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes((0x50 + number,)) + b"\x2a\x4d\x18", "zstd") for number in range(16)),  # a skippable frame (RFC 8878)
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (HDF5_MARK, "hdf5"),
    (b"Rar!\x1a\x07", "rar"),
    (b"LZIP\x01", "lzip"),
    (b"\x89LZO\x00\x0d\x0a\x1a\x0a", "lzop"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
    (b"MSCF\x00\x00\x00\x00", "cab"),
    (b"xar!\x00", "xar"),
    (b"MSWIM\x00\x00\x00", "wim"),
    (b"\x7fELF", "executable"),
    (b"\xcf\xfa\xed\xfe", "executable"),  # Mach-O, either order and size
    (b"\xce\xfa\xed\xfe", "executable"),
    (b"\xfe\xed\xfa\xcf", "executable"),
    (b"\xfe\xed\xfa\xce", "executable"),
    (b"\xca\xfe\xba\xbe", "executable"),  # a universal Mach-O or a Java class
    (b"\xca\xfe\xba\xbf", "executable"),
    (b"\xca\xfe\xd0\x0d", "executable"),  # packed Java classes
    (b"\x00asm", "executable"),
    (b"dex\n03", "executable"),
    (b"dex\n04", "executable"),
    (b"dey\n03", "executable"),
    (b"cdex00", "executable"),
    (OLE_MARK, "executable"),
    (b"\xed\xab\xee\xdb", "executable"),  # rpm
    (b"BC\xc0\xde", "executable"),  # LLVM's bitcode, bare and wrapped
    (b"\xde\xc0\x17\x0b", "executable"),
    (b"\x1bLua", "executable"),
    (b"\x1bLJ", "executable"),
    (b"\x50\xed\x55\xba", "executable"),  # CUDA's fat binary
    (b"\x03\x02\x23\x07", "executable"),  # SPIR-V
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0", "launcher"),  # a Windows shortcut
    (b"ITSF\x03\0\0\0", "launcher"),  # compiled HTML help
    (b"FasdUAS ", "launcher"),  # compiled AppleScript
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\x00\x00\x01\x00\x01\x00", "image"),
    (b"\x76\x2f\x31\x01", "image"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image"),
    (b"\x1a\x45\xdf\xa3", "video"),
    (b"\x00\x00\x01\xba", "video"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"\0\0\0\x01Bud1", "desktop"),
    (b"\0\x05\x16\x07\0\x02\0\0", "desktop"),  # AppleDouble
    (b"DIRC\0\0\0", "git"),  # git's index, packs, their indexes and maps
    (b"PACK\0\0\0", "git"),
    (b"\xfftOc\0\0\0", "git"),
    (b"RIDX\0\0\0", "git"),
    (b"BITM\0\x01", "git"),
    (b"CGPH\x01", "git"),
    (b"MIDX\x01", "git"),
    (b"SQLite format 3\0", "sqlite"),
    (b"lmgg", "ggml"),
    (b"tjgg", "ggml"),
    (b"\xba\x16\x4f\x2f", "fasttext"),
)
#: Marks that a text has, and no other text than that format's.
TEXT: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs.github.com/spec/", "lfs-pointer"),
    (b"%PDF-", "pdf"),
    (b"%!PS", "postscript"),
    (b"jartsr='", "executable"),  # APE: a shell script that is a program on every system (Cosmopolitan)
    (b"MZqFpD='", "executable"),
    (b"APEDBG='", "executable"),
    (b"!<arch>\n", "executable"),  # a library of objects, or a Debian package
    (b"!<thin>\n", "executable"),
    (b"#!AMR", "audio"),
)
_BY_FIRST_BYTE: dict[bytes, list[tuple[bytes, str]]] = {}
for _magic, _kind in STRONG + TEXT:
    _BY_FIRST_BYTE.setdefault(_magic[:1], []).append((_magic, _kind))
#: Marks of letters, with which a text may begin too: they count when the head is not a text.
_LETTERS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "image"),
    (b"8BPS", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"PAR1", "parquet"),
    (b"OggS", "audio"),
    (b"fLaC", "audio"),
    (b"ID3", "audio"),
    (b"MThd", "audio"),
    (b".snd", "audio"),
    (b"FLV\x01", "video"),
    (b"OTTO", "font"),
    (b"ttcf", "font"),
    (b"wOFF", "font"),
    (b"wOF2", "font"),
    (b"CBM1", "cbm"),
    (b"hsqs", "squashfs"),
    (b"MTLB", "executable"),  # a library of Metal's
    (b"7kSt", "zpaq"),
    (b"ftrt", "tensorrt"),
    (b"RDX2\nX\n", "rds"),
    (b"RDX3\nX\n", "rds"),
)
_PATTERNS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x1f\x8b\x08[\x00-\x1f]", "gzip"),
        (rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", "bzip2"),
        (rb"..-(lh[0-7dx]|lz[s45]|pm[012])-", "lha"),
        (rb"\x60\xea.[\0-\x0a][\x1e-\x30][\x01-\x0b]{2}[\0-\x0b].{2}\x02", "arj"),
        (rb"zPQ[\x01\x02]\x01", "zpaq"),
        (rb"bvx[12n-]", "lzfse"),
        (rb"\xff\xd8\xff[\xc0-\xfe]", "image"),
        (rb"BM.{4}\0{4}.{3}\0[\x0c-\x7c]\0{3}", "image"),
        (rb"RIFF.{4}WEBP", "image"),
        (rb"RIFF.{4}WAVE", "audio"),
        (rb"RIFF.{4}AVI ", "video"),
        (rb"FORM.{4}AIF[FC]", "audio"),
        (rb".{4}ftyp(M4A|M4B|M4P)", "audio"),
        (rb".{4}ftyp(heic|heix|mif1|avif|avis|crx )", "image"),
        (rb"\0.{3}ftyp[A-Za-z0-9 ]{4}", "video"),
        (rb".{4}TFL3", "tflite"),
        # CTranslate2's model.bin begins with its version and the name of its class, such as `WhisperSpec`.
        (rb"[\x01-\x20]\0\0\0[\x04-\x7f]\0[A-Za-z0-9]+Spec\0", "ctranslate2"),
        # Core ML's blobs: how many, version 2, zeros, and at 64 the first one's mark.
        (rb".{4}\x02\0\0\0\0{56}\xef\xbe\xad\xde", "coreml-data"),
        # R's: `X` and a line feed, then version 2 or 3 and R's own, each in four bytes.
        (rb"[XB]\n(\0\0\0[\x02\x03]\0[\x01-\x09]|[\x02\x03]\0\0\0..[\x01-\x09]\0)", "rds"),
        (rb"A\n[23]\n[0-9]+\n", "rds"),
        # XGBoost's UBJSON: an object whose first key has a length.
        (rb"\{(L\0{7}|l\0{3}|I\0|[iU])[\x04-\x40][A-Za-z_]{4}", "ubj"),
        # llama.cpp's importance matrix: how many entries, the length of the first name, the name.
        (rb"[^\0].\0\0[\x04-\x7f]\0\0\0[A-Za-z0-9_.-]{4}", "imatrix"),
        # A record of TensorFlow's whose first event says its version.
        (rb".{12}[\x09-\x0d].{8,12}\x1a.brain\.Event:", "tfevents"),
        (rb"(blob|tree|commit|tag) \d{1,12}\0", "git"),
        (rb"FOR1.{4}BEAM", "executable"),
        (rb"[CFZ]WS[\x01-\x32].{3}[\0\x01]", "executable"),
        (rb"\0\x01\0\0\0[\x01-\x40][\0-\x04]", "font"),
        (rb"07070[127][0-9A-Fa-f]{70}", "cpio"),
        # Python's bytecode: a version, its mark, flags, times and sizes (as many as the version has), a code object.
        (
            rb"(?:\x03\xf3|[\xb8-\xff]\x0b|.[\x0c-\x0e])\r\n(?:.{4}|.{8}|[\0-\x03]\0{3}.{8})[\xe3\x63]\0",
            "python-bytecode",
        ),
    )
)


def mark(head: bytes, *, text: bool) -> str:
    """Return the format that a file's first bytes are the mark of, or empty.

    Args:
        head: its first bytes.
        text: whether they can be read as a text.
    """
    for magic, kind in _BY_FIRST_BYTE.get(head[:1], ()):
        if head.startswith(magic):
            return kind
    if head.startswith(b"GGUF") and (len(head) < 8 or b"\0\0" in (head[4:6], head[5:7], head[6:8])):
        return "gguf"
    if text:
        return ""
    for magic, kind in _LETTERS:
        if head.startswith(magic):
            return kind
    for pattern, kind in _PATTERNS:
        if pattern.match(head):
            return kind
    return next((kind for kind, holds in _CHECKED if holds(head)), "")


def kinds() -> frozenset[str]:
    """Return every format whose mark matches."""
    patterns = [kind for _, kind in _PATTERNS]
    return frozenset([kind for table in (STRONG, TEXT, _LETTERS) for _, kind in table] + patterns + ["gguf", "tar"])


def is_tar(head: bytes) -> bool:
    """Return whether a file begins with a tar's header, whose checksum is the only thing that tar's readers check."""
    header, written = head[:512], head[148:156].strip(b" \0")
    if len(header) < 512 or not written.isdigit() or set(written) - set(b"01234567"):
        return False
    # The sum of its bytes, its own eight counted as spaces; old programs summed signed bytes.
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    signed = total - 256 * sum(byte > 127 for byte in header[:148] + header[156:])
    return int(written, 8) in (total, signed)


def _is_dos_program(head: bytes) -> bool:
    """Return whether a header of DOS's leads to one of Windows's or OS/2's, or holds by itself."""
    if not head.startswith(b"MZ") or len(head) < 64:
        return False
    place = int.from_bytes(head[60:64], "little")
    if head[place : place + 2] in (b"PE", b"NE", b"LE", b"LX"):
        return True
    last, pages, relocations, paragraphs = (int.from_bytes(head[at : at + 2], "little") for at in (2, 4, 6, 8))
    return last < 512 and pages > 0 and 2 <= paragraphs < 0x1000 and relocations < 0x4000


def _is_mp3(head: bytes) -> bool:
    """Return whether a frame of MPEG audio begins here, and another one where it ends."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, frequency = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 0:
        # ADTS of AAC: layer 0 and twelve bits of mark.
        return version != 1 and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13 and _repeats(head, _adts_length(head))
    if rate in (0, 15) or frequency == 3 or layer != 1:
        return False
    rates = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    lower = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    bits = (rates if version == 3 else lower)[rate - 1] * 1000
    hertz = (44100, 48000, 32000)[frequency] // {3: 1, 2: 2, 0: 4}[version]
    return _repeats(head, (144 if version == 3 else 72) * bits // hertz + (head[2] >> 1 & 1))


def _adts_length(head: bytes) -> int:
    return (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5 if len(head) > 5 else 0


def _repeats(head: bytes, length: int) -> bool:
    """Return whether the next frame begins where the first one ends."""
    return length > 6 and head[length : length + 2] == head[:2]


def _is_zlib(head: bytes) -> bool:
    """Return whether a stream of RFC 1950 begins here: its header is valid, and its data can be decompressed."""
    if len(head) < 8 or head[0] & 0x0F != 8 or head[0] >> 4 > 7 or int.from_bytes(head[:2], "big") % 31:
        return False
    stream = zlib.decompressobj()
    try:
        return bool(stream.decompress(head)) and (stream.eof or len(head) >= _WHOLE_HEAD)
    except zlib.error:
        return False


def _is_lzma(head: bytes) -> bool:
    """Return whether a stream of LZMA's oldest container begins here, one that does not state its length.

    A stated length does not distinguish such a stream from small numbers; the name does then.
    """
    dictionary = int.from_bytes(head[1:5], "little")
    if len(head) < 18 or head[0] >= 9 * 5 * 5 or head[5:13] != b"\xff" * 8 or head[13] or dictionary & (dictionary - 1):
        return False
    try:
        lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY).decompress(head, 1)
    except lzma.LZMAError as error:
        return "memory" in str(error).lower()
    return True


#: Formats whose short marks need a check of their content.
_CHECKED: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("executable", _is_dos_program),
    ("zlib", _is_zlib),
    ("lzma", _is_lzma),
    ("audio", _is_mp3),
)
