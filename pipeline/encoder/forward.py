"""One forward pass over the texts, every pooled vector that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipeline.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor


@dataclass(frozen=True)
class Pooling:
    """How token states become one vector.

    Parameters
    ----------
    weights : {"sentence", "uniform", "received", "cls"}
        "sentence" is the encoder's own sentence embedding; the others weigh the token states of `layer`: all the same,
        by the attention that a token receives, or by the attention that the first token pays to it.
    layer : int, default=-1
        0 for the input embeddings, 1 for the first layer's output and so on; negative values count from the end.
    """

    weights: str
    layer: int = -1


def encode(
    encoder: "SentenceTransformer", texts: Sequence[str], poolings: Sequence[Pooling], batch_size: int = 8
) -> list[npt.NDArray[np.float32]]:
    """Return one array of shape (n_texts, n_dimensions) per pooling, all from the same forward pass.

    Texts longer than the encoder's `max_seq_length` are cut there, as sentence-transformers does.
    Memory beyond the result does not grow with the number of texts.

    Raises
    ------
    ValueError
        If a pooling asks for a layer that the encoder does not have.
    """
    import torch

    arrays = [np.empty((len(texts), output_size(encoder, pooling)), dtype=np.float32) for pooling in poolings]
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
    with torch.inference_mode(), progress_bar(total=len(texts), desc="encode", unit="review") as bar:
        for start in range(0, len(by_length), batch_size):
            rows = by_length[start : start + batch_size]
            for array, vectors in zip(arrays, _forward(encoder, [texts[i] for i in rows], poolings), strict=True):
                array[rows] = vectors.float().cpu().numpy()
            bar.update(len(rows))
    return arrays


def output_size(encoder: "SentenceTransformer", pooling: Pooling) -> int:
    """Return the number of dimensions of a pooled vector.

    Raises
    ------
    ValueError
        If the encoder does not have the layer, or has no token states at all.
    """
    if pooling.weights == "sentence":
        size = encoder.get_embedding_dimension()
        if size is None:
            raise ValueError("The encoder does not say how many dimensions its embedding has.")
        return size
    _check_layer(encoder, pooling)
    return int(_transformer(encoder).config.hidden_size)


def _transformer(encoder: "SentenceTransformer") -> Any:
    transformer = getattr(encoder[0], "auto_model", None)
    if transformer is None:
        raise ValueError(f"{type(encoder[0]).__name__} has no token states to pool: use SentenceEmbedding with it.")
    return transformer


def _check_layer(encoder: "SentenceTransformer", pooling: Pooling) -> None:
    n_layers = _transformer(encoder).config.num_hidden_layers
    lowest = 0 if pooling.weights == "uniform" else 1
    layer = pooling.layer if pooling.layer >= 0 else n_layers + 1 + pooling.layer
    if not lowest <= layer <= n_layers:
        raise ValueError(
            f"Got layer={pooling.layer} with weights={pooling.weights!r}, but the encoder has "
            f"the layers {lowest} to {n_layers}."
        )


def _forward(encoder: "SentenceTransformer", texts: list[str], poolings: Sequence[Pooling]) -> list["Tensor"]:
    """Run one batch through the encoder once."""
    features = {
        key: value.to(encoder.device) if hasattr(value, "to") else value
        for key, value in encoder.preprocess(texts).items()
    }
    if all(pooling.weights == "sentence" for pooling in poolings):
        return [encoder(features)["sentence_embedding"]] * len(poolings)

    inputs = {name: features[name] for name in encoder.tokenizer.model_input_names if name in features}
    output = _transformer(encoder)(**inputs, output_hidden_states=True, output_attentions=True, return_dict=True)
    mask = features["attention_mask"]
    vectors = []
    for pooling in poolings:
        if pooling.weights == "sentence":
            result = {**features, "token_embeddings": output.last_hidden_state}
            for module in list(encoder)[1:]:
                result = module(result)
            vectors.append(result["sentence_embedding"])
        else:
            layer = pooling.layer if pooling.layer >= 0 else len(output.hidden_states) + pooling.layer
            attention = output.attentions[layer - 1] if layer > 0 else None
            vectors.append(pool(output.hidden_states[layer], attention, mask, pooling.weights))
    return vectors


def pool(states: "Tensor", attention: "Tensor | None", mask: "Tensor", weights: str) -> "Tensor":
    """Return the weighted mean of token states.

    Parameters
    ----------
    states : Tensor of shape (batch, tokens, dimensions)
        Output of a layer.
    attention : Tensor of shape (batch, heads, queries, keys), or None with "uniform"
        Attention weights of the same layer; over the keys they sum to 1.
    mask : Tensor of shape (batch, tokens)
        1 for a token, 0 for padding.
    weights : {"uniform", "received", "cls"}
        Which weights.

    Returns
    -------
    Tensor of shape (batch, dimensions)
    """
    real = mask.to(states.dtype)
    if weights == "uniform" or attention is None:
        token_weights = real
    elif weights == "received":
        token_weights = (attention.mean(dim=1) * real[:, :, None]).sum(dim=1) * real
    else:
        # The first token that is no padding: some tokenizers pad on the left.
        first, rows = mask.argmax(dim=1), range(len(mask))
        token_weights = attention.mean(dim=1)[rows, first] * real
    total = token_weights.sum(dim=1, keepdim=True).clamp_min(1e-9)
    return ((token_weights / total)[:, :, None] * states).sum(dim=1)
