"""Colours, sizes and SVG of figures: it follows the reader's light or dark scheme, and is the same bytes each time."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pipeline.attention.view.fonts import families
from pipeline.files import file_name
from pipeline.report.live import marked
from pipeline.scale import Scale

# Text, axes and grids are drawn in this colour, which the SVG then takes from the scheme.
INK = "#1b1b1f"
# Okabe and Ito's colours, told apart by colour-blind readers too; their yellow is lost on white.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
_MOST_TICKS = 11  # of an axis of stars
_COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#e69f00", INK)
_MARKERS = "osD^vPX*<>"
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.2, 1.5)), (0, (6, 2, 1.2, 2)))
_STYLE = (
    f"svg{{color:{INK}}}@media screen and (prefers-color-scheme:dark){{svg{{color:#e8e8ec}}}}"
    'text{font-family:system-ui,"Hiragino Sans","Noto Sans CJK JP",sans-serif!important}'
)
_NOTHING = dict.fromkeys(["Date", "Creator", "Format", "Type"])

_Kind = Literal[
    "headline",
    "sides",
    "models",
    "pareto",
    "predictions",
    "confusion",
    "calibration",
    "data",
    "peers",
]


@dataclass(frozen=True)
class Picture:
    """A figure: where on the page it belongs, the name of its file, what it says in words, and its SVG."""

    kind: _Kind
    file: str
    text: str
    svg: str


class Look(NamedTuple):
    """How a line is drawn: colour, marker and dashes all differ, so that colour is never the only cue."""

    color: str
    marker: str
    linestyle: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a look for each name; figures that are given equal names share their looks.

    Examples
    --------
    >>> looks(["T-method", "attention"])["attention"].marker
    's'
    """
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, name in enumerate(dict.fromkeys(names))
    }


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, which makes room for its labels."""
    return Figure(figsize=(width, height), layout="constrained")


def new_axes(width: float, height: float, title: str = "") -> tuple[Figure, Axes]:
    """Return such a figure with one pair of axes in it."""
    figure = new_figure(width, height)
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def legend_below(figure: Figure, axes: Axes) -> None:
    """Name what the axes show below them, in as many columns as fit, and make the figure taller by these lines."""
    named: Any = axes.get_legend_handles_labels()
    for n_columns in (3, 2, 1):
        legend = figure.legend(*named, loc="outside lower center", ncols=n_columns)
        size = legend.get_window_extent()
        if size.width <= figure.bbox.width or n_columns == 1:
            break
        legend.remove()
    figure.set_figheight(figure.get_figheight() + size.height / figure.dpi)


def star_ticks(scale: Scale) -> npt.NDArray[np.float64]:
    """Return the stars that an axis names: all, or every second one where there are many.

    Examples
    --------
    >>> star_ticks(Scale(0, 100, 5)).tolist()
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]
    """
    return scale.values[:: 1 if len(scale.values) <= _MOST_TICKS else 2]


@contextmanager
def drawing() -> Iterator[None]:
    """Give the figures made in the block their looks; after it, matplotlib's settings are as before."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    settings: Any = {
        **dict.fromkeys(inked, INK),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "none"),
        "font.family": families(""),
        "font.size": 10,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.alpha": 0.15,
        "legend.frameon": False,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "pipeline",
    }
    with matplotlib.rc_context(settings):
        yield


def _to_svg(figure: Figure, title: str) -> str:
    """Return a figure as one SVG element.

    Parameters
    ----------
    figure : matplotlib Figure
        Made inside `drawing`, and passed here inside it too.
    title : str
        What it shows, in words, for those who do not see it.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> with drawing():
    ...     svg = _to_svg(Figure(figsize=(1, 1)), "Nothing < something")
    >>> svg[:4], "<title>Nothing &lt; something</title>" in svg, "<?xml" in svg
    ('<svg', True, False)
    """
    content = StringIO()
    # `savefig` would draw the figure twice.
    figure.set_dpi(150)
    FigureCanvasSVG(figure).print_svg(content, metadata=_NOTHING)
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = marked(svg)
    titled = f"<title>{escape(title, quote=False)}</title>\n "
    return re.sub(r'<defs>\s*<style type="text/css">', lambda found: titled + found[0] + _STYLE, svg, count=1)


def picture(kind: _Kind, name: str, text: str, figure: Figure) -> Picture:
    """Return a figure, made inside `drawing`, as a picture of the report."""
    return Picture(kind, f"{file_name(name)}.svg", text, _to_svg(figure, text))
