"""How much of a data set the features can read: tokens, words of the lexicon, Japanese and Chinese."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.encoder import load_encoder
from pipeline.encoder.unknown import unknown_tokens
from pipeline.experiment.read_notes import NOTED
from pipeline.features import TextStats
from pipeline.features.encoded import EncoderTransformer
from pipeline.features.sentiment import poorly_read
from pipeline.segmentation import dictionaries, language, reading

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
        unknown_tokens: for each encoder, by its name, the share of unknown tokens and of texts with one; poorly_read:
        the share of texts of which the sentiment lexicon knows hardly a word, where a feature uses it; languages: how
        many texts have Japanese or Chinese; words and dictionaries: how these were read, where there are any.
    """
    rows = np.unique(np.linspace(0, len(texts) - 1, min(_MOST, len(texts)), dtype=int))
    some = [texts[row] for row in rows]
    encoders = {
        _name(each): (each.model, each.revision)
        for each in transformers.values()
        if isinstance(each, EncoderTransformer)
    }
    read: dict[str, Any] = {
        "n_texts": len(some),
        "unknown_tokens": {
            name: unknown_tokens(load_encoder(*where), some)._asdict() for name, where in encoders.items()
        },
    }
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
