"""Learning curves: the pieces of work, and the tables of lines, sides, contrasts and crossovers."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.evaluation.bootstrap import holm, p_value, percentile_interval, resample_counts
from pipeline.evaluation.draws import draw_sizes
from pipeline.evaluation.scores import Scores, resample_reviews, score_lines
from pipeline.evaluation.sides import Side, last_change, side_of
from pipeline.evaluation.verdict import SURE
from pipeline.experiment.engine import in_parallel
from pipeline.experiment.fitting import one_thread
from pipeline.experiment.leaderboard import full_pieces
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import MODELS, check_models, make_model
from pipeline.experiment.pieces import Piece, PieceResult
from pipeline.experiment.weighted import takes_weights
from pipeline.project.conf import CurvesConfig, KnowHowConfig, ScoreConfig, SideConfig, check_names
from pipeline.project.paths import CONF
from pipeline.scale import Scale

logger = logging.getLogger(__name__)


def curve_models(config: CurvesConfig, score: ScoreConfig) -> dict[str, tuple[str, ...]]:
    """Return the models that have a curve, by feature set: those that a side asks for; all of them where none does."""
    models = {}
    for features in config.feature_sets:
        asked = {name for side in config.sides.values() if features in side.feature_sets for name in side.models}
        models[features] = tuple(name for name in score.models if name in asked or not asked)
    return models | ({RAW_TEXT: tuple(score.baselines)} if score.baselines else {})


def n_held_out(config: CurvesConfig, n_test: int) -> int:
    """Return how many of the held-out reviews the curves are measured on; 0 where that is all of them."""
    return config.n_held_out if n_test > config.n_held_out else 0


def curve_pieces(config: CurvesConfig, score: ScoreConfig, n_train: int, n_test: int = 0) -> list[Piece]:
    """Return every draw x feature set below all training reviews; for all of them, the pieces of the leaderboard.

    Such a piece may hold another line, too, that reads the same classifier; see `by_size`. It predicts all `n_test`
    held-out reviews, a draw no more than the configuration says.
    """
    models = curve_models(config, score)
    drawn = [
        Piece(features, names, n, repeat, n_held_out=n_held_out(config, n_test))
        for n, repeats in draw_sizes(config.sizes, n_train).items()
        for features, names in models.items()
        for repeat in range(repeats)
        if n < n_train
    ]
    full = [piece for piece in full_pieces(score, n_train) if set(piece.models) & set(models.get(piece.features, ()))]
    return drawn + full


def models_of(sides: Mapping[str, SideConfig]) -> dict[str, tuple[str, ...]]:
    """Return the models that sides ask for, by feature set."""
    models: dict[str, tuple[str, ...]] = {}
    for side in sides.values():
        for features in side.feature_sets:
            models[features] = tuple(dict.fromkeys([*models.get(features, ()), *side.models]))
    return models


def know_how_pieces(config: KnowHowConfig, n_train: int, n_held_out: int = 0) -> list[Piece]:
    """Return every draw x feature set of the curves with know-how, from no training review on; see `n_held_out`."""
    return [
        Piece(features, names, n, repeat, know_how=config.rows, n_held_out=n_held_out)
        for n, repeats in sorted(config.sizes.items())
        for features, names in models_of(config.sides).items()
        for repeat in range(repeats if n else 1)
        if n < n_train
    ]


def by_size(
    results: Sequence[PieceResult], models: Mapping[str, Collection[str]]
) -> dict[int, dict[Line, list[PieceResult]]]:
    """Return the results of each line at each size, draw by draw; a line that refused a draw is left out there.

    Parameters
    ----------
    results : sequence of PieceResult
    models : mapping of str to collection of str
        By feature set, those that have a curve; a piece may hold another one, too.
    """
    sizes: dict[int, dict[Line, list[PieceResult]]] = defaultdict(lambda: defaultdict(list))
    refused: dict[tuple[int, Line], str] = {}
    for result in sorted(results, key=lambda each: (each.piece.n_train, each.piece.repeat)):
        n_train, features = result.piece.n_train, result.piece.features
        for model in result.piece.models:
            if model in models[features]:
                sizes[n_train][Line(features, model)].append(result)
        refused |= {(n_train, Line(features, model)): why for model, why in result.refused.items()}
    for (n_train, line), why in refused.items():
        if sizes[n_train].pop(line, None):
            logger.warning("left out with %d training reviews: %s", n_train, why)
    return {n_train: dict(lines) for n_train, lines in sizes.items()}


def predictions_of(
    lines: dict[Line, list[PieceResult]], held_out: npt.NDArray[np.intp]
) -> dict[Line, npt.NDArray[np.float64]]:
    """Return the predictions of lines at one size for some of the held-out reviews, of shape (n_draws, n_reviews)."""

    def of(result: PieceResult, model: str) -> npt.NDArray[np.float64]:
        predictions = result.predictions[model].to_numpy(dtype=np.float64)
        # Those of the leaderboard are of all held-out reviews.
        return predictions if result.piece.n_held_out else predictions[held_out]

    return {line: np.stack([of(result, line.model) for result in results]) for line, results in lines.items()}


def score_sizes(
    stars: npt.NDArray[Any],
    predictions: Mapping[int, Mapping[Line, npt.NDArray[np.float64]]],
    n_resamples: int,
    seed: int,
    scale: Scale,
) -> dict[int, Scores[Line]]:
    """Return the scores of the lines at every size, from `predictions_of`, on all cores."""
    jobs = [(n, stars, lines, n_resamples, seed, scale) for n, lines in predictions.items()]
    scored = dict(in_parallel(_score_size, jobs))
    return {n: scored[n] for n in predictions}


def _score_size(job: tuple[int, Any, Any, int, int, Scale]) -> tuple[int, Scores[Line]]:
    n, stars, predictions, n_resamples, seed, scale = job
    try:
        with one_thread():
            return n, score_lines(stars, predictions, resample_reviews(stars, n_resamples, seed), scale)
    finally:
        # A worker stays, and has other work to do.
        resample_counts.cache_clear()


def seconds_of(lines: dict[Line, list[PieceResult]]) -> dict[Line, float]:
    """Return the median seconds of fit of lines at one size."""
    return {
        line: float(np.median([result.figures["fit_seconds"][line.model] for result in results]))
        for line, results in lines.items()
    }


def make_sides(
    config: Mapping[str, SideConfig], scores: dict[int, Scores[Line]], where: str = str(CONF / "curves.yaml")
) -> dict[str, dict[int, Side[Line]]]:
    """Return every side at every size; `where` names the file of the sides for errors.

    Raises
    ------
    PipelineError
        If none of the lines of a side was fitted at some size.
    """
    sides: dict[str, dict[int, Side[Line]]] = {}
    for name, side in config.items():
        lines = [Line(features, model) for features in side.feature_sets for model in side.models]
        try:
            sides[name] = {n_train: side_of(of_size, lines) for n_train, of_size in scores.items()}
        except ValueError as error:
            raise PipelineError(f"{where}: side {name}: {error}") from None
    return sides


def check_curves(config: CurvesConfig, score: ScoreConfig) -> None:
    """Stop before any work if conf/curves.yaml names what is not on the leaderboard.

    Raises
    ------
    PipelineError
        It lists the known names.
    """
    where = str(CONF / "curves.yaml")
    check_names(config.feature_sets, list(score.feature_sets), "feature set", where)
    for name, side in config.sides.items():
        check_names(side.feature_sets, config.feature_sets, f"feature set of side {name}", where)
        check_names(side.models, score.models, f"model of side {name}", where)
    for pair in config.contrasts:
        check_names(pair, list(config.sides), "side", where)
    if config.know_how:
        _check_know_how(config.know_how, score, where)
    n_tests = len(config.contrasts) * (len(config.sizes) + 1)
    if config.know_how:
        n_tests = max(n_tests, len(config.know_how.contrasts) * len(config.know_how.sizes))
    check_resamples(n_tests, config.n_resamples, where)


def check_resamples(n_tests: int, n_resamples: int, where: str) -> None:
    """Stop before any work if so few resamples can show no difference.

    Raises
    ------
    PipelineError
        It says how many are needed.
    """
    if n_tests * 2 / (1 + n_resamples) >= SURE:
        raise PipelineError(
            f"{where}: n_resamples: {n_tests} p-values adjusted by Holm cannot fall below {SURE} with "
            f"{n_resamples} resamples: take {int(n_tests * 2 / SURE)} or more"
        )


def _check_know_how(config: KnowHowConfig, score: ScoreConfig, where: str) -> None:
    for name, side in config.sides.items():
        check_names(side.feature_sets, list(score.feature_sets), f"feature set of know_how, side {name}", where)
        check_models(side.models, MODELS, f"model of know_how, side {name}", where)
        for model in side.models:
            if not takes_weights(make_model(Line("", model))):
                raise PipelineError(f"{where}: know_how: side {name}: {model} takes no weights of rows: leave it out")
    for pair in config.contrasts:
        check_names(pair, list(config.sides), "side of know_how", where)


def curves_frame(scores: Mapping[int, Scores[Line]], seconds: Mapping[int, Mapping[Line, float]]) -> pd.DataFrame:
    """Return curves.csv: every line at every size.

    Parameters
    ----------
    scores : mapping of int to Scores
        By training reviews.
    seconds : mapping of int to mapping of Line to float
        Median seconds of fit.
    """
    rows = []
    for n_train, of_size in scores.items():
        for i, line in enumerate(of_size.lines):
            rows.append(
                {
                    **line._asdict(),
                    "n_train": n_train,
                    "n_draws": of_size.n_draws,
                    **_estimate("qwk", of_size.qwk[:, i]),
                    **_estimate("mae", of_size.mae[:, i]),
                    "qwk_sd": of_size.qwk_sd[i],
                    "fit_seconds": seconds[n_train][line],
                }
            )
    return pd.DataFrame(rows)


def _estimate(name: str, resampled: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return a value, the first one, with the interval of its resamples."""
    low, high = percentile_interval(resampled)
    return {name: resampled[0], f"{name}_low": low, f"{name}_high": high}


