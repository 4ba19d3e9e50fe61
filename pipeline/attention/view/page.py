"""Attention maps as one HTML page that needs nothing beside it."""

import base64
import hashlib
import zlib

import numpy as np
import numpy.typing as npt

from pipeline.attention.maps import AttentionMap
from pipeline.attention.view.fonts import web_font
from pipeline.errors import needs_extra

# Above this a page takes long to open: 12 layers x 12 heads x 288 tokens.
_MAX_WEIGHTS = 12_000_000
_EXACT = 300_000  # weights up to which each is written as one of 65,536 equal steps, within 0.00001
_FEWEST_STEPS = (100, 50, 25)  # for smaller and smaller files
_STEP = 0.006  # the widest, so that a weight is within 0.003
_MOST_BYTES = 2_000_000  # compressed, which base64 makes a third larger


@needs_extra("page.render", "maps")
def render(
    attention: AttentionMap,
    layer: int | None = None,
    head: int | None = None,
    word: str | None = None,
    values: bool | None = None,
) -> str:
    """Return the page: all layers x heads side by side, one of them large, and the layers for a chosen token.

    Parameters
    ----------
    attention : AttentionMap
        From `attention_map`.
    layer, head : int, optional
        The map that is large at first; without a number the average.
    word : str, optional
        Whose first token is chosen at first.
    values : bool, optional
        Whether each cell of the large map shows its value; by default where there are at most 14 tokens.

    Raises
    ------
    ValueError
        If the map does not have that layer, head or word, or has too many weights.
    ImportError
        If the extra `maps` is not installed.

    Examples
    --------
    >>> from pipeline.attention.maps import attention_map
    >>> "<title>Attention: The dog</title>" in render(attention_map("The dog"))
    True
    """
    # Refuses a layer or head that is not there.
    attention.matrix(layer, head)
    if attention.weights.size > _MAX_WEIGHTS:
        raise ValueError(
            f"A page of {attention.n_layers} layers x {attention.n_heads} heads x {len(attention.tokens)} tokens has "
            f"{attention.weights.size} weights, but {_MAX_WEIGHTS} is the most that opens well: shorten the text, or "
            "write a .png."
        )
    levels, weights = packed(attention.weights)
    data = {
        "labels": attention.labels,
        "layers": attention.n_layers,
        "heads": attention.n_heads,
        "causal": attention.causal,
        "levels": levels,
        "values": len(attention.tokens) <= 14 if values is None else values,
        "layer": layer or 0,
        "head": head or 0,
        "token": attention.positions(word)[0] if word else -1,
        "weights": _base64(weights),
    }
    return write(attention.text, "attend.html", labels="".join(attention.labels), attention=attention, data=data)


def write(text: str, template: str, labels: str, **names: object) -> str:
    """Return a page from its template, with the glyphs of the text and the labels that Latin fonts lack."""
    import jinja2

    loader = jinja2.PackageLoader("pipeline.attention", "view")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["digest"] = lambda script: "sha256-" + _base64(hashlib.sha256(script.encode()).digest())
    return environment.get_template(template).render(font=_base64(web_font(text + labels)), text=text, **names)


def packed(weights: npt.NDArray[np.float32]) -> tuple[list[float], bytes]:
    """Return the levels that weights are rounded to, and compressed the number of each weight's level.

    Few weights are rounded to 65,536 equal steps, which are not listed. Of many each takes a byte: the steps widen with
    the root of the weight, so that small ones keep their shades, but never beyond 0.006.
    """
    if weights.size <= _EXACT:
        return [], zlib.compress(np.rint(weights * 65535).clip(0, 65535).astype("<u2").tobytes(), 9)
    for steps in _FEWEST_STEPS:
        levels = _levels(steps)
        numbers = np.searchsorted((levels[1:] + levels[:-1]) / 2, weights.ravel())
        content = zlib.compress(numbers.astype(np.uint8).tobytes(), 9)
        if len(content) <= _MOST_BYTES:
            break
    return levels.round(6).tolist(), content


def _levels(steps: int) -> npt.NDArray[np.float64]:
    """Return levels from 0 to 1: `steps` x the root of the weight, and equal steps from where these would be wider."""
    turn = int(steps**2 * _STEP / 2)
    low = (np.arange(turn + 1) / steps) ** 2
    return np.concatenate([low, np.linspace(low[-1], 1, int(np.ceil((1 - low[-1]) / _STEP)) + 1)[1:]])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
