"""SetFit: an encoder fine-tuned with pairs of texts, and a logistic regression on its embeddings."""

from math import ceil
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import check_classification_targets
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

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_Codes = list[int]


class SetFitClassifier(ClassifierMixin, BaseEstimator):
    """SetFit as a classifier of texts: few-shot fine-tuning of a sentence encoder without prompts.

    A copy of the encoder learns from pairs of training texts: the cosine of two embeddings should be 1 where both texts
    are of one class, else 0. A logistic regression then reads the classes from the embeddings.

    Parameters
    ----------
    model : str or Path, default="bundled"
        "bundled" (all-MiniLM-L6-v2, needs no network), the path of a directory, or a name on the hub; see
        `pipeline.encoder.load_encoder`.
    revision : str, default=None
        Commit on the hub.
    num_epochs : int, default=1
        How often the encoder sees all pairs.
    max_steps : int, default=-1
        The most steps that the encoder is trained, however many pairs there are; -1: no limit.
    batch_size : int, default=16
        Pairs a step.
    sampling_strategy : {"oversampling", "undersampling", "unique"}, default="oversampling"
        Which pairs: as many of one class as of two, the fewer of them again and again; as many as there are of the
        fewer; or all as they are. Their number grows with the square of the number of texts: 30 texts of five classes
        have about 700 pairs, 100 about 8,000.
    num_iterations : int, default=None
        So many pairs of one class and so many of two for each text, in place of `sampling_strategy`.
    body_learning_rate : float, default=2e-5
        Largest learning rate of the encoder.
    max_length : int, default=None
        Tokens at which texts are cut, for training and prediction; None: the encoder's maximum, 256 for the bundled
        one. A step takes time in proportion.
    use_amp : bool, default=False
        Whether the encoder is trained in bfloat16 where that does no harm: about 2.5 times as fast on processors that
        have it.
    head_params : dict, default=None
        Parameters of the logistic regression; None: scikit-learn's defaults. Embeddings have length 1, so that few
        texts with the default `C` make timid probabilities.
    random_state : int, RandomState instance or None, default=None
        Decides the order of the pairs and what drop-out leaves out. An int makes fits repeatable on one thread.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        In ascending order.
    body_ : SentenceTransformer
        The fine-tuned copy of the encoder. A pickle holds its weights: 90 MB for the bundled one.
    head_ : LogisticRegression
        Its classes are positions in `classes_`.
    n_steps_ : int
        Steps that the encoder was trained.

    Notes
    -----
    The defaults are those of the package `setfit`, which does the training [1]_; `max_length` is heeded in all steps
    (`setfit` heeds it only with a head of its own), and `use_amp` on any device.

    References
    ----------
    .. [1] L. Tunstall et al., "Efficient Few-Shot Learning Without Prompts", arXiv:2209.11055, 2022.

    Examples
    --------
    >>> from pipeline.peers import SetFitClassifier
    >>> texts = ["Superb ramen.", "Lovely people, superb food.", "Cold fries again.", "Rude, cold, slow."]
    >>> model = SetFitClassifier(max_steps=2, random_state=0).fit(texts, [5, 5, 1, 1])
    >>> model.predict(["Superb, lovely!", "Cold and slow."]).tolist()
    [5, 1]
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's form
        "model": [str, Path],
        "revision": [str, None],
        "num_epochs": [Interval(Integral, 1, None, closed="left")],
        "max_steps": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "sampling_strategy": [StrOptions({"oversampling", "undersampling", "unique"})],
        "num_iterations": [Interval(Integral, 1, None, closed="left"), None],
        "body_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_length": [Interval(Integral, 3, None, closed="left"), None],
        "use_amp": ["boolean"],
        "head_params": [dict, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        model: str | Path = BUNDLED,
        revision: str | None = None,
        num_epochs: int = 1,
        max_steps: int = -1,
        batch_size: int = 16,
        sampling_strategy: str = "oversampling",
        num_iterations: int | None = None,
        body_learning_rate: float = 2e-5,
        max_length: int | None = None,
        use_amp: bool = False,
        head_params: dict[str, Any] | None = None,
        random_state: Any = None,
    ):
        self.model = model
        self.revision = revision
        self.num_epochs = num_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.sampling_strategy = sampling_strategy
        self.num_iterations = num_iterations
        self.body_learning_rate = body_learning_rate
        self.max_length = max_length
        self.use_amp = use_amp
        self.head_params = head_params
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fine-tune a copy of the encoder, and fit the logistic regression on its embeddings.

        Parameters
        ----------
        X : sequence of str
            Texts.
        y : array-like of shape (n_texts,)
            Their classes.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is not a sequence of str, a parameter is out of its range, or `y` has fewer than two classes, or is
            continuous.
        OSError
            If the model is not to be had.
        ImportError
            If the extra `setfit` is not installed.
        """
        self._validate_params()
        name = type(self).__name__
        texts, target = check_texts_and_target(X, y, name)
        check_classification_targets(target)
        classes, codes = np.unique(target, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"{name} needs texts of two classes at least, got only {classes[0]!s}.")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        body = copy_encoder(self.model, self.revision, self.max_length, name)
        head = LogisticRegression(**(self.head_params or {}))
        self.n_steps_ = self._train(body, head, texts, codes.tolist(), seed)
        self.classes_, self.body_, self.head_ = classes, finished(body), head
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : sequence of str
            Texts.

        Returns
        -------
        ndarray of shape (n_texts, n_classes)
        """
        check_is_fitted(self)
        texts = check_some_texts(X, type(self).__name__)
        probabilities: npt.NDArray[np.float64] = self.head_.predict_proba(embed(self.body_, texts)).astype(np.float64)
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class of each text."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _train(
        self, body: "SentenceTransformer", head: LogisticRegression, texts: list[str], codes: _Codes, seed: int
    ) -> int:
        """Train the encoder and then its head in place; return the number of the encoder's steps."""
        with training() as directory:
            from setfit import SetFitModel, Trainer, TrainingArguments

            arguments = TrainingArguments(
                output_dir=str(directory),
                batch_size=self.batch_size,
                num_epochs=self.num_epochs,
                max_steps=self._limited_steps(texts, codes),
                sampling_strategy=self.sampling_strategy,
                num_iterations=self.num_iterations,
                body_learning_rate=float(self.body_learning_rate),
                show_progress_bar=False,
                seed=seed,
                report_to="none",
                logging_strategy="no",
                save_strategy="no",
            )
            model = SetFitModel(model_body=body, model_head=head)
            trainer = Trainer(model=model, args=arguments)
            silence(trainer.st_trainer)
            with half_precision(body, self.use_amp):
                trainer.train_embeddings(texts, codes, args=arguments)
            trainer.train_classifier(texts, codes, args=arguments)
            return trainer.st_trainer.state.global_step

    def _limited_steps(self, texts: list[str], codes: _Codes) -> int:
        """Return the steps to train: `max_steps`, unless the pairs are used up before; -1 without a limit."""
        from setfit.sampler import ContrastiveDataset

        if self.max_steps == -1:
            return -1
        pairs = ContrastiveDataset(
            texts, codes, False, self.num_iterations, self.sampling_strategy, self.max_steps * self.batch_size
        )
        return min(self.max_steps, ceil(len(pairs) / self.batch_size) * self.num_epochs)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
