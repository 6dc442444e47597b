"""Names of licences as publishers write them, many of them from bug reports of other tools, and their alternatives."""

import pytest

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.licence_names import alternatives, is_licence_file, licence_name, licence_names
from weighbridge.domain.licence_table import licence_of
from weighbridge.domain.licences import LicenceRules, judge_licence


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("MIT License", "MIT"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("gpl-3.0", "GPL-3.0-only"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0"),
        ("llama3.1", "llama3.1"),
        ("Llama-3.1-Community", "llama3.1"),
        ("gemma", "gemma"),
        ("openrail", "openrail"),
        ("creativeml-openrail-m", "creativeml-openrail-m"),
        ("Our Own Terms (2024)", "Our Own Terms (2024)"),
        ("gpl", "gpl"),
        ("( AND withandApache-2.0", "( AND withandApache-2.0"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"),
        ("other", ""),
        ("unknown", ""),
        ("  ", ""),
    ],
)
def test_names_become_spdx_where_there_is_one(stated: str, name: str) -> None:
    assert licence_name(stated) == name


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("GPL-3.0+", "GPL-3.0-or-later"),
        ("GPLv3", "GPL-3.0-only"),
        ("GPLv3+", "GPL-3.0-or-later"),
        ("GNU GPL v3", "GPL-3.0-only"),
        ("gpl-2.0-or-later", "GPL-2.0-or-later"),
        ("AGPLv3", "AGPL-3.0-only"),
        ("LGPLv2.1", "LGPL-2.1-only"),
        ("lgpl-3.0", "LGPL-3.0-only"),
        ("Apache2", "Apache-2.0"),
        ("ASL2.0", "Apache-2.0"),
        ("The Apache Software License, Version 2.0", "Apache-2.0"),
        ("Apache-2.0 License", "Apache-2.0"),
        ("BSD3", "BSD-3-Clause"),
        ("3-Clause BSD License", "BSD-3-Clause"),
        ("CC0", "CC0-1.0"),
        ("0bsd", "0BSD"),
        ("mit-0", "MIT-0"),
        ("GNU General Public License v3.0", "GPL-3.0-only"),
        ("GNU Affero General Public License, Version 3 or later", "AGPL-3.0-or-later"),
        ("GNU Lesser General Public License v3 (LGPLv3)", "LGPL-3.0-only"),
        ("Mozilla Public License, Version 2.0", "MPL-2.0"),
        ("Creative Commons Zero v1.0 Universal", "CC0-1.0"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("cc-by-nc-sa 4.0 international", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution Non Commercial 4.0", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution 4.0 International Public License", "CC-BY-4.0"),
        ("llama3", "llama3"),
        ("Llama 3.3 Community License Agreement", "llama3.3"),
        ("LicenseRef-scancode-llama-3.1-license-2024", "llama3.1"),
        ("LicenseRef-scancode-gemma-tou-2024-04-01", "gemma"),
        ("Gemma Terms of Use", "gemma"),
        ("Mistral-Research", "mrl"),
        ("mrl-0.1", "mrl"),
        ("OpenAI-TOS", "openai-tos"),
        ("https://www.apache.org/licenses/LICENSE-2.0", "Apache-2.0"),
        ("https://spdx.org/licenses/MIT.html", "MIT"),
        ("https://opensource.org/licenses/BSD-3-Clause", "BSD-3-Clause"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
        ("https://creativecommons.org/licenses/by-nc/4.0/deed.en", "CC-BY-NC-4.0"),
        ("https://www.gnu.org/licenses/agpl-3.0.en.html", "AGPL-3.0-only"),
        ("https://www.llama.com/llama3_1/license/", "llama3.1"),
        ("https://publisher.example/terms", "https://publisher.example/terms"),
        ("MIT/Apache-2.0", "MIT AND Apache-2.0"),
        ("MIT, GPL2", "MIT AND GPL-2.0-only"),
        ("MIT & our terms", "MIT & our terms"),
        ("other, unknown", "other, unknown"),
        ("flux-1-dev-non-commercial-license", "flux-1-dev-non-commercial-license"),
        ("Llama of the Andes", "Llama of the Andes"),
        ("mitnick", "mitnick"),
    ],
)
def test_names_that_other_tools_stumble_over(stated: str, name: str) -> None:
    assert licence_name(stated) == name
    assert licence_name(name) == name


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", ("GPL-2.0-only", "MIT")),
        ("( AND withandApache-2.0", ("( AND withandApache-2.0",)),
        ("Apache-2.0 WITH Commons-Clause", ("Apache-2.0", "Apache-2.0 WITH Commons-Clause")),
        ("not WITH -LicenseRef-x", ("not", "not WITH -LicenseRef-x")),
        ("Our Own Terms (2024)", ("Our Own Terms (2024)",)),
        ("", ("",)),
    ],
)
def test_the_policy_can_take_any_name_apart(expression: str, names: tuple[str, ...]) -> None:
    assert licence_names(expression) == names


