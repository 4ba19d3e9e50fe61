"""The next token's probabilities drawn: bars in the terminal, as a picture, or on a page."""

from typing import TYPE_CHECKING

import pandas as pd

from pipeline.attention.tokens import distinct, visible
from pipeline.attention.view import page, terminal
from pipeline.attention.view.captions import wrapped
from pipeline.attention.view.fonts import drawable, families
from pipeline.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(tokens: pd.DataFrame, text: str, model: str, width: int = 80) -> str:
    """Return a line for each token: its name, its probability and a bar."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return "\n".join(
        [*wrapped(line, width), *wrapped(_caption(model), width), "", *terminal.bars(_named(tokens), width)]
    )


@needs_extra("next_bars.figure", "maps")
def figure(tokens: pd.DataFrame, text: str, model: str) -> "Figure":
    """Draw a bar for each token, the most likely on top."""
    from matplotlib.figure import Figure

    shares = _named(tokens)
    lines = wrapped(drawable(visible(text, 8 * len(text))), 75)
    lines = lines if len(lines) <= 6 else [*lines[:5], "…"]
    drawn = Figure(
        figsize=(7, 0.3 * len(shares) + 1.2 + 0.2 * len(lines)), dpi=150, layout="compressed", facecolor="white"
    )
    axes = drawn.subplots()
    bars = axes.barh(range(len(shares)), shares, color="#d55e00", height=0.6)
    names = [drawable(str(label)) for label in shares.index]
    family = families("".join([text, *names]))
    axes.set_yticks(range(len(shares)), names, family=family, parse_math=False)
    axes.invert_yaxis()
    axes.bar_label(bars, fmt="%.3f", padding=4, fontsize=8)
    axes.set(xlabel="probability of the next token", xlim=(0, 1.15 * float(shares.max())))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params("y", length=0)
    drawn.suptitle("\n".join([*lines, drawable(model)]), family=family, fontsize=10, parse_math=False, linespacing=1.5)
    return drawn


@needs_extra("next_bars.render", "maps")
def render(tokens: pd.DataFrame, text: str, model: str) -> str:
    """Return a page that needs nothing beside it."""
    rows = [{"label": label, "share": share} for label, share in _named(tokens).items()]
    return page.write(text, "next.html", "".join(str(row["label"]) for row in rows), caption=_caption(model), rows=rows)


def _caption(model: str) -> str:
    return f"{model} · probability of the next token; ␣ is a space in front"


def _named(tokens: pd.DataFrame) -> "pd.Series[float]":
    """Return the probabilities with labels that can be seen: ␣ for a space, no control characters."""
    labels = [visible(token.replace(" ", "␣")) for token in tokens["token"]]
    return pd.Series(tokens["probability"].to_numpy(), index=distinct(labels))
