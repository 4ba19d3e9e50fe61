"""What a causal model expects after a text: the probabilities of the next token."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.attention.maps import BUNDLED_LLM, check_text, longest, no_next_token, open_causal
from pipeline.encoder.load import check_extra
from pipeline.errors import first_line

__all__ = ["next_tokens"]


def next_tokens(text: str, model: str | Path = BUNDLED_LLM, revision: str | None = None, n: int = 10) -> pd.DataFrame:
    """Return the tokens that a causal model finds most likely after a text.

    The probabilities are the softmax of the model's scores (logits) behind the last token, over the whole vocabulary.
    A mark for the end of a text, which some tokenizers append, is left out before.

    Parameters
    ----------
    text : str
        At least one word.
    model : str or Path, default="bundled-llm"
        A causal model: "bundled-llm" (Gemma 3 with 270 million parameters, from the extra `peers`), the path of a GGUF
        file, a directory, or a name on the hub.
    revision : str, optional
        Commit on the hub.
    n : int, default=10
        How many tokens.

    Returns
    -------
    DataFrame
        Columns `token`, which continues the text as it is, its space included, and `probability`; the most likely
        first. A token that is part of a character has the name that the tokenizer gives it.

    Raises
    ------
    ValueError
        If the text is empty or too long, the model cannot be loaded, or it predicts no next token, as encoders.
    OSError
        If the model is not to be had.
    ImportError
        If the extra `encoder` is not installed, or `peers` for a GGUF file.

    Examples
    --------
    >>> next_tokens("The dog chased the", n=3).round(2)  # doctest: +SKIP
          token  probability
    0       cat         0.20
    1       car         0.07
    2    rabbit         0.04
    """
    check_text(text)
    check_extra("next_tokens")
    if n < 1:
        raise ValueError(f"Got n={n}: ask for at least 1 token.")
    import torch

    tokenizer, network = open_causal(model, revision)
    numbers = _without_end(tokenizer, list(tokenizer(text, verbose=False)["input_ids"]))
    limit = longest(tokenizer, network.config)
    if not 0 < len(numbers) <= limit:
        raise ValueError(f"The text has {len(numbers)} tokens, but 1 to {limit} are needed with {model}: shorten it.")
    logits = _logits(network, numbers, str(model))
    # Behind the first token a causal model knows only that one; an encoder has read the others, too.
    probe = numbers if len(numbers) > 1 else numbers * 2
    first, alone = _logits(network, probe, str(model))[0], _logits(network, probe[:1], str(model))[0]
    if not torch.allclose(first, alone, rtol=1e-3, atol=1e-3):
        raise ValueError(no_next_token(model, "it reads what comes after a token, as encoders do"))
    shares, best = logits[-1].double().softmax(dim=-1).topk(min(n, logits.shape[-1]))
    tokens = [_continuation(tokenizer, number) for number in best.tolist()]
    return pd.DataFrame({"token": tokens, "probability": shares.numpy()})


def _without_end(tokenizer: Any, numbers: list[int]) -> list[int]:
    ends = {tokenizer.eos_token_id, tokenizer.sep_token_id} - {None}
    while len(numbers) > 1 and numbers[-1] in ends:
        numbers = numbers[:-1]
    return numbers


def _logits(network: Any, numbers: list[int], model: str) -> Any:
    import torch

    from pipeline.encoder.probe import FAILURES, named

    try:
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([numbers]), return_dict=True).logits[0].float()
    except FAILURES as error:
        raise ValueError(f"{model}: {named(network)} cannot read a text: {first_line(error)}") from None
    if not bool(logits.isfinite().all()):
        raise ValueError(f"{model}: {named(network)} hands out scores that are not finite: its weights are damaged.")
    return logits


def _continuation(tokenizer: Any, number: int) -> str:
    """Return what a token adds to a text; its name where that is no whole character, or nothing."""
    piece = str(tokenizer.convert_ids_to_tokens(number))
    added = str(tokenizer.decode([number], clean_up_tokenization_spaces=False))
    if piece.startswith("▁") and not added.startswith(" "):
        added = f" {added}"
    return piece if not added or "\ufffd" in added else added
