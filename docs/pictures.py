"""Draw the two pictures of the README, from the results in docs/results and from the embedded reviews.

python docs/pictures.py
"""

import re
from html import escape
from itertools import pairwise
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from sklearn.pipeline import make_pipeline

from pipeline import load_sample
from pipeline.evaluation.word_contributions import WordContributions, word_contributions
from pipeline.features import TMetrics
from pipeline.files import atomic_path
from pipeline.report.curves import side_curves
from pipeline.report.figure import BLUE, INK, ORANGE, drawing, picture
from pipeline.taguchi import TMethodRegressor

DOCS = Path(__file__).parent
SIDES = ["T-method", "attention"]
REVIEW = "sample-0159"  # short, with praise and blame in it

DARK = "@media screen and (prefers-color-scheme:dark)"
# A dark page may show a picture made for a light one, and the other way round: the picture brings its paper along.
PAPER = f"svg{{background:#fff}}{DARK}{{svg{{background:#16161a}}}}"
WIDTH = 408  # pixels: two pictures stand side by side in a README, one fits a telephone
MARGIN, SIZE, LINE = 14, 17, 34


def curves() -> str:
    """Return the learning curves of the T-method and of attention."""
    sides = pd.read_csv(DOCS / "results/yelp-5000/curves/sides.csv")
    sides = sides[sides["side"].isin(SIDES)]
    changes = pd.read_csv(DOCS / "results/yelp-5000/curves/crossovers.csv").iloc[:0]
    ends = ", ".join(f"{side} {qwk:.2f}" for side, qwk in sides.groupby("side")["qwk"].last().items())
    text = f"Learning curves on 5,000 Yelp reviews. QWK with all training reviews: {ends}."
    with drawing(), matplotlib.rc_context({"font.size": 12}):
        svg = picture("sides", "curves", text, side_curves(sides, changes)).svg
    svg = re.sub(r'width="([\d.]+)pt" height="([\d.]+)pt"', _as_wide, svg, count=1)
    return svg.replace("<defs>", f"<style>{PAPER}</style>\n <defs>", 1).replace("<svg ", '<svg role="img" ', 1)


def _as_wide(size: re.Match[str]) -> str:
    width, height = map(float, size.groups())
    return f'width="{WIDTH}" height="{WIDTH * height / width:.0f}"'


def read_review() -> tuple[pd.Series, WordContributions]:
    """Return the review and what its words add to the star, for a T-method that has learned from all other reviews."""
    reviews = load_sample()
    shown = reviews["review_id"] == REVIEW
    (review,) = (row for _, row in reviews[shown].iterrows())
    model = make_pipeline(TMetrics(), TMethodRegressor("all", clip="range"))
    model.fit(reviews["text"][~shown], reviews["stars"][~shown])
    return review, word_contributions(model.predict, review["text"], n_orders=64)


def review() -> str:
    """Return the review as a picture: a word that raises the star on blue, one that lowers it on orange."""
    given, found = read_review()
    added = found.words["contribution"]
    texts = _with_punctuation(given["text"], found)
    words, x, y = [], float(MARGIN), 76
    for text, stars in zip(texts, added, strict=True):
        width = _width(text)
        if x + width > WIDTH - MARGIN:
            x, y = float(MARGIN), y + LINE
        words.append(_word(text, (x, y, width), stars / added.abs().max()))
        x += width + 9
    raised, lowered = (abs(added[sign * added > 0].sum()) for sign in (1, -1))
    result = f"True: {given['stars']} stars. T-method: {found.prediction:.1f}"
    blue, orange = (f'<tspan fill="{colour}">■</tspan>' for colour in (BLUE, ORANGE))
    height = y + 56
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{WIDTH}" height="{height}" fill="currentColor" '
            f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui,sans-serif" font-size="{SIZE}">',
            f"<title>{result}. What each word adds to the star: {escape(given['text'])}</title>",
            f"<style>svg{{color:{INK}}}{DARK}{{svg{{color:#e8e8ec}}}}{PAPER}</style>",
            f'<text x="{MARGIN}" y="34" font-weight="bold">{result}</text>',
            *words,
            f'<text x="{MARGIN}" y="{y + 38}">{found.base:.1f} {blue} + {raised:.1f} {orange} − {lowered:.1f} '
            f"= {found.prediction:.1f} stars</text>",
            "</svg>\n",
        ]
    )


def _word(text: str, place: tuple[float, int, float], strength: float) -> str:
    """Return a word on its colour.

    Parameters
    ----------
    text : str
    place : (left, baseline, width), pixels
    strength : float from -1 to 1
    """
    x, y, width = place
    box = f'x="{x - 3:.1f}" y="{y - 19}" width="{width + 6:.1f}" height="27" rx="4"'
    colour = f'fill="{BLUE if strength > 0 else ORANGE}" fill-opacity="{0.75 * abs(strength):.2f}"'
    # The width that was measured holds in any font.
    fit = f'x="{x:.1f}" y="{y}" textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f"<rect {box} {colour}/><text {fit}>{escape(text)}</text>"


def _with_punctuation(text: str, found: WordContributions) -> list[str]:
    """Return the words as they stand in the text, each with the marks up to the next one."""
    starts = [0, *found.words["start"][1:], len(text)]
    return [text[start:end].strip() for start, end in pairwise(starts)]


def _width(text: str) -> float:
    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(family="DejaVu Sans", size=SIZE), False
    )
    return float(width) * 0.92  # the reader's font is narrower than this one


def main() -> None:
    """Write both pictures."""
    for draw in (curves, review):
        with atomic_path(DOCS / "pictures" / f"{draw.__name__}.svg") as path:
            path.write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
