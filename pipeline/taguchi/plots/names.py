"""Names as they are drawn: cut to a length, beside their places, in a font that has their characters."""

import importlib.util
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = 9

_LONGEST = 28
_FONTS = ["IPAexGothic", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Hiragino Sans"]
_FONTS += ["PingFang SC", "Yu Gothic", "Meiryo", "MS Gothic", "Microsoft YaHei", "SimHei", "TakaoPGothic"]
_FONTS += ["WenQuanYi Zen Hei", "Source Han Sans JP", "Source Han Sans CN"]
_PACKAGED = {"matplotlib_fontja": "fonts/ipaexg.ttf", "noto_cjk_sans_otc": "NotoSansCJK-Regular.ttc"}


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
    """Write names at places of the x axis, upright where one is wider than its room, in units of the axis.

    On top stand factors: nested parameters of scikit-learn, such as ``ridge__alpha``, take a line for each part.
    """
    shown = ["\n".join(labels(str(name).split("__") if top else [name])) for name in names]
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


def legend(ax: "Axes", **options: Any) -> None:
    """Draw the legend with the names of all curves as they are, whichever call drew them."""
    texts = ax.legend(fontsize=SMALL, **options).get_texts()
    look = lettering([text.get_text() for text in texts])
    for text in texts:
        text.set(**look)


def figure_text(value: float, spec: str) -> str:
    """Return a number with the minus and the infinity that the axes have.

    Examples
    --------
    >>> figure_text(-2.5, ".1f"), figure_text(float("-inf"), ".1f"), figure_text(-0.001, ".2f")
    ('−2.5', '−∞', '0.00')
    """
    return f"{value:z{spec}}".replace("-", "−").replace("inf", "∞")


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
