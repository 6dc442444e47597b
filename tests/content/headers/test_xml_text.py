from pathlib import Path

import pytest

from tests.content.headers.samples import rules, write
from weighbridge.content.headers import xml_text

GRAPH = b'<?xml version="1.0"?>\n<net name="m" version="11"><layers><layer id="0" type="Parameter"/></layers></net>\n'


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net name="m">&x;</net>',
        b'<!DOCTYPE net [<!ENTITY % x SYSTEM "http://127.0.0.1/x.dtd"> %x;]><net/>',
        b'<!DOCTYPE net [<!ENTITY x PUBLIC "any" "http://127.0.0.1/x">]><net/>',
        b'<!DOCTYPE net SYSTEM "http://127.0.0.1/x.dtd"><net/>',
        b'<!DOCTYPE svg SYSTEM "http://www.w3.org.example.org/x.dtd"><svg/>',
        b'<net xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="file:///etc/passwd"/></net>',
        '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net/>'.encode("utf-16"),
    ],
)
def test_what_opens_another_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    found = xml_text.read(write(tmp_path, content))
    assert [(finding.rule, finding.level) for finding in found if finding.level == "error"] == [
        ("config.external-entity", "error")
    ]


@pytest.mark.parametrize(
    "content",
    [
        GRAPH,
        b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>\n',
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd" '
        b'[<!ENTITY ns "http://ns.example.org/">]><svg/>',
        b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist/>',
    ],
)
def test_usual_files_are_nothing(tmp_path: Path, content: bytes) -> None:
    assert xml_text.read(write(tmp_path, content)) == ()


def test_what_is_no_xml_is_a_warning_and_what_is_too_large_an_error(tmp_path: Path) -> None:
    found = xml_text.read(write(tmp_path, b"<net><layers></net>"))
    assert [(finding.rule, finding.level) for finding in found] == [("config.invalid", "warning")]
    assert rules(xml_text.read(write(tmp_path, GRAPH), max_size=10)) == ["config.invalid"]


def test_entities_that_multiply_are_not_followed(tmp_path: Path) -> None:
    entities = b"".join(b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 12))
    content = b'<!DOCTYPE a [<!ENTITY a0 "x">' + entities + b"]><a>&a11;</a>"
    assert rules(xml_text.read(write(tmp_path, content))) == ["config.external-entity", "config.invalid"]
    few = b'<!DOCTYPE a [<!ENTITY x "1"><!ENTITY y "&x;&x;">]><a>&y;</a>'
    assert rules(xml_text.read(write(tmp_path, few))) == ["config.external-entity"]
