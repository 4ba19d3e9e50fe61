"""Figures of attention maps: matplotlib figures without any global state."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.attention.maps import AttentionMap, moved
from pipeline.attention.tokens import visible
from pipeline.attention.view.captions import (
    heading,
    one_or_mean,
    strongest,
    weights_shown,
    width,
    words_alone,
    wrapped,
)
from pipeline.attention.view.fonts import drawable, families
from pipeline.attention.view.ink import ink
from pipeline.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ORANGE = "#d55e00"
# From white to the blue of the report, and on to a dark one, so that strong weights still differ.
_SHADES = ["#ffffff", "#cfe4f2", "#6fb1da", "#0072b2", "#003a5c"]
_VALUES = 14  # tokens up to which each cell shows its value
_MOST_VALUES = 300  # tokens up to which values can be asked for: 90,000 numbers
_LINES = 6  # of the text above the picture


@needs_extra("heat_map", "maps")
def heat_map(
    attention: AttentionMap,
    layer: int | None = None,
    head: int | None = None,
    values: bool | None = None,
    special: bool = False,
) -> "Figure":
    """Draw the weights of a layer and head, or their average: a row for each query, a column for each key.

    Below the columns runs the attention that each token receives; special tokens are left out of that line, since
    [CLS] alone takes half and flattens the rest.

    Parameters
    ----------
    attention : AttentionMap
        From `attention_map`.
    layer, head : int, optional
        From 1 on; without a number the average is drawn.
    values : bool, optional
        Whether each cell shows its value; by default where there are at most 14 tokens.
    special : bool, default=False
        Whether the line counts special tokens. To leave them out of the cells as well, draw
        ``attention.without_special()``.

    Returns
    -------
    Figure
        Of matplotlib, without any global state.

    Raises
    ------
    ValueError
        If the model does not have that layer or head, or values are asked for of more than 300 tokens.
    ImportError
        If the extra `maps` is not installed.

    Examples
    --------
    >>> from pipeline.attention.maps import attention_map
    >>> heat_map(attention_map("The dog chased the cat"), layer=3).axes[0].get_ylabel()
    'query: the token that looks'
    """
    frame, counted = attention.frame(layer, head), attention if special else words_alone(attention)
    received, n_tokens = counted.received(layer, head), len(frame)
    values = n_tokens <= _VALUES if values is None else values
    if values and n_tokens > _MOST_VALUES:
        raise ValueError(f"Got {n_tokens} tokens, but at most {_MOST_VALUES} can show values: leave them out.")
    side = max(n_tokens * _cell(n_tokens, values), 3.2)
    margin = 0.5 + 0.085 * min(max(map(width, attention.labels)), 24)
    below = float(np.clip(0.28 * side, 1.0, 4.0))
    figure = _figure(side + margin + 1.1, side + below + margin + 1.3 + 0.04 * side)
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[side, below])
    mesh = _cells(upper, frame.to_numpy(), values, 8 if n_tokens <= _VALUES else 6)
    upper.set_aspect("equal")
    upper.set_ylabel("query: the token that looks")
    _name(upper, "x", attention.labels, attention.text, top=True)
    _name(upper, "y", attention.labels, attention.text)
    figure.colorbar(mesh, ax=upper, label="weight", fraction=0.04, pad=0.02)
    left_out = attention.special if counted is not attention else ()
    places = np.array([i for i in range(n_tokens) if i not in left_out])
    lower.plot(places, received, color=_ORANGE, marker="o", markersize=4 if n_tokens <= 40 else 0)
    lower.fill_between(places, received, color=_ORANGE, alpha=0.15, linewidth=0)
    among = "mean, without\nspecial tokens" if left_out else "mean"
    lower.set(ylim=(0, None), xlabel="key: the token looked at", ylabel=f"received\n({among})")
    lower.spines[["top", "right"]].set_visible(False)
    _name(lower, "x", attention.labels, attention.text)
    _title(figure, attention, weights_shown(attention, layer, head))
    return figure


@needs_extra("word_by_layer", "maps")
def word_by_layer(attention: AttentionMap, word: str, head: int | None = None) -> "Figure":
    """Draw what a word looks at in each layer, and how much of its attention moves from one layer to the next.

    Parameters
    ----------
    attention : AttentionMap
        From `attention_map`.
    word : str
        A label such as "the (2)", or any part of the text.
    head : int, optional
        From 1 on; without a number the average is drawn.

    Returns
    -------
    Figure
        Of matplotlib, without any global state.

    Raises
    ------
    ValueError
        If the word is not in the text, or the model does not have that head.
    ImportError
        If the extra `maps` is not installed.

    Examples
    --------
    >>> from pipeline.attention.maps import attention_map
    >>> word_by_layer(attention_map("The dog chased the cat"), "dog").axes[0].get_ylabel()
    'layer'
    """
    table = strongest(attention.by_layer(word, head), 12)
    shares = moved(attention.layer_differences(word, head))
    n_layers, n_tokens = table.shape
    margin = 0.4 + 0.085 * max(width(label) for label in table.columns)
    figure = _figure(0.62 * max(n_tokens, 5) + 3.4, 0.45 * max(n_layers, 4) + margin + 1.4)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[max(n_tokens, 5), 3])
    _cells(left, table.to_numpy(), values=True, size=8)
    left.set_aspect("auto")
    left.set_yticks(range(n_layers), [str(layer) for layer in table.index])
    left.tick_params("y", length=0)
    left.set(ylabel="layer", xlabel="key: the token looked at")
    _name(left, "x", list(table.columns), attention.text, top=True)
    bars = right.barh(shares.index - 1, shares, color=_ORANGE, height=0.55)
    most = float(shares.max()) if len(shares) else 0.0
    right.set(xlim=(0, max(0.1, most * 1.25)), xlabel="moved since the layer above")
    right.bar_label(bars, fmt="%.2f", padding=4, fontsize=8)
    right.spines[["top", "right"]].set_visible(False)
    right.tick_params(left=False, labelleft=False)
    _title(figure, attention, f"what “{word}” looks at, {one_or_mean('head', head, attention.n_heads)}")
    return figure


def _figure(across: float, down: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(across, down), dpi=150, layout="compressed", facecolor="white")


def _cell(n_tokens: int, values: bool) -> float:
    """Return inches for a token: room for a value of four characters, or for a label, or for a small label."""
    if n_tokens <= _VALUES:
        return 0.5
    if values:
        return 0.3 if n_tokens <= 100 else 0.25
    return 0.24 if n_tokens <= 100 else 0.11


def _cells(axes: "Axes", weights: npt.NDArray[np.float32], values: bool, size: float) -> Any:
    """Fill the cells, which are centred on whole numbers; the square root makes small weights visible."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    rows, columns = (np.arange(n + 1) - 0.5 for n in weights.shape)
    most = max(float(weights.max()), 0.01)
    shades, norm = LinearSegmentedColormap.from_list("blues", _SHADES), PowerNorm(0.5, vmin=0, vmax=most)
    edge, line = ("white", 1) if values else ("face", 0)
    mesh = axes.pcolormesh(
        columns, rows, weights, cmap=shades, norm=norm, edgecolors=edge, linewidth=line, rasterized=not values
    )
    axes.set_ylim(rows[-1], -0.5)
    axes.spines[:].set_visible(False)
    if values:
        for (row, column), weight in np.ndenumerate(weights):
            value, colour = f"{weight:.2f}" if weight else "", ink(np.ravel(shades(norm(weight))).tolist())
            axes.text(column, row, value, ha="center", va="center", color=colour, fontsize=size)
    return mesh


