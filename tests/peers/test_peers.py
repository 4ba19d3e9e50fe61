"""What SetFit and the fine-tuned encoder have in common as estimators of scikit-learn."""

import pickle
import random
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from pipeline.encoder import load_encoder
from pipeline.peers import FineTunedRegressor, SetFitClassifier

pytestmark = pytest.mark.slow
pytest.importorskip("setfit", reason="the extra setfit is not installed")


@pytest.fixture(params=["setfit", "finetuned"])
def peer(request, tiny_encoder):
    """An unfitted estimator that takes a few steps with the tiny encoder."""
    if request.param == "setfit":
        return SetFitClassifier(tiny_encoder, max_steps=3, body_learning_rate=1e-3, random_state=0)
    return FineTunedRegressor(tiny_encoder, learning_rate=1e-3, random_state=0)


def read(model, texts):
    """Return all that a model says of texts."""
    return model.predict_proba(texts) if hasattr(model, "predict_proba") else model.predict(texts)


def test_a_fit_can_be_repeated_cloned_and_pickled(peer, texts, stars):
    said = read(peer.fit(texts, stars), texts)
    assert np.isfinite(said).all()
    np.testing.assert_array_equal(read(clone(peer).fit(texts, stars), texts), said)
    np.testing.assert_array_equal(read(pickle.loads(pickle.dumps(peer)), texts), said)
    other = clone(peer).set_params(random_state=1).fit(texts, stars)
    assert not np.array_equal(read(other, texts), said)


def test_the_encoder_that_others_share_stays_as_it_was(peer, texts, stars, tiny_encoder):
    shared = load_encoder(tiny_encoder)
    before, length = shared.encode(texts), shared.max_seq_length
    peer.set_params(max_length=8).fit(texts, stars)
    assert load_encoder(tiny_encoder) is shared
    np.testing.assert_array_equal(shared.encode(texts), before)
    assert (shared.max_seq_length, peer.body_.max_seq_length) == (length, 8)
    assert not np.allclose(peer.body_.encode(texts), before)


def test_nothing_is_said_written_or_changed(peer, texts, stars, tmp_path, monkeypatch, capfd):
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X, y = np.array(texts, dtype=object), np.array(stars)
    X.flags.writeable = y.flags.writeable = False
    generators = [
        lambda: random.getstate(),
        lambda: np.random.get_state()[1].tolist(),  # noqa: NPY002 - it is the global one that trainers seed
        lambda: torch.random.get_rng_state().tolist(),
    ]
    before = [state() for state in generators]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        peer.fit(X, y).predict(X)
    assert [state() for state in generators] == before
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_half_precision_goes_the_way_of_full_precision(peer, texts, stars):
    # A cast of the first weights that were kept would part the two ways.
    start = load_encoder(peer.model).encode(texts)
    full = clone(peer).fit(texts, stars).body_.encode(texts)
    half = clone(peer).set_params(use_amp=True).fit(texts, stars).body_.encode(texts)
    assert np.linalg.norm(half - full) < 0.3 * np.linalg.norm(full - start)


def test_any_container_of_texts_is_read_alike(peer, texts, stars):
    said = read(peer.fit(texts, stars), texts)
    for container in (tuple(texts), np.array(texts, dtype=object), pd.Series(texts), pd.DataFrame({"text": texts})):
        np.testing.assert_array_equal(read(peer, container), said)


def test_odd_texts_are_read(peer, texts, stars):
    said = read(peer.fit([*texts, ""], [*stars, 3]), ["", "😀", "味は最高", "word " * 3000])
    assert np.isfinite(said).all()


def test_tags_say_that_texts_are_read(peer):
    tags = get_tags(peer)
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ("one text", [1], "put it into a list"),
        (["good", None], [5, 1], "Expected str, got NoneType"),
        ([], [], "got no texts"),
        (["good", "bad"], [5], "inconsistent numbers of samples"),
        (["good", "bad"], None, "requires y to be passed"),
        (["good", "bad"], [[5, 1], [1, 5]], "1d array"),
        (["good", "bad"], [5.0, float("nan")], "NaN"),
    ],
)
def test_bad_input_is_refused_in_one_line(peer, X, y, message):
    with pytest.raises(ValueError, match=message) as error:
        peer.fit(X, y)
    assert "\n" not in str(error.value)
    assert not hasattr(peer, "body_")


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_epochs", 0), ("batch_size", 0), ("max_length", 2), ("use_amp", "yes"), ("model", 3), ("random_state", "x")],
)
def test_parameters_out_of_range_are_named(peer, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        peer.set_params(**{name: value}).fit(["good", "bad"], [5, 1])


def test_a_model_that_is_nowhere_is_named(peer):
    with pytest.raises(OSError, match="'nowhere/at-all' is neither a directory"):
        peer.set_params(model="nowhere/at-all").fit(["good", "bad"], [5, 1])


def test_predictions_need_a_fit_and_texts(peer, texts, stars):
    with pytest.raises(NotFittedError):
        peer.predict(texts)
    with pytest.raises(ValueError, match="got no texts"):
        peer.fit(texts, stars).predict([])


@pytest.mark.parametrize("package", ["torch", "setfit", "accelerate"])
def test_the_missing_extra_is_named(peer, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf'{type(peer).__name__} needs {package}: pip install "t-method-vs-attention\[setfit\]"'
    with pytest.raises(ImportError, match=message):
        peer.fit(["good", "bad"], [5, 1])
