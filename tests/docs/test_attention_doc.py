"""Every number on docs/attention.md is computed anew, and its pictures are made anew."""

import io
import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from project import ROOT, run_cli

from pipeline.attention import scaled_dot_product_attention
from pipeline.attention.maps import attention_map, moved
from pipeline.features import AttentionPooling

pytestmark = pytest.mark.slow

Names = dict[str, Any]

DOCS = ROOT / "docs"
PAGE = (DOCS / "attention.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"^\$ python -m pipeline (.*)$", PAGE, flags=re.MULTILINE)
NUMBER = r"-?\d+(?:\.\d*)?"


def sections() -> dict[str, str]:
    """Return the sentences and tables of each section, without code, pictures and what is marked as measured."""
    text = re.sub(r"<!-- measured.*?<!-- /measured -->|```.*?```|<[^>]+>", "", PAGE, flags=re.DOTALL)
    parts = re.split(r"^#+ (.*)$", text, flags=re.MULTILINE)[1:]
    return {heading: " ".join(body.split()) for heading, body in zip(parts[::2], parts[1::2], strict=True)}


@pytest.fixture(scope="module")
def run() -> tuple[Names, list[str]]:
    """Run the page from top to bottom: its names, and what each block prints."""
    names: Names = {}
    printed = []
    with chdir(ROOT):
        for code, _ in BLOCKS:
            with redirect_stdout(io.StringIO()) as output:
                exec(compile(code, "attention.md", "exec"), names)
            printed.append(output.getvalue())
    return names, printed


def introduction(names: Names) -> Iterator[str]:
    yield from ()


def four_words(names: Names) -> Iterator[str]:
    Q, K, V = (names[name] for name in "QKV")
    scores, scaled = Q @ K.T, Q @ K.T / math.sqrt(3)
    weights = np.exp(scaled[0]) / np.exp(scaled[0]).sum()
    over_all = np.exp(scaled[0]) / np.exp(scaled).sum()
    output = weights @ V
    np.testing.assert_allclose(scaled_dot_product_attention(Q, K, V)[0], output, rtol=1e-12)
    np.testing.assert_allclose(scaled_dot_product_attention(Q, K, V, normalize="all")[0], over_all @ V, rtol=1e-12)
    yield f"| score, query · key | {' | '.join(map(str, scores[0]))} | |"
    yield f"| divided by √{K.shape[1]} | {cells(scaled[0])} | |"
    yield f"| softmax over the keys | {cells(weights)} | {weights.sum():.3f} |"
    yield f"| softmax over all {scores.size} scores | {cells(over_all)} | {over_all.sum():.3f} |"
    yield f"| value | {' | '.join(map(vector, V))} | |"
    terms = " + ".join(f"{weight:.3f} · {vector(value)}" for weight, value in zip(weights, V, strict=True))
    yield f"with these weights: {terms} = ({', '.join(f'{number:.3f}' for number in output)})"
    yield f"the weights of w1 sum to {over_all.sum():.3f} only"
    n, block, window = 4096, 128, 2
    distance = np.abs(np.arange(4)[:, None] - np.arange(4))
    np.testing.assert_array_equal(names["sliding_mask"](window)(*np.ix_(range(4), range(4))), distance < window)
    yield f"with `sliding_mask({window})` those less than {window} positions away"
    yield f"of {n:,} tokens that has {n * n:,} weights, a block of {block} x {block} has {block * block:,}"


def inside_a_model(names: Names) -> Iterator[str]:
    attention = names["attention"]
    n_layers, n_heads = attention.n_layers, attention.n_heads
    yield f"has {n_layers} layers of {n_heads} *heads*"
    yield f"one sentence makes {n_layers * n_heads} maps"
    pair = attention.frame(layer=4, head=11)
    yield (
        f"In layer 4, head 11, dog gives {pair.loc['dog', 'cat']:.2f} of its attention to cat, "
        f"and cat {pair.loc['cat', 'dog']:.2f} to dog"
    )
    before = np.diag(attention.matrix(layer=1, head=3), -1).min()
    yield (
        "In layer 1, head 3, every token behind the first looks at the one before it, "
        f"with a weight of {math.floor(before * 100) / 100:.2f} or more"
    )
    yield f"receives {attention.received()['[CLS]']:.2f}:"
    resting, away = attention.by_layer("dog")["[CLS]"], moved(attention.layer_differences("dog"))
    yield (
        f"From layer 5 to layer 6 the weight that dog gives to [CLS] falls from {resting[5]:.2f} to {resting[6]:.2f}, "
        f"and {away[6]:.2f} of its attention moves"
    )
    text = "犬が猫を追う"
    yield f"of {text} it does not know {' and '.join(attention_map(text).unknown)} ("


def one_row_per_text(names: Names) -> Iterator[str]:
    tokens = names["tables"][0].token
    table = names["weights"].set_axis(tokens)
    yield f"with the states of layer {names['pooling'].layer}:"
    yield f"each of the {len(tokens)} tokens has {1 / len(tokens):.3f}"
    yield f"[CLS] takes {table.received['[CLS]']:.3f} of it"
    yield f"[CLS] keeps {table.cls['[CLS]']:.3f} for itself"
    words = names["text"].lower().split()
    shares = {word: len(word) / sum(map(len, words)) for word in words}
    np.testing.assert_allclose(table.length.iloc[1:-1], [shares[word] for word in words], atol=1e-5)
    chosen = ("awareness", "is", "power", "a", "everywhere")
    yield "from another walk-through: " + ", ".join(f"{word} {shares[word]:.3f}" for word in chosen)


def t_attention(names: Names) -> Iterator[str]:
    reviews, pooling, explained = names["reviews"], names["pooling"], names["explained"]
    prior, least, quarters = 10, 0.01, (0.25, 0.5, 0.75)
    d, eta = sn_ratios(reviews, pooling, prior, quarters)
    yield f"$$d = \\frac{{T - n \\bar M}}{{n + {prior}}},\\quad V_e = \\frac{{n V}}{{(n + {prior})^2}},"
    yield "\\quad \\eta = \\frac{\\max(d^2 - V_e, 0)}{V}$$ The signal is $d^2$;"
    yield f"the {prior} added to n shrinks rare words"
    yield f"from {quarters[0]:.0%}, {quarters[1]:.0%} and {quarters[2]:.0%} of their scale"
    yield from words_alone(names, d, eta, least)

    np.testing.assert_allclose(pooling.sn_ratio_, eta.sum(axis=0), rtol=1e-6, atol=1e-9)
    log_weights = np.log(np.sqrt(pooling.sn_ratio_) + least)
    np.testing.assert_allclose(pooling.log_weights_, log_weights, atol=1e-5)
    ids = pooling.load().tokenizer("Superb noodles, but a rude waiter.")["input_ids"]
    sigma_tau = (pooling.coef_ @ pooling.coef_) / (pooling.coef_ @ pooling.query_[:, 0])
    for weights, sign in (("weight_for", 1), ("weight_against", -1)):
        scores = log_weights[ids] + sign * explained.estimate / sigma_tau
        np.testing.assert_allclose(explained[weights], np.exp(scores) / np.exp(scores).sum(), atol=1e-4)
    yield f"\\ln(\\sqrt{{\\eta_k}} + {least}) \\pm z_k/\\tau"
    some = reviews.iloc[::10]
    alone = AttentionPooling("t-method", layer=0, n_heads=1, cv=2).fit(some.text, some.stars)
    assert not alone.query_.any()
    assert alone.log_weights_.any()
    yield "`n_heads=1` leaves $z_k$ out"
    assert pooling.sn_ratio_[pooling.load().tokenizer.cls_token_id] == 0
    yield "Words that say nothing get 0"

    row = explained.set_index("token")
    yield (
        f"*Rude* takes about half of the attention, {row.weight_for.rude:.2f} and {row.weight_against.rude:.2f}, "
        f"and *but* {row.weight_for.but:.2f} and {row.weight_against.but:.2f}"
    )
    yield f"*Superb* gets {max(row.weight_for.superb, row.weight_against.superb):.2f} at most"
    yield f"The temperature here is {pooling.temperature_:.0f}"


def words_alone(
    names: Names, d: npt.NDArray[np.floating], eta: npt.NDArray[np.floating], least: float
) -> Iterator[str]:
    reviews, pooling, row = names["reviews"], names["words_alone"], names["explained_alone"]
    heads = np.sqrt([eta[0] * (d[0] > 0), eta[0] * (d[0] < 0), eta[2]]) + least
    np.testing.assert_allclose(np.exp(pooling.log_weights_), heads.T, atol=1e-6)
    assert not pooling.query_.any()
    yield f"with weights proportional to $\\sqrt{{\\eta}} + {least}$"
    yield f"($d > 0$, otherwise {least})"
    yield "the $\\eta$ of the distance from 50%"
    ids = pooling.load().tokenizer.convert_tokens_to_ids(row.index.tolist())
    np.testing.assert_allclose(row.estimate, d[0, ids], atol=1e-12)
    weights = row[["weight_up", "weight_down", "weight_middle"]]
    np.testing.assert_allclose(weights, heads[:, ids].T / heads[:, ids].sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(row.contribution, row.estimate * weights.mean(axis=1), atol=1e-6)
    yield f"*Rude* has {row.weight_down.rude:.2f} of the head for fewer stars"
    yield f"*but* {row.weight_middle.but:.2f} of that for the middle"
    assert (row.weight_up.idxmax(), row.weight_down.idxmax(), row.weight_middle.idxmax()) == ("a", "rude", "but")
    lower = reviews.text.str.lower()
    assert not lower.str.contains("superb").any()
    yield f"*Superb* is in none of the {len(reviews)} reviews"
    with_but = lower.str.contains(r"\bbut\b")
    from_the_middle = (reviews.stars - 3).abs()
    assert from_the_middle[with_but].mean() < 0.7 * from_the_middle[~with_but].mean()


def what_training_finds(names: Names) -> Iterator[str]:
    reviews, most = names["reviews"], 0.3
    trained = AttentionPooling("trained", layer=3, n_heads=2, cv=2).fit(reviews.text, reviews.stars)
    for query in trained.query_.T:
        assert abs(np.corrcoef(query, names["pooling"].coef_)[0, 1]) < most
    yield f"correlates with the T-method's direction by more than {most}"


CLAIMS: dict[str, Callable[[Names], Iterator[str]]] = {
    "Attention, from four words to T-attention": introduction,
    "Four words, three matrices": four_words,
    "A look inside a trained model": inside_a_model,
    "From attention to one row per text": one_row_per_text,
    "T-attention: query, key and value without back-propagation": t_attention,
    "What training finds, and what it is worth": what_training_finds,
}


def cells(numbers: npt.NDArray[np.floating]) -> str:
    return " | ".join(f"{number:.3f}" for number in numbers)


def vector(numbers: npt.NDArray[np.integer]) -> str:
    return f"({', '.join(map(str, numbers))})"


def sn_ratios(
    reviews: Any, pooling: AttentionPooling, prior: int, quarters: Sequence[float]
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Return d and eta of all words by the formula of the page, one row for the stars and one for each distance."""
    encoder = pooling.load()
    inputs = encoder.tokenizer(reviews.text.tolist(), truncation=True, max_length=encoder.max_seq_length)
    has = np.zeros((len(reviews), len(pooling.sn_ratio_)))
    for row, ids in zip(has, inputs["input_ids"], strict=True):
        row[ids] = 1
    n, stars = has.sum(axis=0), reviews.stars.to_numpy(dtype=float)
    targets = np.array([stars, *(np.abs(stars - (1 + 4 * quarter)) for quarter in quarters)])
    mean, V = targets.mean(axis=1, keepdims=True), targets.var(axis=1, keepdims=True)
    d = (targets @ has - n * mean) / (n + prior)
    return d, np.maximum(d**2 - n * V / (n + prior) ** 2, 0) / V


@pytest.mark.parametrize("heading", sections())
def test_each_number_of_a_section_is_computed_anew_and_none_is_left_over(
    heading: str, run: tuple[Names, list[str]]
) -> None:
    text = sections()[heading]
    for claim in CLAIMS[heading](run[0]):
        assert claim in text, f"The page must say: {claim}"
        text = text.replace(claim, "")
    # What follows a letter is part of a name: w1, R2.
    left = re.findall(r".{0,40}(?<![A-Za-z\d])\d.{0,20}", text)
    assert not left, "No claim covers these numbers"


def test_each_block_prints_what_the_page_shows(run: tuple[Names, list[str]]) -> None:
    assert len(BLOCKS) == PAGE.count("```python") == PAGE.count("```text")
    for (code, shown), printed in zip(BLOCKS, run[1], strict=True):
        assert re.sub(NUMBER, "#", shown).split() == re.sub(NUMBER, "#", printed).split(), f"{code}\n{printed}"
        for page, now in zip(re.findall(NUMBER, shown), re.findall(NUMBER, printed), strict=True):
            # Another processor may round the last digit of a network's output the other way.
            last_digit = 10.0 ** -len(page.partition(".")[2])
            assert float(page) == pytest.approx(float(now), abs=1.01 * last_digit * ("." in page)), printed


@pytest.mark.parametrize("command", COMMANDS)
def test_each_picture_is_what_its_command_makes(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    *arguments, path = shlex.split(command)
    tracked = ROOT / path
    assert f'<img src="{tracked.relative_to(DOCS)}"' in PAGE
    assert tracked.stat().st_size < 150_000
    assert run_cli(monkeypatch, *arguments, str(tmp_path / tracked.name)) == 0
    assert np.abs(thumbnail(tracked) - thumbnail(tmp_path / tracked.name)).mean() < 2


def test_each_picture_has_its_command() -> None:
    made = {ROOT / shlex.split(command)[-1] for command in COMMANDS}
    assert made == set((DOCS / "images").iterdir())


def thumbnail(path: Path) -> npt.NDArray[np.floating]:
    """Return the picture in 48 x 48 shades from 0 to 255: other fonts may move its pixels a little."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L").resize((48, 48), Image.Resampling.BOX), dtype=float)
