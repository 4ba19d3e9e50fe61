"""Fonts with a glyph for every character: Japanese and Chinese from packages, whatever the machine has installed."""

import functools
import importlib.util
import unicodedata
from io import BytesIO
from pathlib import Path

# Both files come inside their packages; the collection has a face for each way of writing the same characters.
_FONTS = {"matplotlib_fontja": "fonts/ipaexg.ttf", "noto_cjk_sans_otc": "NotoSansCJK-Regular.ttc"}
_FACES = {"japanese": 0, "chinese": 2}
_LATIN, _JAPANESE, _CHINESE = "DejaVu Sans", "IPAexGothic", "Noto Sans CJK SC"


def families(text: str) -> list[str]:
    """Return the font families that matplotlib shall look into, one after the other, to draw `text`.

    Japanese and Chinese share characters but not their shapes: a text with kana is Japanese, any other is Chinese.
    """
    _register()
    return [_LATIN, *([_JAPANESE, _CHINESE] if _is_japanese(text) else [_CHINESE, _JAPANESE])]


def drawable(text: str) -> str:
    """Return `text` with the code point in place of each character that none of the families has, such as 🍜.

    Examples
    --------
    >>> drawable("café 犬们 🍜")
    'café 犬们 U+1F35C'
    """
    known = _register()
    return "".join(c if ord(c) in known else f"U+{ord(c):04X}" for c in text)


def web_font(text: str) -> bytes:
    """Return an OpenType font with just those glyphs of `text` that Latin fonts lack; empty where there are none.

    A few kilobytes, for pages that are read where no Japanese or Chinese font is installed.

    Examples
    --------
    >>> web_font("café"), web_font("猫")[:4]
    (b'', b'OTTO')
    """
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    face = _FACES["japanese" if _is_japanese(text) else "chinese"]
    font = TTFont(_path("noto_cjk_sans_otc"), fontNumber=face, lazy=True)
    wanted = {ord(c) for c in text if unicodedata.east_asian_width(c) in "WFH"} & font.getBestCmap().keys()
    if not wanted:
        return b""
    options = Options(layout_features=[], hinting=False, desubroutinize=True, notdef_outline=True)
    options.drop_tables += ["BASE", "GPOS", "GSUB", "VORG", "vhea", "vmtx"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    content = BytesIO()
    font.save(content)
    return content.getvalue()


def _is_japanese(text: str) -> bool:
    return any(unicodedata.name(c, "").startswith(("HIRAGANA", "KATAKANA")) for c in text)


def _path(package: str) -> Path:
    """Return the font file of a package without importing it: matplotlib_fontja would change matplotlib's defaults."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The package {package} with its fonts is missing.", name=package)
    return Path(spec.origin).parent / _FONTS[package]


@functools.cache
def _register() -> frozenset[int]:
    """Make the fonts known to matplotlib, no default is changed; return the code points that they can draw."""
    from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

    for package in _FONTS:
        fontManager.addfont(_path(package))
    paths = [findfont(FontProperties(family=name), fallback_to_default=False) for name in (_LATIN, _JAPANESE, _CHINESE)]
    return frozenset().union(*(get_font(path).get_charmap() for path in paths))
