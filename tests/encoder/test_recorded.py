"""Recorded token states stand in for texts: the same tokens, the same vectors, kept from the pass that makes others."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing

from pipeline.encoder import Pooling, TokenStates, encode, is_recorded, load_encoder, read_record, record, token_batches
from pipeline.features import AttentionPooling
from pipeline.features.token_weights import each_text


@pytest.fixture
def some(texts: list[str]) -> list[str]:
    """Several batches, whose order is not that of the texts, with an empty text and some texts twice."""
    return [*texts, "", *(f"{text} {i}" for i in range(3) for text in texts), *texts]


def test_the_files_hold_ids_and_states_of_each_text_in_half_precision(
    tiny_encoder: str, some: list[str], tmp_path: Path
) -> None:
    encoder = load_encoder(tiny_encoder)
    tokens = record(encoder, some, 1, tmp_path)
    assert len(tokens) == len(some)
    assert tokens.states.dtype == np.float16
    for row, text in enumerate(some):
        (batch,) = token_batches(encoder, [text], layers=[1])
        np.testing.assert_array_equal(tokens.ids[tokens.of(row)], batch.ids[0].numpy())
        np.testing.assert_allclose(tokens.states[tokens.of(row)], batch.states[1][0].numpy(), rtol=2e-3, atol=1e-3)
    for ids, again in zip(each_text(encoder, tokens), each_text(encoder, some), strict=True):
        np.testing.assert_array_equal(ids, again)


def test_the_pass_that_pools_records_too_and_goes_on_where_it_was_killed(
    tiny_encoder: str, some: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, layers = load_encoder(tiny_encoder), {1: tmp_path / "one", 2: tmp_path / "two"}
    monkeypatch.setattr("pipeline.encoder.batches._SHARD", 8)
    whole = record(encoder, some, 1, tmp_path / "alone")
    stop = KeyboardInterrupt("killed")
    from pipeline.encoder.recorder import Recorder

    finish = Recorder.finish

    def killed(*args: object) -> None:
        raise stop

    monkeypatch.setattr(Recorder, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        encode(encoder, some, [Pooling("uniform", 1)], cache=tmp_path / "cache", records=layers)
    assert not is_recorded(layers[1])
    monkeypatch.setattr(Recorder, "finish", finish)
    # What was encoded before the kill is not encoded again.
    monkeypatch.setattr("pipeline.encoder.pooled.make_runner", lambda *args, **options: pytest.fail("encoded again"))
    (pooled,) = encode(encoder, some, [Pooling("uniform", 1)], cache=tmp_path / "cache", records=layers)
    tokens = read_record(layers[1], 1)
    assert is_recorded(layers[2])
    for row in range(len(some)):
        np.testing.assert_array_equal(tokens.ids[tokens.of(row)], whole.ids[whole.of(row)])
        np.testing.assert_array_equal(tokens.states[tokens.of(row)], whole.states[whole.of(row)])
    np.testing.assert_allclose(encode(encoder, tokens, [Pooling("uniform", 1)])[0], pooled, atol=2e-3)


@pytest.mark.parametrize("weights", ["idf", "length", "sn-ratio", "t-method", "trained"])
def test_learned_weights_are_those_of_the_texts(
    weights: str, tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
) -> None:
    tokens = record(load_encoder(tiny_encoder), texts, 1, tmp_path)
    by_text, by_tokens = (AttentionPooling(weights, 1, cv=2, model=tiny_encoder) for _ in range(2))
    for X, Y in (
        (by_text.fit_transform(texts, stars), by_tokens.fit_transform(tokens, stars)),
        (by_text.transform(texts), by_tokens.transform(tokens)),
        (by_text.transform(texts), by_tokens.transform(texts)),
    ):
        # Half precision in the record, and training adds up its rounding.
        np.testing.assert_allclose(X, Y, atol=2e-2 if weights == "trained" else 4e-3)
    assert by_tokens.get_feature_names_out().tolist() == by_text.get_feature_names_out().tolist()


def test_some_texts_of_a_record_are_pooled_like_those_alone(
    tiny_encoder: str, texts: list[str], stars: list[int], tmp_path: Path
) -> None:
    tokens, rows = record(load_encoder(tiny_encoder), texts, 1, tmp_path), np.array([1, 3, 4, 7, 9, 11])
    pooling = AttentionPooling("sn-ratio", 1, cv=2, model=tiny_encoder)
    chosen = pooling.fit_transform(tokens[rows], np.array(stars)[rows])
    again = record(load_encoder(tiny_encoder), [texts[row] for row in rows], 1, tmp_path / "again")
    np.testing.assert_array_equal(chosen, pooling.fit_transform(again, np.array(stars)[rows]))


def test_what_a_record_does_not_hold_is_refused(tiny_encoder: str, texts: list[str], tmp_path: Path) -> None:
    tokens = record(load_encoder(tiny_encoder), texts, 1, tmp_path)
    with pytest.raises(ValueError, match="hold no attention and no sentence embedding"):
        AttentionPooling("received", 1, model=tiny_encoder).fit_transform(tokens)
    with pytest.raises(ValueError, match="Got token states of layer 1, but layer=2 is asked for"):
        AttentionPooling("length", 2, model=tiny_encoder).fit_transform(tokens)
    with pytest.raises(ValueError, match="calibrated with texts, got recorded token states"):
        AttentionPooling("length", 1, model=tiny_encoder, backend="openvino", precision="int8").fit(tokens)


def test_a_state_that_two_bytes_do_not_hold_is_refused(texts: list[str], tmp_path: Path, tiny_encoder: str) -> None:
    import torch

    encoder = load_encoder(tiny_encoder)
    embeddings = encoder[0].auto_model.embeddings.LayerNorm
    before = embeddings.weight.detach().clone()
    try:
        with torch.no_grad():
            embeddings.weight *= 1e6
        with pytest.raises(ValueError, match=r"in layer 0, .* hold 65504 at most: choose another layer"):
            record(encoder, texts, 0, tmp_path)
    finally:
        with torch.no_grad():
            embeddings.weight.copy_(before)


class TestIndexing:
    """Token states are cut as a column of an array is."""

    @pytest.fixture
    def tokens(self, tiny_encoder: str, texts: list[str], tmp_path: Path) -> TokenStates:
        return record(load_encoder(tiny_encoder), texts, 1, tmp_path)

    @pytest.mark.parametrize(
        "rows",
        [
            [2, 0, 2],
            (3, 1),
            [],
            np.array([5, -1]),
            np.array([1], dtype=np.uint8),
            [True, *[False] * 10, True],
            np.arange(12) % 3 == 0,
            slice(2, 9, 3),
            slice(None, None, -1),
            pd.Series([4, 2], index=[9, 9]),
        ],
        ids=str,
    )
    def test_as_numpy_does(self, tokens: TokenStates, rows: Any) -> None:
        expected = np.arange(12)[rows if isinstance(rows, slice) else np.array(rows, dtype=None if len(rows) else int)]
        for chosen in (tokens[rows], tokens[rows, ...], _safe_indexing(tokens, rows)):
            assert chosen.shape == (len(chosen),) == (len(expected),)
            np.testing.assert_array_equal(chosen.starts, np.asarray(tokens.starts)[expected])
            np.testing.assert_array_equal(chosen.lengths, np.asarray(tokens.lengths)[expected])

    @pytest.mark.parametrize("row", [0, 11, -1, -12, np.int64(3)])
    def test_a_position_is_one_text(self, tokens: TokenStates, row: int) -> None:
        assert tokens[row].shape == (1,)
        np.testing.assert_array_equal(tokens[row].starts, [tokens.starts[row]])
        assert [text.lengths[0] for text in tokens] == tokens.lengths.tolist()

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([0, 12], "Got the position 12 in token states of 12 texts: positions go to 11"),
            (-13, "Got the position -13 in token states of 12 texts"),
            ([True, False], "Got 2 booleans for the token states of 12 texts: give one for each"),
            ([[0, 1]], "chosen by positions, booleans or a slice, got"),
            ([0.5], "chosen by positions, booleans or a slice, got"),
            ("ab", "chosen by positions, booleans or a slice, got 'ab'"),
            (None, "chosen by positions, booleans or a slice, got None"),
            ((0, slice(None)), "chosen by positions, booleans or a slice, got"),
        ],
    )
    def test_what_is_no_choice_of_texts(self, tokens: TokenStates, rows: Any, message: str) -> None:
        with pytest.raises(IndexError, match=message):
            tokens[rows]

    def test_scikit_learn_cuts_them(
        self, tokens: TokenStates, tiny_encoder: str, texts: list[str], stars: list[int]
    ) -> None:
        pooling = AttentionPooling("sn-ratio", 1, cv=2, model=tiny_encoder)
        model = make_pipeline(pooling, Ridge())
        cut = {"cv": KFold(2, shuffle=True, random_state=0)}
        predictions = [cross_val_predict(model, X, stars, **cut) for X in (tokens, texts)]
        np.testing.assert_allclose(*predictions, atol=0.02)
        scores = [cross_val_score(model, X, stars, error_score="raise", **cut) for X in (tokens, texts)]
        np.testing.assert_allclose(*scores, atol=0.05)
        search = GridSearchCV(model, {"attentionpooling__n_heads": [1, 2]}, error_score="raise", **cut)
        assert search.fit(tokens, stars).predict(tokens).shape == (12,)
        for stratify in (None, np.array(stars) > 3):
            train, test, y_train, _ = train_test_split(tokens, stars, test_size=4, random_state=0, stratify=stratify)
            assert (len(train), len(test)) == (8, 4)
            assert model.fit(train, y_train).predict(test).shape == (4,)
        again = pickle.loads(pickle.dumps(tokens[3:]))
        np.testing.assert_array_equal(again.lengths, tokens.lengths[3:])


def test_states_at_hand_are_those_of_the_record(
    tiny_encoder: str, some: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = record(load_encoder(tiny_encoder), some, 1, tmp_path)[::-2]
    at_hand = tokens.at_hand()
    assert at_hand.states.shape == (tokens.lengths.sum(), 16)
    for rows in ([0, 3, 1], range(len(tokens))):
        batch, again = (each.batch(list(rows), [1]) for each in (tokens, at_hand))
        assert batch.states[1].equal(again.states[1])
        assert batch.ids.equal(again.ids)
        assert batch.mask.equal(again.mask)
    assert len(tokens[:0].at_hand()) == 0
    monkeypatch.setattr("pipeline.encoder.recorded._AT_HAND", at_hand.states.nbytes - 1)
    assert tokens.at_hand() is tokens