@pytest.mark.parametrize(
    ("expression", "ways"),
    [
        ("MIT", [("MIT",)]),
        ("MIT OR GPL-3.0-only", [("MIT",), ("GPL-3.0-only",)]),
        ("MIT AND llama3.1", [("MIT", "llama3.1")]),
        ("(MIT OR ISC) AND Apache-2.0", [("MIT", "Apache-2.0"), ("ISC", "Apache-2.0")]),
        ("GPL-2.0-only WITH Classpath-exception-2.0", [("GPL-2.0-only WITH Classpath-exception-2.0",)]),
        ("MIT OR Apache-2.0 WITH Commons-Clause", [("MIT",), ("Apache-2.0", "Apache-2.0 WITH Commons-Clause")]),
        ("Our Own Terms (2024)", [("Our Own Terms (2024)",)]),
        ("", [("",)]),
    ],
)
def test_alternatives(expression: str, ways: list[tuple[str, ...]]) -> None:
    assert sorted(alternatives(expression)) == sorted(ways)


def test_an_expression_with_too_many_alternatives_is_one_unknown_licence() -> None:
    expression = " AND ".join(f"(a{number} OR b{number})" for number in range(20))
    assert alternatives(expression) == ((expression,),)


def test_files_with_the_text_of_a_licence() -> None:
    names = ("LICENSE", "license.txt", "LICENCE.md", "COPYING", "USE_POLICY.md", "LICENSE-MODEL")
    assert [name for name in names if not is_licence_file(name)] == []
    assert not any(map(is_licence_file, ("README.md", "licensed.py", "sub/LICENSE", "unlicense.bin")))


def test_an_exception_only_adds_permissions() -> None:
    assert licence_of("GPL-2.0-only WITH Classpath-exception-2.0") == licence_of("gpl-2.0")
    assert licence_of("Llama-3.1-Community") == licence_of("llama3.1")
    assert licence_of("modified-mit") is licence_of("") is licence_of("LicenseRef-ours") is None


@pytest.mark.parametrize("exception", ["Commons-Clause", "no-commercial-use", "MIT", "classpath"])
def test_what_is_no_exception_of_spdx_is_a_further_licence_that_is_not_known(exception: str) -> None:
    name = f"Apache-2.0 WITH {exception}"
    assert licence_of(name) is None
    card = ModelCard({"licence": Field(licence_name(name), "README.md")})
    assert [rule for _, rule, _ in judge_licence(card, LicenceRules())] == ["licence.unknown"]
    assert [rule for _, rule, _ in judge_licence(card, LicenceRules(allow=("apache-2.0",)))] == ["licence.denied"]
    denied = [rule for _, rule, _ in judge_licence(card, LicenceRules(deny=("apache-2.0",)))]
    assert denied == ["licence.denied", "licence.unknown"]
