"""What names of GGUF files say: quantisations, parts, projectors, and which file a tag means."""

from __future__ import annotations

import pytest

from weighbridge.domain.gguf_names import chosen, gguf_files, projector, quantisation


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("sub/llama-q4_k_m.gguf", "Q4_K_M"),
        ("Codestral-22B-v0.1-Q2_K.gguf", "Q2_K"),
        ("Codestral-22B-v0.1.gguf", ""),
        ("Codestral-22B-v0.1-F32-Q2_K.gguf", "Q2_K"),
        ("Codestral-22B.IQ3_XS.gguf", "IQ3_XS"),
        ("Replete-Qwen-32b-IQ4_NL.gguf", "IQ4_NL"),
        ("model-IQ2_XXS.gguf", "IQ2_XXS"),
        ("Qwen3-4B-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("model-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("model-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("model_f16.gguf", "F16"),
        ("model-bf16-00001-of-00002.gguf", "BF16"),
        ("bitnet-TQ1_0.gguf", "TQ1_0"),
        ("BTL-3-Compact-AVQ2.gguf", ""),
        ("BTL-3-AVQ4_0.gguf", ""),
        ("model.gguf", ""),
        ("ggml-model-i2_s.gguf", ""),
    ],
)
def test_the_quantisation_in_a_name(path: str, expected: str) -> None:
    assert quantisation(path) == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a-Q8_0.gguf", "a-Q4_K_M.gguf", "a-Q2_K.gguf"], "a-Q4_K_M.gguf"),
        (["a-Q8_0.gguf", "a-Q4_K_S.gguf", "a-Q2_K.gguf"], "a-Q4_K_S.gguf"),
        (["b.gguf", "a.gguf"], "a.gguf"),
        (["a-Q2_K.gguf", "b-F16.gguf"], "a-Q2_K.gguf"),
        (["a-Q4_K_M-00001-of-00002.gguf", "a-Q4_K_M-00002-of-00002.gguf", "a-Q2_K.gguf"], "a-Q2_K.gguf"),
        (["A.GGUF", "readme.md", "imatrix.gguf", "mmproj-a.gguf"], "A.GGUF"),
    ],
)
def test_the_default(paths: list[str], expected: str) -> None:
    found = chosen(gguf_files(paths), "")
    assert found is not None
    assert found.paths[0] == expected


def test_parts_are_one_model() -> None:
    parts = [f"x/a-BF16-0000{number}-of-00003.gguf" for number in (3, 1, 2)]
    (found,) = gguf_files([*parts, "b.txt"])
    assert (found.paths, found.is_split, found.quantisation) == (tuple(sorted(parts)), True, "BF16")
    assert chosen([found], "bf16") is found
    assert chosen([found], "q8_0") is None
    assert chosen([], "") is None


def test_the_projector() -> None:
    assert projector(["a.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"]) == "mmproj-F16.gguf"
    assert projector(["sub/model-mmproj.gguf", "a.gguf"]) == "sub/model-mmproj.gguf"
    assert projector(["mmproj.md", "a.gguf"]) == ""
