"""How much of a data set the features can read: tokens, words of the lexicon, Japanese and Chinese."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.encoder import load_encoder
from pipeline.encoder.batches import default_prompt
from pipeline.encoder.unknown import unknown_tokens
from pipeline.experiment.read_notes import NOTED
from pipeline.features import TextStats
from pipeline.features.encoded import EncoderTransformer
from pipeline.features.sentiment import poorly_read
from pipeline.segmentation import dictionaries, language, reading

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Shares of so many texts are sure to one percent.
_MOST = 2000


def what_is_read(transformers: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """Return what the features stage keeps of how its features read the texts.

    Parameters
    ----------
    transformers : mapping of str to transformer
    texts : sequence of str
        Of more than 2,000, evenly spaced ones are looked at.

    Returns
    -------
    dict
        unknown_tokens: for each encoder, by its name, the share of unknown tokens and of texts with one; cut_off: for
        each encoder that reads so many tokens at most, this limit and the share of texts beyond it; poorly_read: the
        share of texts of which the sentiment lexicon knows hardly a word, where a feature uses it; languages: how many
        texts have Japanese or Chinese; words and dictionaries: how these were read, where there are any.
    """
    rows = np.unique(np.linspace(0, len(texts) - 1, min(_MOST, len(texts)), dtype=int))
    some = [texts[row] for row in rows]
    encoders = {
        _name(each): (each.model, each.revision)
        for each in transformers.values()
        if isinstance(each, EncoderTransformer)
    }
    read: dict[str, Any] = {"n_texts": len(some), "unknown_tokens": {}, "cut_off": {}}
    for name, where in encoders.items():
        encoder = load_encoder(*where)
        read["unknown_tokens"][name] = unknown_tokens(encoder, some)._asdict()
        if cut := _cut_off(encoder, some):
            read["cut_off"][name] = cut
    if any(isinstance(each, TextStats) for each in transformers.values()):
        read["poorly_read"] = poorly_read(some)
    languages = Counter(found for found in map(language, some) if found)
    if sum(languages.values()) < NOTED * len(some):
        return read
    read["languages"] = dict(languages)
    if readings := sorted({reading(each.words) for each in transformers.values() if hasattr(each, "words")}):
        read["words"] = readings
        read["dictionaries"] = dictionaries() if "dictionary" in readings else {}
    return read


def _name(transformer: EncoderTransformer) -> str:
    model = str(transformer.model)
    return f"{model} at {transformer.revision}" if transformer.revision else model


def _cut_off(encoder: "SentenceTransformer", texts: Sequence[str]) -> dict[str, float] | None:
    """Return how many tokens an encoder reads at most and which share of texts has more; None where it has no limit."""
    tokenizer: Any = encoder.tokenizer
    limit = encoder.max_seq_length
    if not limit or not texts or not callable(tokenizer):
        return None
    prompt = default_prompt(encoder)
    rows = tokenizer([prompt + text for text in texts], verbose=False)["input_ids"]
    return {"limit": limit, "texts": sum(len(row) > limit for row in rows) / len(rows)}
