"""The next token of a causal model: the model's probabilities, drawn, and refused where there are none."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import run_cli
from tiny_gguf import write_gguf
from tiny_models import save_rinna

from pipeline.attention.maps import attention_map
from pipeline.attention.next_token import next_tokens

pytestmark = pytest.mark.slow


def test_are_the_softmax_of_the_last_logits(gpt2: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    network = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    with torch.no_grad():
        expected = network(**tokenizer("the dog", return_tensors="pt")).logits[0, -1].softmax(dim=-1)
    tokens = next_tokens("the dog", gpt2, n=len(expected))
    np.testing.assert_allclose(tokens.probability, sorted(expected.tolist(), reverse=True), atol=1e-5)
    share = tokens.set_index("token").probability
    assert share[" dog"] == pytest.approx(float(expected[tokenizer("the dog")["input_ids"][-1]]), abs=1e-5)


def test_the_end_that_a_tokenizer_appends_is_left_out(tmp_path: Path) -> None:
    import torch

    from pipeline.encoder.causal import load_causal

    model = save_rinna(tmp_path)
    tokenizer, network = load_causal(model, None)
    numbers = tokenizer("犬が猫")["input_ids"]
    assert numbers[-1] == tokenizer.eos_token_id
    with torch.no_grad():
        expected = network(input_ids=torch.tensor([numbers[:-1]])).logits[0, -1].softmax(dim=-1)
    assert next_tokens("犬が猫", model).probability[0] == pytest.approx(float(expected.max()), abs=1e-5)


def test_a_gguf_file_is_read_for_attention_and_the_next_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    capsys.readouterr()
    attention = attention_map("the dog", path)
    assert capsys.readouterr() == ("", "")
    assert attention.causal
    np.testing.assert_allclose(attention.weights.sum(axis=3), 1, atol=1e-5)
    tokens = next_tokens("the dog", path)
    assert len(tokens) == 10
    assert tokens.probability.is_monotonic_decreasing


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["the dog"], "bundled predicts no next token: its weights lack cls.predictions.bias"),
        ([" "], "give at least one word"),
        (["the dog", "--layer", "2", "--values"], "leave out --layer and --values"),
        (["the dog", "--model", "missing.gguf"], "There is no file 'missing.gguf'"),
        (["the dog", "--out", "map.pdf"], "--out ends in .png"),
    ],
)
def test_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run_cli(monkeypatch, "attend", "--next", *arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert message in line


def test_a_masked_language_model_predicts_none(tmp_path: Path, tiny_encoder: str) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertForMaskedLM(BertConfig(vocab_size=80, initializer_range=0.5, **sizes)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_encoder).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="predicts no next token: it reads what comes after a token"):
        next_tokens("the dog", tmp_path)


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.html", b"<!doctype html>"), ("a.csv", b"token,")],
)
def test_is_written_as_each_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpt2: str, name: str, start: bytes
) -> None:
    path = tmp_path / name
    assert run_cli(monkeypatch, "attend", "the <dog> 犬", "--next", "--model", gpt2, "--out", str(path)) == 0
    content = path.read_bytes()
    assert content.startswith(start)
    if name == "a.csv":
        table = pd.read_csv(StringIO(content.decode()), keep_default_na=False)
        np.testing.assert_allclose(table.probability, next_tokens("the <dog> 犬", gpt2).probability, atol=1e-6)
    if name == "a.html":
        assert "<h1>the &lt;dog&gt; 犬</h1>" in content.decode()


def test_is_printed_as_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gpt2: str) -> None:
    assert run_cli(monkeypatch, "attend", "the dog", "--next", "--model", gpt2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "probability of the next token" in " ".join(lines)
    assert any("█" in line for line in lines)
