"""How much of texts an encoder's tokenizer does not know."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class UnknownTokens(NamedTuple):
    """Share of the tokens that are the tokenizer's unknown token, and share of the texts that have one."""

    tokens: float
    texts: float


def unknown_tokens(encoder: "SentenceTransformer", texts: Sequence[str]) -> UnknownTokens:
    """Return which share of the tokens of texts an encoder does not know, special tokens and what it cuts off aside.

    Parameters
    ----------
    encoder : SentenceTransformer
        Only its tokenizer is used.
    texts : sequence of str

    Returns
    -------
    UnknownTokens
        Zeros where the tokenizer has no unknown token, as where it reads bytes.
    """
    tokenizer: Any = encoder.tokenizer
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is None or not texts:
        return UnknownTokens(0.0, 0.0)
    limit = encoder.max_seq_length
    cut = {"truncation": True, "max_length": limit} if limit else {}
    rows = tokenizer(list(texts), add_special_tokens=False, **cut)["input_ids"]
    counts = [row.count(unknown) for row in rows]
    n_tokens = sum(map(len, rows))
    return UnknownTokens(sum(counts) / max(n_tokens, 1), sum(map(bool, counts)) / len(rows))
