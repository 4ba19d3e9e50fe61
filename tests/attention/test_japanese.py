"""Models of Japanese: MeCab's words and sentencepiece's pieces, where they lie in the text, and what they need."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from project import run_cli
from tiny_models import save_japanese_bert, save_rinna

from pipeline.attention.maps import attention_map
from pipeline.encoder.load import load_network
from pipeline.features import AttentionPooling, SentenceEmbedding

for package in ("fugashi", "unidic_lite", "sentencepiece"):
    pytest.importorskip(package)

TEXT = "犬が猫を追う"
# Spaces, full width, a number in a circle, and words that the vocabulary does not have.
ODD = "犬が、ねこを追い  かけた①。 ＡＢＣ"
KINDS = ("wordpiece", "character", "rinna")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Directories of a BERT with MeCab and words, one with MeCab and characters, and a GPT-2 as rinna's."""
    berts = {kind: save_japanese_bert(tmp_path_factory.mktemp(kind), kind) for kind in KINDS[:2]}
    return berts | {"rinna": save_rinna(tmp_path_factory.mktemp("rinna"))}


@pytest.mark.parametrize("kind", KINDS)
def test_attend_prints_a_table(
    kind: str, models: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "attend", TEXT, "--model", models[kind], "--word", "猫") == 0
    out, err = capsys.readouterr()
    assert "犬" in out
    assert "error" not in err


@pytest.mark.parametrize(
    ("kind", "pieces"),
    [
        ("wordpiece", ["", "犬", "が", "、", "ねこ", "を", "追い", "かけ", "た", "①", "。", "ＡＢＣ", ""]),
        ("character", ["", *"犬が、ねこを追いかけた①。ＡＢＣ", ""]),
        ("rinna", ["", "犬", "が", "、ねこ", "を", "追", "い", "", "かけ", "た", "①", "。", "", "ＡＢＣ", ""]),
    ],
)
def test_each_token_has_its_place_in_the_text(kind: str, pieces: list[str], models: dict[str, str]) -> None:
    attention = attention_map(ODD, models[kind])
    places = [ODD[start:end] for start, end in attention.spans]
    # Which of the characters a sentencepiece model joins is its own affair; the words of MeCab are not.
    assert places == pieces if kind != "rinna" else "".join(places) == "".join(pieces)
    np.testing.assert_allclose(attention.weights.sum(axis=3), 1, atol=1e-5)
    assert "ＡＢＣ" in attention.unknown or set("ＡＢＣ") <= set(attention.unknown)
    assert [attention.tokens[i] for i in attention.positions("犬")] == ["犬"]


def test_words_in_pieces(models: dict[str, str]) -> None:
    assert attention_map("東京です", models["wordpiece"]).tokens == ["[CLS]", "東京", "です", "[SEP]"]


def test_rinnas_ids_are_those_of_sentencepiece_and_the_unknown_is_not_the_end(models: dict[str, str]) -> None:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(Path(models["rinna"], "spiece.model")))
    tokenizer, _ = load_network(models["rinna"], None)
    for text in (TEXT, ODD, "今日は良い天気", "Ωは？", "  犬 "):
        assert tokenizer(text)["input_ids"] == [*processor.encode(text), tokenizer.eos_token_id]
    assert tokenizer.unk_token_id in tokenizer(ODD)["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_features(kind: str, models: dict[str, str]) -> None:
    assert SentenceEmbedding(models[kind]).fit_transform([TEXT, ODD]).shape == (2, 8)
    table = AttentionPooling("length", model=models[kind]).fit([TEXT]).explain(TEXT)
    inside = table[table["end"] > table["start"]]
    assert "".join(TEXT[start:end] for start, end in zip(inside["start"], inside["end"], strict=True)) == TEXT


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("wordpiece", "fugashi"), ("character", "unidic_lite"), ("rinna", "sentencepiece"), ("rinna", "google.protobuf")],
)
def test_without_the_extra_the_error_names_it(
    kind: str,
    missing: str,
    models: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    # In a place where no encoder has been loaded from yet.
    model = shutil.copytree(models[kind], tmp_path / "model")
    assert run_cli(monkeypatch, "attend", TEXT, "--model", str(model)) == 2
    said = capsys.readouterr().err
    what = f"The tokenizer of {str(model)!r} needs {missing}"
    assert said.splitlines()[-1] == f'error: {what}: pip install "t-method-vs-attention[japanese]"'
    assert "Traceback" not in said
