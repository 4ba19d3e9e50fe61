import warnings
from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from pipeline.plots import predicted_against_true, strongest_items


def drawn(figure):
    """Render as the report does; whatever is not finite or does not fit warns here."""
    png = BytesIO()
    figure.savefig(png, format="png", dpi=50)
    assert png.getvalue().startswith(b"\x89PNG")
    return figure.axes[0]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def points(axes):
    return np.asarray(axes.collections[0].get_offsets())


def item_table(sn_db, beta):
    names = [f"item {i}" for i in range(len(sn_db))]
    return pd.DataFrame({"item": names, "sn_db": np.array(sn_db, float), "beta": np.array(beta, float)})


@pytest.mark.parametrize(
    "stars",
    [[1, 2, 4, 5, 5], [5], [3, 3, 3], [1, 5], list(range(1, 6)) * 200],
    ids=["no 3 stars", "one review", "one star", "two stars", "many"],
)
@pytest.mark.parametrize("constant", [True, False])
def test_any_selection_of_stars_can_be_drawn(stars, constant):
    predictions = np.full(len(stars), 3.2) if constant else np.linspace(-40, 40, len(stars))
    axes = drawn(predicted_against_true(pd.Series(stars), pd.Series(predictions), "Ta on text_stats: QWK 0.5"))
    assert len(points(axes)) == len(stars)


def test_each_point_stands_at_its_star_and_its_prediction():
    stars, predictions = pd.Series([1, 2, 3, 4, 5]), pd.Series([1.5, 2.5, 0.5, 4.0, 5.5])
    shown = points(drawn(predicted_against_true(stars, predictions, "Ta")))
    np.testing.assert_array_equal(np.round(shown[:, 0]), stars)
    np.testing.assert_array_equal(shown[:, 1], predictions)


def test_points_outside_the_range_sit_on_its_edge():
    axes = drawn(predicted_against_true(pd.Series([1, 5, 3]), pd.Series([-1e6, 1e6, 3.0]), "Ta"))
    low, high = axes.get_ylim()
    assert low < 1
    assert high > 5
    np.testing.assert_array_equal(points(axes)[:, 1], [low, high, 3.0])


def test_rows_with_another_index_are_drawn_the_same():
    stars, predictions = pd.Series([1, 3, 5, 5]), pd.Series([1.0, 2.0, 3.0, 4.0])
    moved = predicted_against_true(stars.set_axis([9, 7, 5, 3]), predictions.set_axis([9, 7, 5, 3]), "Ta")
    np.testing.assert_array_equal(points(drawn(moved)), points(drawn(predicted_against_true(stars, predictions, "Ta"))))


def test_the_strongest_item_is_on_top_and_its_bar_ends_at_its_sn_ratio():
    axes = drawn(strongest_items(item_table([-3.5, -12.0, -20.0], [0.2, -0.1, 0.3]), "Ta on text_stats"))
    bars = {bar.get_y() + bar.get_height() / 2: bar for bar in axes.patches}
    bottom, top = axes.get_ylim()
    assert top < min(bars) < max(bars) < bottom
    ends = [bars[y].get_x() + bars[y].get_width() for y in sorted(bars)]
    assert ends == pytest.approx([-3.5, -12.0, -20.0])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["item 0", "item 1", "item 2"]
    assert all(bar.get_width() > 0 for bar in axes.patches)


def test_the_colour_tells_the_sign_of_the_sensitivity():
    axes = drawn(strongest_items(item_table([-1, -2, -3, -4], [1, -1, 2, -2]), "Ta"))
    by_row = [bar.get_facecolor() for bar in sorted(axes.patches, key=lambda bar: bar.get_y())]
    assert by_row[0] == by_row[2] != by_row[1] == by_row[3]


@pytest.mark.parametrize("n", [0, 1, 30])
def test_any_number_of_items_can_be_drawn(n):
    table = item_table(np.linspace(5, -60, n), np.where(np.arange(n) % 2, 1, -1))
    assert len(drawn(strongest_items(table, "T(1) on embedding")).patches) == n


@pytest.mark.parametrize("sign", [1, -1])
def test_items_of_one_sign_only_can_be_drawn(sign):
    bars = drawn(strongest_items(item_table([-1, -2], [sign, 2 * sign]), "Ta")).patches
    assert len({bar.get_facecolor() for bar in bars}) == 1