def sides_frame(sides: Mapping[str, Mapping[int, Side[Line]]]) -> pd.DataFrame:
    """Return sides.csv: every side at every size."""
    rows = [
        {"side": name, "n_train": n_train, **side.line._asdict(), **_estimate("qwk", side.qwk)}
        for name, of_size in sides.items()
        for n_train, side in of_size.items()
    ]
    return pd.DataFrame(rows)


def contrasts_frame(sides: Mapping[str, Mapping[int, Side[Line]]], contrasts: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Return contrasts.csv: the first side of each pair less the second, at every size, adjusted for all of them."""
    rows = []
    for a, b in contrasts:
        for n_train in sides[a]:
            difference = sides[a][n_train].qwk - sides[b][n_train].qwk
            low, high = percentile_interval(difference)
            row = {"a": a, "b": b, "n_train": n_train, "difference": difference[0], "low": low, "high": high}
            rows.append({**row, "p": p_value(difference)})
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"]))


def crossovers_frame(sides: Mapping[str, Mapping[int, Side[Line]]], contrasts: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Return crossovers.csv: at how many training reviews the lead of a pair changes, and how sure that is.

    Between two sizes the difference is taken as a straight line over the logarithm of the training reviews; where the
    lead changes several times, the last one counts. Nobody's name stands where neither leads.
    """
    rows = []
    for a, b in contrasts:
        sizes = np.log(list(sides[a]))
        differences = np.stack([sides[a][n].qwk - sides[b][n].qwk for n in sides[a]])
        at = np.array([last_change(sizes, column) for column in differences.T])
        found = np.isfinite(at[1:])
        if np.isfinite(at[0]):
            # A change of the lead the other way round speaks against this one.
            found &= np.sign(differences[-1, 1:]) == np.sign(differences[-1, 0])
        row = {"a": a, "b": b, "found": float(found.mean()), "n": np.nan, "n_low": np.nan, "n_high": np.nan}
        if np.isfinite(at[0]):
            low, high = np.percentile(at[1:][found], [2.5, 97.5]) if found.any() else (np.nan, np.nan)
            row |= {"n": np.exp(at[0]), "n_low": np.exp(low), "n_high": np.exp(high)}
        small, large = (a if differences[i, 0] > 0 else b if differences[i, 0] < 0 else "" for i in (0, -1))
        rows.append({**row, "ahead_small": small, "ahead_large": large})
    return pd.DataFrame(rows)
