"""A whole encoder fine-tuned to predict a number, the ceiling of what it can learn by back-propagation."""

from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from pipeline.encoder import BUNDLED
from pipeline.peers.training import (
    check_some_texts,
    check_texts_and_target,
    copy_encoder,
    embed,
    finished,
    half_precision,
    silence,
    training,
)
from pipeline.taguchi.target import as_numbers

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor
    from torch.nn import Linear, Module

Array = npt.NDArray[np.float64]

_ALPHA = 0.3  # of the first head, for embeddings of length 1


class FineTunedRegressor(RegressorMixin, BaseEstimator):
    """A sentence encoder and a linear head, all of it trained for least squares.

    The head starts as the ridge regression on the embeddings of the untrained encoder, so that the first steps do not
    spoil what the encoder knows [1]_. Then sentence-transformers' trainer moves all weights by AdamW, texts of similar
    length together.

    Parameters
    ----------
    model : str or Path, default="bundled"
        "bundled" (all-MiniLM-L6-v2, needs no network), the path of a directory, or a name on the hub; see
        `pipeline.encoder.load_encoder`.
    revision : str, default=None
        Commit on the hub.
    num_epochs : int, default=3
        How often each text is seen.
    batch_size : int, default=16
        Texts a step.
    learning_rate : float, default=5e-5
        The largest: it rises in the first tenth of the steps and then falls to 0.
    max_length : int, default=None
        Tokens at which texts are cut, for training and prediction; None: the encoder's maximum, 256 for the bundled
        one.
    use_amp : bool, default=False
        Whether it is trained in bfloat16 where that does no harm: about 2.5 times as fast on processors that have it.
    random_state : int, RandomState instance or None, default=None
        Decides the order of the texts and what drop-out leaves out. An int makes fits repeatable on one thread.

    Attributes
    ----------
    body_ : SentenceTransformer
        The fine-tuned copy of the encoder. A pickle holds its weights: 90 MB for the bundled one.
    coef_ : ndarray of shape (n_dimensions,)
        The head: weights of the embedding's dimensions.
    intercept_ : float
    n_steps_ : int
        Steps of training.

    References
    ----------
    .. [1] A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
       ICLR 2022.

    Examples
    --------
    >>> from pipeline.peers import FineTunedRegressor
    >>> texts = ["Superb ramen.", "Lovely people, superb food.", "Cold fries again.", "Rude, cold, slow."]
    >>> model = FineTunedRegressor(random_state=0).fit(texts, [5, 5, 1, 1])
    >>> good, bad = model.predict(["Superb, lovely!", "Cold and slow."])
    >>> bool(good > bad)
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "model": [str, Path],
        "revision": [str, None],
        "num_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_length": [Interval(Integral, 3, None, closed="left"), None],
        "use_amp": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        model: str | Path = BUNDLED,
        revision: str | None = None,
        num_epochs: int = 3,
        batch_size: int = 16,
        learning_rate: float = 5e-5,
        max_length: int | None = None,
        use_amp: bool = False,
        random_state: Any = None,
    ):
        self.model = model
        self.revision = revision
        self.num_epochs = num_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_length = max_length
        self.use_amp = use_amp
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fine-tune a copy of the encoder together with its head.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : array-like of shape (n_texts,)
            Numbers, also written as text.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is not a sequence of str, a parameter is out of its range, or `y` is not made of finite numbers.
        OSError
            If the model is not to be had.
        ImportError
            If the extra `setfit` is not installed.
        """
        self._validate_params()
        name = type(self).__name__
        texts, target = check_texts_and_target(X, None if y is None else as_numbers(y, name), name)
        stars = np.asarray(target, dtype=np.float64)
        if not np.isfinite(stars).all():
            raise ValueError(f"{name} got a target with NaN or infinity: leave these texts out.")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        body = copy_encoder(self.model, self.revision, self.max_length, name)
        # On the scale of a standard deviation the steps do not depend on the unit of the target.
        center, scale = stars.mean(), stars.std() or 1.0
        head, self.n_steps_ = self._train(body, texts, (stars - center) / scale, seed)
        self.body_ = finished(body)
        self.coef_: Array = head.weight.detach().cpu().numpy()[0].astype(np.float64) * scale
        self.intercept_ = float(center + scale * head.bias.item())
        return self

    def predict(self, X: Any) -> Array:
        """Return the predicted number of each text.

        Parameters
        ----------
        X : sequence of str
            Texts.

        Returns
        -------
        ndarray of shape (n_texts,)
        """
        check_is_fitted(self)
        return embed(self.body_, check_some_texts(X, type(self).__name__)) @ self.coef_ + self.intercept_

    def _train(self, body: "SentenceTransformer", texts: list[str], target: Array, seed: int) -> tuple["Linear", int]:
        """Train the encoder in place; return its head and the number of steps."""
        with training() as directory:
            from datasets import Dataset
            from sentence_transformers import SentenceTransformerTrainingArguments

            arguments = SentenceTransformerTrainingArguments(
                output_dir=str(directory),
                num_train_epochs=self.num_epochs,
                per_device_train_batch_size=self.batch_size,
                learning_rate=float(self.learning_rate),
                warmup_steps=0.1,
                seed=seed,
                report_to="none",
                logging_strategy="no",
                save_strategy="no",
                batch_sampler=partial(_by_length, [len(text) for text in texts]),
            )
            head = _first_head(embed(body, texts), target).to(body.device)
            data = Dataset.from_dict({"text": texts, "label": target.tolist()})
            trainer = _trainer(model=body, args=arguments, train_dataset=data, loss=_squared_error(body, head))
            silence(trainer)
            with half_precision(body, self.use_amp):
                trainer.train()
            return head, trainer.state.global_step

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _first_head(embeddings: npt.NDArray[np.float32], target: Array) -> "Linear":
    """Return the ridge regression of a target on embeddings as a layer."""
    import torch

    ridge = Ridge(_ALPHA).fit(embeddings, target)
    head = torch.nn.Linear(embeddings.shape[1], 1)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(np.asarray(ridge.coef_))[None])
        head.bias.fill_(float(ridge.intercept_))
    return head


def _squared_error(body: "SentenceTransformer", head: "Linear") -> "Module":
    """Return the mean squared error of an encoder and its head, as a loss of sentence-transformers."""
    import torch

    class SquaredError(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.head = body, head

        def forward(self, features: list[dict[str, Any]], labels: "Tensor") -> "Tensor":
            predicted = self.head(self.model(features[0])["sentence_embedding"].float())[:, 0]
            return torch.nn.functional.mse_loss(predicted.float(), labels.float())

    return SquaredError()


def _trainer(**settings: Any) -> Any:
    """Return a trainer that writes no model card."""
    from sentence_transformers import SentenceTransformerTrainer

    class Trainer(SentenceTransformerTrainer):
        def add_model_card_callback(self, *_: Any, **__: Any) -> None:
            """Look at no text for a model card."""

    return Trainer(**settings)


def _by_length(lengths: list[int], _: Any, batch_size: int, drop_last: bool, **others: Any) -> Any:
    """Return batches of texts of similar length, in random order."""
    from torch.utils.data import BatchSampler
    from transformers.trainer_pt_utils import LengthGroupedSampler

    order = LengthGroupedSampler(batch_size, lengths=lengths, generator=others["generator"])
    return BatchSampler(order, batch_size, drop_last)