def _name(axes: "Axes", side: Literal["x", "y"], labels: list[str], text: str, top: bool = False) -> None:
    """Write the tokens along an axis."""
    shown = [drawable(label) for label in labels]
    upright = len(labels) <= 100
    if side == "x" and upright:
        # A character that is as wide as high stands upright over its number.
        shown = [label.replace(" ", "\n") if _stands(label) else label for label in shown]
    axis = axes.xaxis if side == "x" else axes.yaxis
    size = 10 if len(labels) <= _VALUES else 7.5 if len(labels) <= 100 else 6
    axis.set_ticks(range(len(labels)), shown, family=families(text), fontsize=size, parse_math=False)
    axes.tick_params(side, length=0)
    if top:
        axes.tick_params("x", top=False, bottom=False, labeltop=True, labelbottom=False)
    for label in axis.get_ticklabels(which="both") if side == "x" else []:
        label.set_rotation(0 if upright and _stands(label.get_text()) else 90)


def _stands(label: str) -> bool:
    first, *rest = label.split()
    return width(first) <= 2 and width("".join(rest)) <= 3


def _title(figure: "Figure", attention: AttentionMap, what: str) -> None:
    room = int(11 * figure.get_figwidth())
    whole, *rest = heading(attention, f"{what} · {attention.model}")
    text = wrapped(drawable(visible(whole, len(whole) * 8)), room)
    text = [*text[: _LINES - 1], "…"] if len(text) > _LINES else text
    figure.set_figheight(figure.get_figheight() + 0.2 * (len(text) - 1))
    title = "\n".join([*text, *(_cut(drawable(visible(line, room)), room) for line in rest)])
    figure.suptitle(title, family=families(attention.text), fontsize=10, parse_math=False, linespacing=1.5)


def _cut(text: str, room: int) -> str:
    """Return as much of `text` as fits."""
    if width(text) <= room:
        return text
    return next(f"{text[:end]}…" for end in range(len(text), -1, -1) if width(text[:end]) < room)
