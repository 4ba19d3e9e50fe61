"""The walk-throughs of attention: their printed numbers computed anew by formulas written out here."""

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pytest
from project import ROOT
from tiny_models import save_japanese_bert

from pipeline.attention.maps import attention_map

NUMBERS = ROOT / "docs/examples/plot_7_walkthrough_numbers.py"
MAPS = ROOT / "docs/examples/plot_9_walkthrough_maps.py"

Floats = npt.NDArray[np.floating]
Names = dict[str, Any]


def softmax(scores: npt.ArrayLike, axis: int | None = -1) -> Floats:
    powers = np.exp(np.asarray(scores, dtype=float))
    weights: Floats = powers / powers.sum(axis=axis, keepdims=True)
    return weights


@pytest.fixture(scope="module")
def page() -> Names:
    """Run the page of numbers from top to bottom: its names."""
    before = matplotlib.get_backend()
    plt.switch_backend("agg")
    try:
        return runpy.run_path(str(NUMBERS))
    finally:
        plt.close("all")
        plt.switch_backend(before)


def theirs(page: Path) -> dict[str, str]:
    """Return what the walk-throughs print, by the name in the first cell of a row of `beside`."""
    calls = [node for node in ast.walk(ast.parse(page.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    rows = [row for call in calls if ast.unparse(call.func) == "beside" for row in call.args]
    cells = [row.elts[:2] for row in rows if isinstance(row, ast.Tuple)]
    return {ast.literal_eval(name): ast.literal_eval(printed) for name, printed in cells}


def test_every_printed_number_is_that_of_the_formula(page: Names) -> None:
    three = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]]
    # The matrices of the four words with three numbers, written out.
    q, k, v = (
        np.array(three) @ matrix
        for matrix in (
            [[2, 0, 2], [2, 0, 0], [2, 1, 2]],
            [[2, 2, 2], [0, 2, 1], [0, 1, 1]],
            [[1, 1, 0], [0, 1, 1], [0, 0, 0]],
        )
    )
    output = softmax(q @ k.T / 3**0.5) @ v
    scores = np.array([[11, 10, 11, 5], [12, 8, 10, 6], [6, 4, 4, 4], [7, 6, 7, 3]]) / 3**0.5
    words = ["Awareness", "is", "power", "in", "a", "world", "where", "knowledge", "is", "everywhere"]
    expected = {f"output of word {i}": row for i, row in enumerate(output, start=1)} | {
        "w1, over all scores": softmax(scores, axis=None)[0],
        "w1, per query": softmax(scores)[0],
        "output of w1, per query": softmax(scores)[0] @ [[1, 2, 1], [3, 4, 3], [2, 2, 2], [1, 2, 1]],
        "weights of the ten words": np.array([len(word) for word in words]) / sum(map(len, words)),
        "softmax([2, 1, 0.1])": softmax([2, 1, 0.1]),
        "the same plus 998": softmax([2, 1, 0.1]),
    }
    printed = theirs(NUMBERS)
    assert printed.keys() == expected.keys()
    for what, text in printed.items():
        digits = len(text.split()[0].partition(".")[2])
        assert text == " ".join(f"{number:.{digits}f}" for number in expected[what]), what
    np.testing.assert_allclose(page["output3"], output, rtol=1e-12)
    np.testing.assert_allclose(page["steps"]["all"].weights, softmax(scores, axis=None), rtol=1e-12)
    np.testing.assert_allclose(page["steps"]["keys"].weights, softmax(scores), rtol=1e-12)


def test_a_difference_is_called_one(page: Names) -> None:
    table = page["beside"](("a", "0.50 0.50", [0.5, 0.5], ""), ("b", "0.5", [0.46], ""), ("c", "0.5", [0.44], "")).data
    assert table.iloc[:, 3].tolist() == ["equal", "equal", "differs"]


def test_one_seed_draws_both_kinds_of_weights(page: Names) -> None:
    given = (
        [[2, 0, 2], [2, 0, 0], [2, 1, 2], [2, 2, 2]],
        [[0, 2, 1], [0, 1, 1], [1, 1, 0], [0, 1, 1]],
        [[0, 0, 0], [2, 2, 2], [1, 2, 1], [1, 2, 1]],
    )
    np.testing.assert_array_equal(page["draw"](4), given)
    (drawn, *_), (drawn4, *_) = page["draw"](3), page["draw"](4)
    np.testing.assert_array_equal(drawn, drawn4[:3])
    equal = [int((page[f"{name}3"] == page[name]).all(axis=1).sum()) for name in "QKV"]
    assert equal == [2, 0, 0]
    np.testing.assert_array_equal(page["Q3"][2:], page["Q"][2:])


def test_what_the_page_of_numbers_says(page: Names) -> None:
    text = " ".join(NUMBERS.read_text(encoding="utf-8").replace("\n# ", " ").split())
    shares = page["steps"]["all"].weights.sum(axis=1)
    assert f"w1 and w2 have {shares[0]:.3f} and {shares[1]:.3f} of it" in text
    assert f"w3 has {shares[2]:.3f} left" in text
    # The T-method: a word of many stars and one of few do not attend to each other.
    weights = page["learned"](page["words"], intermediates=True).weights[0]
    assert weights[1].argmax() == 1
    assert weights[1, 0] < 0.001
    assert page["judged"].argmax() == 0
    assert page["judged"].argmin() == 1
    # The dictionary: one entry less, the last number still there, and weights that do not sum to 1.
    assert (len(page["embeddings"]), len(page["as_dict"])) == (10, 9)
    assert page["embeddings"][-1] == page["as_dict"]["everywhere"] == 10.1
    assert page["as_dict"]["is"] == 9.1
    assert sum(page["weight_of"].values()) == pytest.approx(0.96)
    assert page["from_lists"] == pytest.approx(6.02)
    assert page["from_dicts"] == pytest.approx(5.936)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(page["unstable"](page["large"])).all()


def test_larger_examples(page: Names) -> None:
    q, k, v = page["Q10"], page["K10"], page["V10"]
    np.testing.assert_allclose(page["ten"].output, softmax(q @ k.T / 4) @ v, rtol=1e-10)
    assert page["ten"].weights.max(axis=1).mean() < 0.5 < page["unscaled"].weights.max(axis=1).mean()
    near = np.abs(np.arange(10)[:, None] - np.arange(10)) < 3
    np.testing.assert_allclose(page["window"].weights, softmax(np.where(near, q @ k.T / 4, -np.inf)), atol=1e-12)
    np.testing.assert_allclose(page["heads"](page["tokens"]), np.hstack(page["by_hand"]), rtol=1e-10)
    np.testing.assert_allclose(page["outputs"][0], page["outputs"][1], rtol=1e-10, atol=1e-12)
    (_, whole, _), (_, blocks, _) = page["rows"]
    assert whole > 2048**2 * 8 / 2**20 > 10 * blocks


def test_the_dog_and_the_cat() -> None:
    chased = attention_map("The dog chased the cat").frame(layer=6, head=12).loc["chased"]
    printed = dict(re.findall(r'"(cat|dog)": "(0\.\d\d)"', MAPS.read_text(encoding="utf-8")))
    assert printed == {"cat": "0.44", "dog": "0.39"}
    assert {word: f"{chased[word]:.2f}" for word in printed} == printed
    assert attention_map("犬が猫を追う").unknown == ("猫", "追")


def test_the_code_for_a_japanese_model_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("fugashi", "unidic_lite"):
        pytest.importorskip(package)
    (block,) = re.findall(r"# \.\. code-block:: python\n#\n((?:#(?:    .*)?\n)+)", MAPS.read_text(encoding="utf-8"))
    code = re.sub(r"^#(?:    )?", "", block, flags=re.MULTILINE)
    (hub,) = re.findall(r'"(tohoku-nlp/[\w.-]+)"', code)
    model = save_japanese_bert(_made(tmp_path / "model"), "wordpiece")
    monkeypatch.chdir(_made(tmp_path / "here"))
    names: Names = {}
    exec(compile(code.replace(hub, model), MAPS.name, "exec"), names)
    assert names["chase"].labels == ["[CLS]", "犬", "が", "猫", "を", "追う", "[SEP]"]
    assert not names["chase"].unknown
    assert (tmp_path / "here/chase.png").stat().st_size > 1000


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
