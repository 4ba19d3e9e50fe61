"""Queries trained by gradient descent: attention proper, to compare with queries made without a gradient."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.encoder import TokenStates
from pipeline.features.out_of_fold import Array, Folds
from pipeline.scale import MAX_VALUES

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

_Rows = npt.NDArray[np.intp]
_EPOCHS = 10
_BATCH = 64
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-2
_TEXTS_FOR_SCALE = 500


def train_queries(
    tokens: TokenStates, y: Array, folds: Folds, n_folds: int, n_heads: int, random_state: int
) -> npt.NDArray[np.float32]:
    r"""Return queries that were trained together with softmax classifiers of the pooled states, out of fold.

    Each head pools the token states with ``softmax(states @ query)``; a linear layer reads the classes from all heads.
    Queries and layer minimise the cross-entropy by AdamW with a one-cycle learning rate: 10 epochs, 64 texts a step.
    One such model per fold learns from the texts outside the fold, and one more from all texts; they are trained side
    by side, so that the states are read once for all of them.

    Parameters
    ----------
    tokens : TokenStates
        Token states of the texts.
    y : ndarray of shape (n_texts,)
        The target; each of its values is a class.
    folds : ndarray of int of shape (n_texts,)
        Fold of each text.
    n_folds : int
        Number of folds.
    n_heads : int
        Number of queries.
    random_state : int
        Decides the start and the order of the texts.

    Returns
    -------
    ndarray of shape (n_folds + 1, n_dimensions, n_heads), float32
        Learned without each fold, and at last from all texts.

    Raises
    ------
    ValueError
        If the target has more than 21 values.
    """
    import torch
    from torch.nn.functional import cross_entropy

    n_classes, target = _classes(y)
    tokens = tokens.at_hand()
    # What has no token has no state to learn from: some tokenizers make none of an empty text.
    rows = np.flatnonzero(tokens.lengths > 0)
    counts = torch.from_numpy(folds[:, None] != np.arange(n_folds + 1)).float()
    mean, scale = _mean_and_scale(tokens, rows)
    query, weight, bias = _parameters(n_folds + 1, len(mean), n_heads, n_classes, random_state)
    groups = [{"params": [query], "weight_decay": 0.0}, {"params": [weight, bias], "weight_decay": _WEIGHT_DECAY}]
    optimiser = torch.optim.AdamW(groups, lr=_LEARNING_RATE)
    n_steps = _EPOCHS * -(-len(rows) // _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=n_steps + 1)
    rng = np.random.default_rng(random_state)
    for some in (batch for _ in range(_EPOCHS) for batch in _batches(tokens, rows, rng)):
        pooled = (_pooled(tokens, some, query / scale[:, None]) - mean) / scale
        logits = torch.einsum("bmk,mck->bmc", pooled.reshape(len(some), n_folds + 1, -1), weight) + bias
        counted, classes = counts[some], target[some].repeat_interleave(n_folds + 1)
        losses = cross_entropy(logits.flatten(0, 1), classes, reduction="none").reshape(counted.shape)
        loss = ((losses * counted).sum(dim=0) / counted.sum(dim=0).clamp_min(1)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return (query.detach() / scale[:, None]).numpy()


def _classes(y: Array) -> tuple[int, "Tensor"]:
    """Return how many classes there are, and the class of each text."""
    import torch

    classes, targets = np.unique(y, return_inverse=True)
    if len(classes) > MAX_VALUES:
        few = ", ".join(f"{value:g}" for value in classes[:3])
        raise ValueError(
            f"weights='trained' takes each value of the target as a class, got {len(classes)} of them: {few}, ... "
            f"Round them to {MAX_VALUES} at most, or use weights='sn-ratio', which takes any numbers."
        )
    return len(classes), torch.from_numpy(targets)


def _parameters(
    n_models: int, n_dimensions: int, n_heads: int, n_classes: int, random_state: int
) -> tuple["Parameter", "Parameter", "Parameter"]:
    """Return the queries, all models' alike at first, and weight and bias of the classifiers."""
    import torch
    from torch.nn import Parameter

    start = 0.02 * torch.randn(n_dimensions, n_heads, generator=torch.Generator().manual_seed(random_state))
    weight, bias = torch.zeros(n_models, n_classes, n_heads * n_dimensions), torch.zeros(n_models, n_classes)
    return Parameter(start.repeat(n_models, 1, 1)), Parameter(weight), Parameter(bias)


def _pooled(tokens: TokenStates, rows: _Rows, query: "Tensor") -> "Tensor":
    """Return the states pooled by each query of each model, of shape (n_rows, n_models * n_heads, n_dimensions).

    The queries are those of standardised states. Shifting all states of a text changes no softmax, and the weights sum
    to 1: so the few pooled states are standardised instead of the many states of tokens.
    """
    batch = tokens.batch(rows.tolist(), [tokens.layer])
    states = batch.states[tokens.layer]
    scores = states @ query.permute(1, 0, 2).flatten(1)
    weights = scores.masked_fill(batch.mask[:, :, None] == 0, -np.inf).softmax(dim=1)
    return weights.transpose(1, 2) @ states


def _batches(tokens: TokenStates, rows: _Rows, rng: np.random.Generator) -> Iterator[_Rows]:
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


def _mean_and_scale(tokens: TokenStates, rows: _Rows) -> tuple["Tensor", "Tensor"]:
    """Return mean and standard deviation of the dimensions, from some texts that stand for the others."""
    import torch

    drawn = rows[:: max(1, len(rows) // _TEXTS_FOR_SCALE)]
    some = np.concatenate([tokens.states[tokens.of(row)] for row in drawn]).astype(np.float32)
    scale = some.std(axis=0)
    return torch.from_numpy(some.mean(axis=0)), torch.from_numpy(np.where(scale > 0, scale, 1))
