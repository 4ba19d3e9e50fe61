"""All attention weights, reviews to fit them on, and what plain numpy makes of one text."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
from tiny_models import WORDS

from pipeline.encoder import token_batches
from pipeline.features import AttentionPooling

ALL = ["uniform", "received", "cls", "idf", "length", "sn-ratio", "t-method", "trained"]
FROM_THE_TARGET = ["sn-ratio", "t-method", "trained"]
N_HEADS = dict.fromkeys(ALL, 1) | {"sn-ratio": 3, "t-method": 2, "trained": 2}
ODD_TEXTS = {
    "empty": "",
    "spaces": "  \n ",
    "one word": "Superb",
    "5,000 words": "We sat at a table. " * 999 + "The soup was really terrible.",
    "emoji": "😀👍🏽❤️ 😡",
    "Japanese": "味は最高。店員さんも親切でした！",
    "Chinese": "味道很好，但是服务太慢了。",
}
Array = npt.NDArray[Any]


def make_reviews(n: int, seed: int = 0) -> tuple[list[str], Array]:
    """Texts of words that the tiny encoder knows, with stars that go with good and bad."""
    rng = np.random.default_rng(seed)
    stars = rng.permutation(np.arange(n) % 5 + 1)
    chance = np.ones((n, len(WORDS)))
    chance[:, WORDS.index("good")] = stars
    chance[:, WORDS.index("bad")] = 6 - stars
    return [" ".join(rng.choice(WORDS, 8, p=p / p.sum())) for p in chance], stars


REVIEWS, STARS = make_reviews(40)


def naive_weights(pooling: AttentionPooling, text: str) -> tuple[Array, Array]:
    """Weights of shape (tokens, heads) and token states of one text, by plain numpy."""
    encoder = pooling.load()
    (batch,) = token_batches(encoder, [text], layers=[pooling.layer], attention=[pooling.layer])
    ids, states = batch.ids[0].tolist(), batch.states[pooling.layer][0].double().numpy()
    special = set(encoder.tokenizer.all_special_ids)
    if pooling.weights == "uniform":
        weights = np.ones(len(ids))
    elif pooling.weights == "received":
        weights = batch.received[pooling.layer][0].double().numpy()
    elif pooling.weights == "cls":
        weights = batch.first[pooling.layer][0].double().numpy()
    elif pooling.weights == "idf":
        df = Counter(token for review in REVIEWS for token in set(encoder.tokenizer(review)["input_ids"]))
        weights = np.array([np.log((1 + len(REVIEWS)) / (1 + df[token])) + 1 for token in ids])
    elif pooling.weights == "length":
        tokens = encoder.tokenizer.convert_ids_to_tokens(ids)
        pairs = zip(ids, tokens, strict=True)
        weights = np.array([1e-6 if i in special else len(token.replace("##", "")) for i, token in pairs])
    else:
        of_words = pooling.log_weights_[ids].reshape(len(ids), -1).astype(np.float64)
        weights = np.exp(states @ pooling.query_ + of_words)
    weights = weights.reshape(len(ids), -1)
    return weights / weights.sum(axis=0), states
