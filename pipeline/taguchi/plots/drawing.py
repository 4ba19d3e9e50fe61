"""Shared by the displays: the table that is drawn, axes, colours, names of items, fonts for them."""

import importlib.util
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"
SMALL = 9

_LONGEST = 28
_FONTS = ["IPAexGothic", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Hiragino Sans"]
_FONTS += ["PingFang SC", "Yu Gothic", "Meiryo", "MS Gothic", "Microsoft YaHei", "SimHei", "TakaoPGothic"]
_FONTS += ["WenQuanYi Zen Hei", "Source Han Sans JP", "Source Han Sans CN"]
_PACKAGED = {"matplotlib_fontja": "fonts/ipaexg.ttf", "noto_cjk_sans_otc": "NotoSansCJK-Regular.ttc"}


class Display:
    """Base of the displays: `frame` returns what `plot` draws."""

    ax_: Any
    figure_: "Figure | SubFigure"

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def frame(self) -> pd.DataFrame:
        """Return the numbers that are drawn.

        Returns
        -------
        DataFrame
            A copy of `table`.
        """
        return self.table.copy()

    def _drawn(self, ax: "Axes") -> Self:
        """Keep the axes that were drawn on."""
        self.ax_, self.figure_ = ax, ax.figure
        return self


def axes_for(ax: "Axes | None", width: float, height: float) -> "Axes":
    """Return the axes to draw on: those given, or those of a new pyplot figure of that size in inches."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")[1]


def style(kind: type, given: dict[str, Any], **default: Any) -> dict[str, Any]:
    """Return the properties of an artist: the defaults, and those given, under their full names, in place of them."""
    from matplotlib.cbook import normalize_kwargs

    return {**default, **normalize_kwargs(given, kind)}


def labels(names: Iterable[Any], longest: int = _LONGEST) -> list[str]:
    """Return names as they are drawn: on one line, the middle of long ones cut out; a wide character counts twice.

    Examples
    --------
    >>> labels(["temperature of melt 7", "温度センサー", 3], longest=10)
    ['temp…elt 7', '温度…サー', '3']
    """
    return [_cut("".join(c if c.isprintable() else " " for c in str(name)), longest) for name in names]


def lettering(names: Sequence[str], **properties: Any) -> dict[str, Any]:
    """Return properties of texts with names of items: a dollar is no formula there, a font has the characters."""
    return {"parse_math": False, "fontfamily": _families("".join(names)), **properties}


def name_places(ax: "Axes", places: npt.ArrayLike, names: Iterable[Any], room: float = 1, top: bool = False) -> None:
    """Write names at places of the x axis, upright where one is wider than its room, in units of the axis."""
    shown = ["\n".join(labels(str(name).split("__"))) for name in names]
    inches = ax.get_window_extent().width / ax.figure.dpi / np.ptp(ax.get_xlim()) * room
    upright = max(_width(line) for name in shown for line in name.split("\n")) * 0.55 * SMALL / 72 > inches
    axis = ax.secondary_xaxis("top") if top else ax
    axis.set_xticks(np.asarray(places), shown, **lettering(shown, fontsize=SMALL, rotation=90 if upright else 0))
    axis.tick_params("x", length=0)


def name_rows(ax: "Axes", shown: list[str]) -> None:
    """Write labels beside the rows of a chart of bars, the first one on top."""
    ax.set_yticks(range(len(shown)), shown, **lettering(shown, fontsize=SMALL))
    margin = max(0.5, (3 - len(shown)) / 2)
    ax.set_ylim(len(shown) - 1 + margin, -margin)
    ax.tick_params("y", length=0)


def figure_text(value: float, spec: str) -> str:
    """Return a number with the minus and the infinity that the axes have.

    Examples
    --------
    >>> figure_text(-2.5, ".1f"), figure_text(float("-inf"), ".1f"), figure_text(-0.001, ".2f")
    ('−2.5', '−∞', '0.00')
    """
    return f"{value:z{spec}}".replace("-", "−").replace("inf", "∞")


def distinct(names: Iterable[Any]) -> list[str]:
    """Return the names of items; where two share one, with the number of the column.

    Examples
    --------
    >>> distinct(["a", "b"]), distinct(["a", "a"])
    (['a', 'b'], ['a [0]', 'a [1]'])
    """
    names = [str(name) for name in names]
    return names if len(set(names)) == len(names) else [f"{name} [{i}]" for i, name in enumerate(names)]


def largest(sizes: npt.ArrayLike, max_items: int | None) -> npt.NDArray[np.intp]:
    """Return the places of the `max_items` largest values, in their order; all where there are no more.

    Examples
    --------
    >>> largest([1.0, 3.0, float("nan"), 2.0], 2).tolist()
    [1, 3]
    """
    if max_items is not None and (max_items != int(max_items) or max_items < 1):
        raise ValueError(f"max_items must be a whole number of 1 or more, or None for all, got {max_items!r}.")
    sizes = np.nan_to_num(np.asarray(sizes, dtype=np.float64), nan=-np.inf, neginf=-np.inf, posinf=np.inf)
    return np.sort(np.argsort(-sizes, kind="stable")[:max_items])


def numbers(values: Any, name: str, finite: bool = True) -> Array:
    """Return a column of numbers; NaN is refused in one line, infinity where it has no place."""
    column = check_array(
        values, ensure_2d=False, dtype=np.float64, ensure_all_finite=finite, input_name=name, allow_nd=True
    )
    if column.ndim != 1:
        raise ValueError(f"{name} must have one dimension, got shape {column.shape}: draw each target alone.")
    if np.isnan(column).any():
        raise ValueError(f"{name} holds NaN in {np.isnan(column).sum()} of {len(column)} rows: leave them out.")
    return column


def last_step(estimator: Any, display: str, *methods: str) -> tuple[Any, Any]:
    """Return the last estimator of a pipeline and the steps before it, None where there is no pipeline.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it has not all of these methods or attributes.
    """
    check_is_fitted(estimator)
    last, before = (estimator[-1], estimator[:-1]) if isinstance(estimator, Pipeline) else (estimator, None)
    if missing := [name for name in methods if not hasattr(last, name)]:
        raise TypeError(f"{display} needs an estimator with {missing[0]}, got {type(last).__name__}.")
    return last, before


def row_labels(X: Any) -> pd.Index | None:
    """Return the index of a table, None where rows have no labels."""
    return X.index if isinstance(X, pd.DataFrame | pd.Series) else None


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _cut(text: str, longest: int) -> str:
    if _width(text) <= longest:
        return text
    while _width(text) >= longest:
        middle = len(text) // 2
        text = text[:middle] + text[middle + 1 :]
    return f"{text[: len(text) // 2]}…{text[len(text) // 2 :]}"


def _families(text: str) -> list[str]:
    """Return matplotlib's font families, and for Japanese or Chinese those that the machine has besides."""
    from matplotlib import rcParams
    from matplotlib.font_manager import fontManager

    if not any(unicodedata.east_asian_width(c) in "WF" for c in text):
        return rcParams["font.family"]
    known = set(fontManager.get_font_names())
    if not known & set(_FONTS):
        # Found by their names as files: importing matplotlib_fontja would change matplotlib's defaults.
        for package, file in _PACKAGED.items():
            spec = importlib.util.find_spec(package)
            if spec is not None and spec.origin is not None:
                fontManager.addfont(Path(spec.origin).parent / file)
        known = set(fontManager.get_font_names())
    return [*rcParams["font.family"], *(name for name in _FONTS if name in known)]
