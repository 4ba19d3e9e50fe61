"""Figures that can be pointed at: what a size says, and series that are switched off and on."""

import re
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

# What `hint` and `switchable` leave in the name of a group, and what it becomes.
_MARKS = {
    "hint": r'<g class="hint" role="img" aria-label="\1"><title>\1</title>',
    "series": r'<g class="series" data-series="\1">',
}


def hint(artist: Artist, text: str) -> None:
    r"""Let a reader who points at an artist, taps it or moves to it by arrow keys see a text, one line a figure.

    It shows in pictures that stand on the page by `show_live`, and as a browser's tooltip without a script.

    Examples
    --------
    >>> from pipeline.report.figure import drawing, new_axes, picture
    >>> with drawing():
    ...     figure, axes = new_axes(2, 2)
    ...     hint(axes.plot([1], [2], "o")[0], "10 training reviews\nT-method: 0.67")
    ...     svg = picture("sides", "curves", "Two sides", figure).svg
    >>> 'class="hint" role="img" aria-label="10 training reviews\nT-method: 0.67"' in svg
    True
    """
    artist.set_gid(f"hint:{text}")


def hint_bands(axes: Axes, places: Sequence[float], texts: Sequence[str]) -> None:
    """Give the part of the axes around each place on the x axis a text, see `hint`; call it when the limits stand.

    Parameters
    ----------
    axes : Axes
        With a linear or logarithmic x axis.
    places : sequence of float
        In rising order, in the units of the x axis.
    texts : sequence of str
        As many.

    Examples
    --------
    >>> from pipeline.report.figure import drawing, new_axes
    >>> with drawing():
    ...     figure, axes = new_axes(2, 2)
    ...     _ = axes.set(xscale="log", xlim=(5, 200))
    ...     hint_bands(axes, [10, 100], ["ten", "a hundred"])
    ...     [round(patch.get_width()) for patch in axes.patches]
    [27, 168]
    """
    scale = axes.xaxis.get_transform()
    low, high = axes.get_xlim()
    at = scale.transform(np.asarray(places, dtype=float))
    edges = [low, *scale.inverted().transform((at[:-1] + at[1:]) / 2), high]
    for left, right, text in zip(edges, edges[1:], texts, strict=False):
        hint(axes.axvspan(left, right, facecolor="none", edgecolor="none"), text)


def switchable(artists: Iterable[Artist], name: str) -> None:
    """Let the reader switch these artists off and on by a button of that name; see `show_live`.

    Examples
    --------
    >>> from pipeline.report.figure import drawing, new_axes, picture
    >>> with drawing():
    ...     figure, axes = new_axes(2, 2)
    ...     switchable(axes.plot([1], [2]), "T-method")
    ...     svg = picture("sides", "curves", "Two sides", figure).svg
    >>> 'data-series="T-method"' in svg
    True
    """
    for artist in artists:
        artist.set_gid(f"series:{name}")


def marked(svg: str) -> str:
    """Return a SVG in which the groups that `hint` and `switchable` have named can be found by the page's script."""
    for mark, group in _MARKS.items():
        svg = re.sub(rf'<g id="{mark}:([^"]*)">', group, svg)
    return svg


def live(svg: str, name: str, text: str) -> str:
    """Return a picture as SVG that stands in the page itself, so that a reader can point at it.

    The page has the rules of style for it; see `hint` and `switchable` for what a reader can do.

    Parameters
    ----------
    svg : str
        As `pipeline.report.figure.picture` makes it.
    name : str
        Stands before every id in the picture, since ids are unique on a page.
    text : str
        What the picture shows, for those who do not see it.

    Examples
    --------
    >>> svg = '<svg width="9"><title>T</title><g id="line_1"/></svg>'
    >>> live(svg, "curves", "Two sides")
    '<svg role="group" aria-label="Two sides" width="9"><g id="curves-line_1"/></svg>'
    """
    inside = re.sub(r"<title>.*?</title>\s*", "", svg, count=1, flags=re.DOTALL)
    inside = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", inside, count=1, flags=re.DOTALL)
    inside = re.sub(r'((?: id="|href="#|url\(#))', rf"\1{name}-", inside)
    return inside.replace("<svg", f'<svg role="group" aria-label="{escape(text)}"', 1)
