"""The difference of two databases: what is clean under the older one and under it is clean under the newer one.

Each case has the older and the newer database, and a file. The engine is the installed libclamav.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scanners.clamd.databases import Files, container, hsb, ldb, ndb, write, yara
from tests.scanners.containers import tarred, zipped
from tests.services.libclamav import Engine
from weighbridge.scanners.clamd.difference import difference
from weighbridge.scanners.clamd.unpacked import UnpackedLimits

A, B, C = b"alpha-marker-0001", b"bravo-marker-0002", b"gamma-marker-0003"
BASE = {"x.ndb": ndb("Old.A", A)}
MACRO = "Macro;Engine:51-255,Target:0;0&1;616161;${3-9}12$\n"
HANDLER = ldb("Handler", b"plain words", attributes="Target:0,HandlerType:CL_TYPE_HTML")
HTML = b"plain words <p>Gam<b></b>ma-Marker</p>"
OF_HTML = ndb("Of.Html", b"<p>gam<b></b>ma-marker</p>", target=3)
TEXT = ndb("Text", b"some text here that is long enough to count", target=7)
FROM_END = ndb("Text.End", b"some other text", target=7, offset="EOF-15")
WORDS = b"Hello   WORLD of text\n" * 3
NORMAL = b"hello world of text " * 3
LONG = b"g" * 30 + b"a generic pattern of more bytes than texts overlap "
#: A zip whose member, with A in it, has the password `secretpw`.
ENCRYPTED = base64.b64decode(
    "UEsDBAoACQAAABwZfV0iv8WgHwAAABMAAAACABwAZW1VVAkAA0eXC2tHlwtrdXgLAAEEAAAAAAQAAAAAaWKfQw/rc3AovglThpuA"
    "IoadV57SyILC26VYlnpB5lBLBwgiv8WgHwAAABMAAABQSwECHgMKAAkAAAAcGX1dIr/FoB8AAAATAAAAAgAYAAAAAAABAAAApIEA"
    "AAAAZW1VVAUAA0eXC2t1eAsAAQQAAAAABAAAAABQSwUGAAAAAAEAAQBIAAAAawAAAAAA"
)
EXPRESSION = f"Expression;Engine:81-255,Target:0;0&1;{C.hex()};0/gam+a/\n"


def md5(name: str, content: bytes) -> str:
    return f"{hashlib.md5(content).hexdigest()}:{len(content)}:{name}\n"


@dataclass(frozen=True)
class Found:
    """The names of what each database recognises in a file; `delta` is None where there is no difference."""

    old: str
    new: str
    delta: str | None
    reason: str = ""


Compare = Callable[[Files, Files, bytes], Found]


@pytest.fixture
def compare(tmp_path: Path) -> Compare:
    def run(before: Files, after: Files, content: bytes) -> Found:
        path = tmp_path / "file"
        path.write_bytes(content)
        old, new = write(tmp_path / "before", before), write(tmp_path / "after", after)
        found = difference(old, new, tmp_path / "delta")
        with Engine(old) as engine:
            of_old = engine.finds(path)
        with Engine(new) as engine:
            of_new = engine.finds(path)
        if found.folder is None:
            assert not (tmp_path / "delta").exists()
            return Found(of_old, of_new, None, found.reason)
        with Engine(found.folder) as engine:
            return Found(of_old, of_new, engine.finds(path))

    return run


ADDED: dict[str, tuple[Files, Files, bytes]] = {
    "a pattern": (BASE, {"x.ndb": BASE["x.ndb"] + ndb("N", C)}, b"-" + C),
    "a pattern in a file of its own": (BASE, {**BASE, "y.ndb": ndb("N", C)}, b"-" + C),
    "an old pattern": (BASE, {**BASE, "x.db": f"N={C.hex()}\n"}, b"-" + C),
    "a sha256": (BASE, {**BASE, "x.hsb": hsb("N", C)}, C),
    "an md5": (BASE, {**BASE, "x.hdb": md5("N", C)}, C),
    "an md5 of any size": (BASE, {**BASE, "x.hdb": f"{hashlib.md5(C).hexdigest()}:*:N:73\n"}, C),
    "a logical signature": (BASE, {**BASE, "x.ldb": ldb("N", B, C)}, C + B),
    "a regular expression": (BASE, {**BASE, "x.ldb": EXPRESSION}, C),
    "a YARA rule": (BASE, {**BASE, "x.yar": yara("N", C)}, b"-" + C),
    "a changed YARA rule": ({"x.yar": yara("N", A)}, {"x.yar": yara("N", A) + yara("M", C)}, b"-" + C),
    "a member's name": (
        BASE,
        {**BASE, "x.cdb": r"N:CL_TYPE_ZIP:*:evil\.bin:*:*:*:*:*:*" "\n"},
        zipped(**{"evil.bin": B}),
    ),
    "in a zip": (BASE, {**BASE, "y.ndb": ndb("N", C)}, zipped(a=B, b=gzip.compress(B + C))),
    "a changed pattern": ({**BASE, "y.ndb": ndb("N", C + C)}, {**BASE, "y.ndb": ndb("N", C)}, b"-" + C + b"-"),
    "a lower level": ({**BASE, "y.ndb": ndb("N", C, levels=":900")}, {**BASE, "y.ndb": ndb("N", C, levels=":51")}, C),
    "a higher last level": (
        {**BASE, "y.ndb": ndb("N", C, levels=":51:60")},
        {**BASE, "y.ndb": ndb("N", C, levels=":51:900")},
        C,
    ),
    "a text": ({"x.ndb": TEXT}, {"x.ndb": TEXT + ndb("N", b"short one", target=7)}, b"A  SHORT ONE it is, yes.\n"),
    "what names an older macro": (
        {"x.ndb": "D1:0:$12:626262\n"},
        {"x.ndb": "D1:0:$12:626262\n", "x.ldb": MACRO},
        b"aaaxxxxbbbccc" * 3 + b"aaaabbb",
    ),
    "an ignored name vanishes": ({**BASE, "l.ign2": "Old.A\n"}, BASE, A),
    "an ignored name with its line's md5 vanishes": (
        {**BASE, "l.ign2": f"Old.A:{hashlib.md5(str(BASE['x.ndb']).strip().encode()).hexdigest()}\n"},
        BASE,
        A,
    ),
    "an ignored name in the older form vanishes": ({**BASE, "l.ign": "x:1:Old.A\n"}, BASE, A),
    "an ignored rule vanishes": ({"x.yar": yara("r", C), "l.ign2": "r\n"}, {"x.yar": yara("r", C)}, C),
    "in a container": (
        {"d.cud": container({"d.ndb": ndb("O", A)})},
        {"d.cud": container({"d.ndb": ndb("O", A) + ndb("N", C)})},
        C,
    ),
    "in a plain container": (
        {"d.cud": container({"d.ndb": ndb("O", A)}, plain=True)},
        {"d.cud": container({"d.ndb": ndb("O", A) + ndb("N", C)}, plain=True)},
        C,
    ),
    # libclamav does not read a last line without a line feed there.
    "the line feed of a container's last line": (
        {"d.cud": container({"d.ndb": ndb("O", A) + ndb("N", C).strip()})},
        {"d.cud": container({"d.ndb": ndb("O", A) + ndb("N", C)})},
        C,
    ),
    # libclamav ignores what comes after the list.
    "a container's list of ignored names comes later": (
        {"d.cud": container({"d.ign2": "O\n", "d.ndb": ndb("O", A)})},
        {"d.cud": container({"d.ndb": ndb("O", A), "d.ign2": "O\n"})},
        A,
    ),
}


@pytest.mark.parametrize("case", ADDED)
def test_what_is_new_is_in_the_difference(compare: Compare, case: str) -> None:
    found = compare(*ADDED[case])
    assert (found.old, found.new) == ("", found.new)
    assert found.new
    assert found.delta == found.new


GONE: dict[str, tuple[Files, Files, bytes]] = {
    "removed": ({**BASE, "y.ndb": ndb("N", C)}, BASE, C),
    "ignored": (BASE, {**BASE, "l.ign2": "Old.A\n"}, A),
    "a false positive": (BASE, {**BASE, "l.fp": md5("F", A)}, A),
    "a false positive by sha256": (BASE, {**BASE, "l.sfp": hsb("F", A)}, A),
}


@pytest.mark.parametrize("case", GONE)
def test_what_is_gone_is_not_looked_for(compare: Compare, case: str) -> None:
    found = compare(*GONE[case])
    assert found.old
    assert (found.new, found.delta) == ("", "")


def long_text() -> bytes:
    """Return a text with a pattern across the place where clamd cuts it."""
    return (b"a b C d " * 16500)[:131_000] + (LONG * 2).upper() + b" z" * 3000


#: Changes after which an older signature recognises what it did not: databases, a file, and words of the reason.
WIDER: dict[str, tuple[Files, Files, bytes, str]] = {
    "a false positive vanishes": ({**BASE, "l.fp": md5("F", A)}, BASE, A, "false positive"),
    "a false positive by sha256 vanishes": ({**BASE, "l.sfp": hsb("F", A)}, BASE, A, "false positive"),
    "a false positive is ignored": (
        {**BASE, "l.fp": md5("F", A)},
        {**BASE, "l.fp": md5("Fals", A), "l.ign2": "Fals\n"},
        A,
        "false positive",
    ),
    "a false positive of the same name is ignored": (
        {**BASE, "l.fp": md5("Fals", A)},
        {**BASE, "l.fp": md5("Fals", A), "l.ign2": "Fals\n"},
        A,
        "ignored name",
    ),
    "a macro gets a pattern": (
        {"x.ndb": TEXT, "x.ldb": MACRO},
        {"x.ndb": TEXT + "D1:0:$12:626262\n", "x.ldb": MACRO},
        b"aaaxxxxbbbccc" * 3 + b"aaaabbb",
        "macro",
    ),
    "a handler": ({"x.ndb": OF_HTML}, {"x.ndb": OF_HTML, "x.ldb": HANDLER}, HTML, "another format"),
    "a password": (BASE, {**BASE, "x.pwdb": "pw;Engine:81-255;0;secretpw\n"}, ENCRYPTED, "x.pwdb"),
    "a text from its end": (
        {"x.ndb": TEXT, "h.hdb": md5("Whole", NORMAL)},
        {"x.ndb": TEXT + FROM_END, "h.hdb": md5("Whole", NORMAL)},
        WORDS,
        "offset from the end",
    ),
    "a longer text": (
        {"x.ndb": TEXT + ndb("Long", LONG * 2)},
        {"x.ndb": TEXT + ndb("Long", LONG * 2) + ndb("N", b"q" * 400, target=7)},
        long_text(),
        "longest text",
    ),
}


@pytest.mark.parametrize("case", WIDER)
def test_where_an_older_signature_may_recognise_more_there_is_no_difference(compare: Compare, case: str) -> None:
    before, after, content, words = WIDER[case]
    found = compare(before, after, content)
    assert (found.old, bool(found.new), found.delta) == ("", True, None)
    assert words in found.reason


#: Changes that are not proven, without a file at hand that they matter for: databases, and words of the reason.
DOUBTFUL: dict[str, tuple[Files, Files, str]] = {
    "settings": (BASE, {**BASE, "daily.cfg": "ARCHIVE:0x1\n"}, "daily.cfg"),
    "a format": (BASE, {**BASE, "x.ftm": "0:0:51515151:Ours:CL_TYPE_ANY:CL_TYPE_ZIP\n"}, "x.ftm"),
    "certificates": (BASE, {**BASE, "x.crb": "# a certificate\n"}, "x.crb"),
    "icons": (BASE, {**BASE, "x.idb": "# an icon\n"}, "x.idb"),
    "phishing": (BASE, {**BASE, "x.pdb": "H:example.com\n"}, "x.pdb"),
    "a macro loses a pattern": ({"x.ndb": "D1:0:$12:626262\n"}, BASE, "macro"),
    "an ignored macro": (
        {**BASE, "y.ndb": "D1:0:$12:626262\n"},
        {**BASE, "y.ndb": "D1:0:$12:626262\n", "l.ign2": "D1\n"},
        "others depend",
    ),
    "bytecode": (BASE, {**BASE, "x.cbc": "ClamBC\n"}, "bytecode"),
    "a rule of another file": (
        {**BASE, "x.yar": 'include "y.yar"\n'},
        {**BASE, "x.yar": 'include "y.yar"\n'},
        "includes",
    ),
    "the last regular expression": (
        {**BASE, "x.ldb": EXPRESSION},
        BASE,
        "regular expression",
    ),
    "a zero byte": (BASE, {**BASE, "y.ndb": "N:0:*:aabbccdd\0\n"}, "zero byte"),
    "a long line": (BASE, {**BASE, "y.ndb": ndb("N", b"x" * 5000)}, "8190 bytes"),
    "the daily database twice": (BASE, {**BASE, "daily.cvd": container({}), "daily.cld": container({})}, "both"),
    "settings elsewhere": (
        BASE,
        {**BASE, "other.cud": container({"other.cfg": "ARCHIVE:0x1\n"})},
        "outside of the daily database",
    ),
    "a container in a container": (BASE, {**BASE, "x.cud": container({"y.cud": b""})}, "another container"),
    "a container without a header": (BASE, {**BASE, "x.cud": container({})[512:]}, "no header"),
    "a container that is cut": (BASE, {**BASE, "x.cud": container({"y.ndb": ndb("N", C)})[:600]}, "cannot be unpacked"),
    "a plain container that is cut": (
        BASE,
        {**BASE, "x.cud": container({"y.ndb": ndb("N", C)}, plain=True)[: 512 + 512 * 5 + 10]},
        "too early",
    ),
}


#: Of these, the other direction is proven.
ONE_WAY = ("the last regular expression",)


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_is_not_proven_falls_back_with_a_reason(tmp_path: Path, case: str) -> None:
    before, after, words = DOUBTFUL[case]
    one, two = write(tmp_path / "one", before), write(tmp_path / "two", after)
    found = difference(one, two, tmp_path / "delta")
    assert found.folder is None
    assert words in found.reason
    assert found.reason.endswith(".")
    assert (difference(two, one, tmp_path / "delta").folder is not None) == (case in ONE_WAY)


def test_unpacking_has_limits(tmp_path: Path) -> None:
    old = write(tmp_path / "one", BASE)
    bomb = write(tmp_path / "two", {"x.cud": container({"y.ndb": bytes(5_000_000)})})
    many = write(tmp_path / "three", {"x.cud": container({f"{number}.ndb": "" for number in range(50)})})
    assert "more than 1000000 bytes" in difference(old, bomb, tmp_path / "delta", UnpackedLimits(size=1_000_000)).reason
    assert "10 files" in difference(old, many, tmp_path / "delta", UnpackedLimits(files=10)).reason


def test_a_difference_that_was_there_is_replaced(tmp_path: Path) -> None:
    old, new = write(tmp_path / "one", BASE), write(tmp_path / "two", {**BASE, "y.ndb": ndb("N", C)})
    (tmp_path / "delta").mkdir()
    (tmp_path / "delta" / "left.ndb").write_text("half a line")
    first, second = difference(old, new, tmp_path / "delta"), difference(old, old, tmp_path / "delta")
    assert (first.added, second.added) == (1, 0)
    assert first.fingerprint != second.fingerprint
    assert [path.name for path in sorted((tmp_path / "delta").iterdir())] == ["test-only.ndb"]


WORDS_OF_FILES = [f"marker-{number:03}-{letter}".encode() for number, letter in enumerate("abcdefgh")]


def random_files(chance: random.Random) -> Files:
    """Return a database of a few signatures about few words, so that they meet often."""
    files: dict[str, str] = {"always.ndb": TEXT + ndb("Always", b"never in any of the files")}
    for number in range(chance.randrange(1, 7)):
        words = chance.sample(WORDS_OF_FILES, 2)
        name = f"S{chance.randrange(5)}"
        suffix, line = chance.choice(
            [
                ("ndb", ndb(name, words[0])),
                ("ndb", ndb(name, words[0] + b"." + words[1])),
                ("ndb", ndb(name, words[0], target=7)),
                ("ndb", ndb(name, words[0], target=7, offset="EOF-12")),
                ("ndb", ndb(name, words[0], offset="$3")),
                ("ldb", ldb(name, *words)),
                ("ldb", ldb(name, *words, logic="0&(1=0)")),
                ("ldb", ldb(name, *words, logic="0|1")),
                ("ldb", f"{name};Engine:51-255,Target:0;0&1;{words[0].hex()};${{1-90}}3$\n"),
                ("ldb", ldb(name, words[0], attributes="Target:0,HandlerType:CL_TYPE_HTML")),
                ("ldb", ldb(name, words[0], attributes="Target:0,Container:CL_TYPE_ZIP")),
                ("hdb", md5(name, words[0])),
                ("hsb", hsb(name, words[0] + b"." + words[1])),
                ("fp", md5(f"F{number}", words[0])),
                ("sfp", hsb(f"F{number}", words[0] + b"." + words[1])),
                ("ign2", f"{name}\n"),
                ("yar", yara(f"{name}_{number}", words[0])),
            ]
        )
        if chance.random() < 0.3 and suffix not in ("fp", "sfp"):
            files[f"c{number}.cud"] = container({f"c.{suffix}": line})  # type: ignore[assignment]
        else:
            files[f"x.{suffix}"] = files.get(f"x.{suffix}", "") + line
    return files


def changed(files: Files, chance: random.Random) -> Files:
    """Return a successor of a database: some files and lines of it, and some of another one."""
    result = {name: content for name, content in files.items() if name == "always.ndb" or chance.random() < 0.9}
    for name, content in random_files(chance).items():
        result.setdefault(name, content)
        if isinstance(content, str) and isinstance(result[name], str) and chance.random() < 0.7:
            lines = f"{result[name]}{content}".splitlines(keepends=True)
            result[name] = "".join(dict.fromkeys(lines))
    return result


def random_content(chance: random.Random) -> bytes:
    words = chance.sample(WORDS_OF_FILES, chance.randrange(1, 4))
    content = chance.choice([b".", b" ", b"\0", b"</p>\n<p>"]).join(words)
    for _ in range(chance.randrange(3)):
        sibling = chance.choice(WORDS_OF_FILES)
        content = chance.choice(
            [gzip.compress(content), tarred("x", content), zipped(a=content, b=sibling), zipped(a=sibling, b=content)]
        )
    return content


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_clean_before_and_in_the_difference_is_clean_after(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    proven = mattered = 0
    for number in range(12):
        before = random_files(chance)
        after = changed(before, chance)
        folder = tmp_path / str(number)
        old, new = write(folder / "before", before), write(folder / "after", after)
        delta = difference(old, new, folder / "delta").folder
        if delta is None:
            continue
        with Engine(old) as of_old, Engine(new) as of_new, Engine(delta) as of_delta:
            for count in range(12):
                path = folder / f"file{count}"
                path.write_bytes(random_content(chance))
                if not of_old.finds(path):
                    proven += 1
                    mattered += bool(of_new.finds(path))
                    assert of_delta.finds(path) or not of_new.finds(path), (before, after, path)
    assert proven > 10
    assert mattered
