"""Attention weights from queries and from words: what `AttentionPooling` learns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.encoder import Texts, TokenPooling, TokenStates

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

    from pipeline.encoder import TokenBatch

Floats = npt.NDArray[np.float32]

# Special tokens belong to no word. They count only where a text has nothing else.
_NO_WORD = 1e-6
_TEXTS_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class QueryPooling(TokenPooling):
    r"""Token states weighted by :math:`\mathrm{softmax}_k(h_k' q + \ln a_k)`, head by head.

    Parameters
    ----------
    queries : ndarray of shape (n_sets, n_dimensions, n_heads), float32
        The queries q.
    log_weights : ndarray of shape (n_sets, n_vocabulary) or (n_sets, n_vocabulary, n_heads), float32
        :math:`\ln a` of each token id: how much attention a word gets before its state is looked at.
    layer : int
        Whose states are the keys h, and the values.
    query_set : sequence of int, default=None
        Query index of each text; None: the last one for all.
    """

    queries: Floats
    log_weights: Floats
    layer: int
    query_set: Sequence[int] | None = None

    def size(self, encoder: "SentenceTransformer") -> int:
        """Return the number of dimensions of a pooled vector: one state per head."""
        return super().size(encoder) * self.queries.shape[2]

    def token_weights(self, batch: "TokenBatch") -> "Tensor":
        """Return the weights of shape (batch, tokens, n_heads); over the tokens of a text they sum to 1."""
        import torch

        device = batch.ids.device
        index = np.array([-1 if self.query_set is None else self.query_set[row] for row in batch.rows])
        of_words = self.log_weights[index[:, None], batch.ids.cpu().numpy()].reshape(*batch.ids.shape, -1)
        of_states = batch.states[self.layer].float() @ torch.from_numpy(self.queries[index]).to(device)
        padding = batch.mask[:, :, None] == 0
        weights = (of_states + torch.from_numpy(of_words).to(device)).masked_fill(padding, -torch.inf).softmax(dim=1)
        # The softmax over no token at all is not a number: some tokenizers make none of an empty text.
        return weights.masked_fill(padding, 0)

    def pool(self, batch: "TokenBatch") -> "Tensor":
        """Return the weighted means, one after the other for the heads, of shape (batch, n_heads * n_dimensions)."""
        states = batch.states[self.layer].float()
        return (self.token_weights(batch).transpose(1, 2) @ states).flatten(1)


def vocabulary_size(encoder: "SentenceTransformer") -> int:
    """Return how many token ids there are."""
    model: Any = encoder[0]
    return max(int(model.auto_model.config.vocab_size), len(encoder.tokenizer))


def each_text(encoder: "SentenceTransformer", texts: Texts) -> Iterator[npt.NDArray[np.integer]]:
    """Yield the different token ids of each text, as the encoder would see them; it does not run."""
    if isinstance(texts, TokenStates):
        yield from (np.unique(texts.ids[texts.of(row)]) for row in range(len(texts)))
        return
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        inputs = encoder.preprocess(list(texts[start : start + _TEXTS_AT_ONCE]))
        for ids, mask in zip(inputs["input_ids"].cpu().numpy(), inputs["attention_mask"].cpu().numpy(), strict=True):
            yield np.unique(ids[mask > 0])


def word_weights(encoder: "SentenceTransformer", texts: Texts, kind: str) -> npt.NDArray[np.float64]:
    """Return the weight of each token id, of shape (n_vocabulary,), by its frequency ("idf") or its length."""
    if kind == "idf":
        return idf_weights(document_frequency(encoder, texts), len(texts))
    return length_weights(encoder.tokenizer, vocabulary_size(encoder))


def document_frequency(encoder: "SentenceTransformer", texts: Texts) -> npt.NDArray[np.float64]:
    """Return in how many of the texts each token id occurs, of shape (n_vocabulary,)."""
    frequency = np.zeros(vocabulary_size(encoder))
    for ids in each_text(encoder, texts):
        frequency[ids] += 1
    return frequency


def idf_weights(document_frequency: npt.ArrayLike, n_texts: int) -> npt.NDArray[np.float64]:
    r"""Return the inverse document frequency :math:`\ln\frac{1 + n}{1 + df} + 1`, as scikit-learn smooths it.

    Parameters
    ----------
    document_frequency : array-like of shape (n_vocabulary,)
        In how many texts a token occurs.
    n_texts : int
        Number of texts.

    Returns
    -------
    ndarray of shape (n_vocabulary,)
        1 for a token that all texts have; never 0.

    Examples
    --------
    >>> idf_weights([3, 0], n_texts=3).round(3).tolist()
    [1.0, 2.386]
    """
    return np.log((1 + n_texts) / (1 + np.asarray(document_frequency, dtype=np.float64))) + 1


def length_weights(tokenizer: Any, n_vocabulary: int) -> npt.NDArray[np.float64]:
    """Return the number of characters of each token; the pieces of a word add up to the word's length.

    Parameters
    ----------
    tokenizer : tokenizer of the transformers library
        The marks that it adds (``##``, and those that stand for a space) do not count.
    n_vocabulary : int
        Number of token ids.

    Returns
    -------
    ndarray of shape (n_vocabulary,)
        A millionth for special tokens, so that they count only where a text has nothing else.

    Examples
    --------
    >>> from pipeline.encoder import load_encoder
    >>> tokenizer = load_encoder().tokenizer
    >>> text = "Awareness is power in a world where knowledge is everywhere"
    >>> weights = length_weights(tokenizer, len(tokenizer))[tokenizer(text, add_special_tokens=False)["input_ids"]]
    >>> (weights / weights.sum()).round(3).tolist()
    [0.18, 0.04, 0.1, 0.04, 0.02, 0.1, 0.1, 0.18, 0.04, 0.2]
    """
    weights = np.full(n_vocabulary, _NO_WORD)
    special = set(tokenizer.all_special_ids)
    for token, i in tokenizer.get_vocab().items():
        if i not in special:
            weights[i] = max(len(token.removeprefix("##").lstrip("Ġ▁")), _NO_WORD)
    return weights
