"""Queries trained by gradient descent: attention proper, which queries made without a gradient are compared with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.encoder import Backend, token_batches

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

_EPOCHS = 10
_BATCH = 64
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-2
_TEXTS_FOR_SCALE = 500
_MOST_CLASSES = 20


@dataclass(frozen=True)
class TokenStates:
    """Token states of all texts in a file, since each epoch reads them again.

    Parameters
    ----------
    states : memmap of shape (n_tokens, n_dimensions), float16
        Text by text, in no special order.
    starts, lengths : ndarray of int of shape (n_texts,)
        Where the tokens of a text begin, and how many there are.
    """

    states: npt.NDArray[np.float16]
    starts: npt.NDArray[np.intp]
    lengths: npt.NDArray[np.intp]


def keep_states(
    encoder: "SentenceTransformer", texts: Sequence[str], layer: int, backend: Backend, path: Path
) -> TokenStates:
    """Write the token states of a layer to a file, and return a view of it.

    The file takes 2 bytes x dimensions for each token: 768 MB for 10,000 reviews of 100 tokens with 384 dimensions.
    `AttentionPooling` keeps it in the system's temporary directory while it fits.

    Raises
    ------
    ValueError
        If a state is too large for 2 bytes, 65,504, or not a number.
    """
    starts, lengths = np.zeros(len(texts), dtype=np.intp), np.zeros(len(texts), dtype=np.intp)
    n_tokens = n_dimensions = 0
    with path.open("wb") as file:
        for batch in token_batches(encoder, texts, layers=[layer], backend=backend):
            real = batch.mask.bool()
            own = real.sum(dim=1).cpu().numpy()
            lengths[batch.rows], starts[batch.rows] = own, n_tokens + np.cumsum(own) - own
            states = batch.states[layer][real].half().cpu().numpy()
            if not np.isfinite(states).all():
                largest = float(batch.states[layer][real].abs().max())
                raise ValueError(
                    f"Got token states of up to {largest:g} in layer {layer}, but weights='trained' keeps them in 2 "
                    "bytes, which hold 65504 at most: choose another layer."
                )
            states.tofile(file)
            n_tokens, n_dimensions = n_tokens + len(states), states.shape[1]
    return TokenStates(np.memmap(path, np.float16, "r", shape=(n_tokens, n_dimensions)), starts, lengths)


def train_queries(
    tokens: TokenStates, rows: npt.NDArray[np.intp], y: npt.NDArray[np.float64], n_heads: int, random_state: int
) -> npt.NDArray[np.float32]:
    """Return queries that were trained together with a softmax classifier of the pooled states.

    Each head pools the token states with ``softmax(states @ query)``; a linear layer reads the classes from all heads.
    Queries and layer minimise the cross-entropy by AdamW with a one-cycle learning rate: 10 epochs, 64 texts a step.

    Parameters
    ----------
    tokens : TokenStates
        Token states of all texts.
    rows : ndarray of int
        Which of the texts to learn from.
    y : ndarray of shape (n_texts,)
        The target of all texts; each of its values is a class.
    n_heads : int
        Number of queries.
    random_state : int
        Decides the start and the order of the texts.

    Returns
    -------
    ndarray of shape (n_dimensions, n_heads), float32

    Raises
    ------
    ValueError
        If the target has more than 20 values.
    """
    import torch
    from torch import nn

    # What has no token has no state to learn from: some tokenizers make none of an empty text.
    rows = rows[tokens.lengths[rows] > 0]
    classes, targets = np.unique(y, return_inverse=True)
    if len(classes) > _MOST_CLASSES:
        few = ", ".join(f"{value:g}" for value in classes[:3])
        raise ValueError(
            f"weights='trained' takes each value of the target as a class, got {len(classes)} of them: {few}, ... "
            f"Round them to {_MOST_CLASSES} at most, or use weights='sn-ratio', which takes any numbers."
        )
    target = torch.from_numpy(targets)
    mean, scale = _mean_and_scale(tokens, rows)
    generator, rng = torch.Generator().manual_seed(random_state), np.random.default_rng(random_state)
    n_dimensions = len(mean)
    query = nn.Parameter(0.02 * torch.randn(n_dimensions, n_heads, generator=generator))
    weight = nn.Parameter(torch.zeros(len(classes), n_heads * n_dimensions))
    bias = nn.Parameter(torch.zeros(len(classes)))
    groups = [{"params": [query], "weight_decay": 0.0}, {"params": [weight, bias], "weight_decay": _WEIGHT_DECAY}]
    n_steps = _EPOCHS * -(-len(rows) // _BATCH)
    optimiser = torch.optim.AdamW(groups, lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=n_steps + 1)
    for _ in range(_EPOCHS):
        for some in _batches(tokens, rows, rng):
            states, mask = _padded(tokens, some, mean, scale)
            weights = (states @ query).masked_fill(~mask[:, :, None], -torch.inf).softmax(dim=1)
            pooled = (weights.transpose(1, 2) @ states).flatten(1)
            loss = nn.functional.cross_entropy(pooled @ weight.T + bias, target[some])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return (query.detach() / scale[:, None]).numpy()


def _batches(
    tokens: TokenStates, rows: npt.NDArray[np.intp], rng: np.random.Generator
) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the texts in random order, those of similar length together so that there is little padding."""
    shuffled = rng.permutation(rows)
    groups = [shuffled[i : i + 8 * _BATCH] for i in range(0, len(rows), 8 * _BATCH)]
    batches = [
        by_length[i : i + _BATCH]
        for by_length in (group[np.argsort(tokens.lengths[group], kind="stable")] for group in groups)
        for i in range(0, len(by_length), _BATCH)
    ]
    for i in rng.permutation(len(batches)):
        yield batches[i]


def _mean_and_scale(tokens: TokenStates, rows: npt.NDArray[np.intp]) -> tuple["Tensor", "Tensor"]:
    """Return mean and standard deviation of the dimensions, from some texts that stand for the others."""
    import torch

    some = np.concatenate([_states(tokens, row) for row in rows[:: max(1, len(rows) // _TEXTS_FOR_SCALE)]])
    scale = some.std(axis=0)
    return torch.from_numpy(some.mean(axis=0)), torch.from_numpy(np.where(scale > 0, scale, 1))


def _states(tokens: TokenStates, row: int) -> npt.NDArray[np.float32]:
    start = tokens.starts[row]
    return tokens.states[start : start + tokens.lengths[row]].astype(np.float32)


def _padded(
    tokens: TokenStates, rows: npt.NDArray[np.intp], mean: "Tensor", scale: "Tensor"
) -> tuple["Tensor", "Tensor"]:
    """Return the standardised states of some texts with zeros as padding, and where they are real."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    states = [(torch.from_numpy(_states(tokens, row)) - mean) / scale for row in rows]
    lengths = torch.from_numpy(tokens.lengths[rows])
    return pad_sequence(states, batch_first=True), torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
