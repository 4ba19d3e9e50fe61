"""The command rate: what a language model makes of one review."""

from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError, first_line
from pipeline.experiment.review_file import read_review_file
from pipeline.features import LocalLLM
from pipeline.format import printable
from pipeline.scale import Scale
from pipeline.sources.columns import ColumnNames

_WIDTH = 40
_N_EXAMPLES = 2


def run(
    text: str,
    model: str | None,
    base_url: str | None = None,
    know_how: Path | None = None,
    examples: Path | None = None,
    n_examples: int | None = None,
    scale: str | None = None,
    revision: str | None = None,
) -> str:
    """Return the probability of each value, expectation and entropy, and the prompt.

    Raises
    ------
    PipelineError
        If the model, the rules or the examples are not to be had, or the scale is none.
    """
    if not text.strip():
        raise PipelineError("the text is empty: give a review, in quotes")
    if n_examples and not examples:
        raise PipelineError(f"--n-examples {n_examples} needs reviews to choose from: give --examples FILE")
    try:
        given = Scale.parse(scale) if scale else None
        rules = _rules(know_how) if know_how else None
        reviews = pd.DataFrame({"text": [text], "stars": [None]})
        if examples:
            reviews, given = read_review_file(examples, ColumnNames(None, None, None, None), None, given)
        llm = LocalLLM(
            model,
            base_url=base_url,
            revision=revision,
            scale=given,
            know_how=rules,
            n_examples=(n_examples or _N_EXAMPLES) if examples else 0,
        )
        (columns,) = llm.fit(reviews["text"], reviews["stars"]).transform([text])
        prompt = llm.prompt(text)
    except (ValueError, OSError, ImportError) as error:
        message = first_line(error).replace("base_url=", "--base-url ").replace("base_url", "--base-url")
        raise PipelineError(printable(message)) from None
    shown = dict(zip(llm.get_feature_names_out(), columns, strict=True))
    expected, entropy = shown.pop("expected"), shown.pop("entropy")
    width = max(map(len, shown)) - len("p_")
    bars = [f"{name[2:]:>{width}}  {p:.3f}  {'█' * round(_WIDTH * p)}".rstrip() for name, p in shown.items()]
    facts = llm.info_
    about = [facts.get("model"), facts.get("quantisation"), f"{facts['template']} template", f"scale {llm.scale_}"]
    lines = [
        " · ".join(str(each) for each in about if each),
        *bars,
        f"expected {expected:.2f}, entropy {entropy:.2f} nats",
        "",
        "The prompt, which the model goes on with:",
        prompt,
    ]
    return printable("\n".join(lines))


def _rules(path: Path) -> str:
    try:
        if rules := path.read_text(encoding="utf-8").strip():
            return rules
        raise ValueError(f"{path} holds no rules: write some, or leave out --know-how.")
    except FileNotFoundError:
        raise ValueError(
            f"There is no file {str(path)!r}: --know-how takes a text file with your rules, not the rules."
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from None
