"""Figures as SVG that follows the reader's light or dark scheme, and is the same bytes each time it is drawn."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Text, axes and grids are drawn in this colour, which the SVG then takes from the scheme.
INK = "#1b1b1f"
_STYLE = (
    f"svg{{color:{INK}}}@media screen and (prefers-color-scheme:dark){{svg{{color:#e8e8ec}}}}"
    'text{font-family:system-ui,"Hiragino Sans","Noto Sans CJK JP",sans-serif!important}'
)
_NOTHING = dict.fromkeys(["Date", "Creator", "Format", "Type"])


@contextmanager
def drawing() -> Iterator[None]:
    """Give the figures made in the block their looks; matplotlib's own settings are as before after it."""
    import matplotlib

    from pipeline.attention.view.fonts import families

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


def to_svg(figure: "Figure", title: str) -> str:
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
    ...     svg = to_svg(Figure(figsize=(1, 1)), "Nothing < something")
    >>> svg[:4], "<title>Nothing &lt; something</title>" in svg, "<?xml" in svg
    ('<svg', True, False)
    """
    content = StringIO()
    figure.savefig(content, format="svg", dpi=150, metadata=_NOTHING)
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return re.sub(
        r"<defs>\s*<style type=\"text/css\">",
        lambda found: f"<title>{escape(title, quote=False)}</title>\n {found.group()}{_STYLE}",
        svg,
        count=1,
    )
