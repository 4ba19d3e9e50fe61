"""Attention maps as one HTML page that needs nothing beside it."""

import base64
import hashlib

import numpy as np

from pipeline.attention.maps import AttentionMap
from pipeline.attention.view.fonts import web_font
from pipeline.errors import needs_extra

# Above this a page takes long to open: 6 layers x 12 heads x 256 tokens are 4.7 million weights, or 12 MiB.
_MAX_WEIGHTS = 6_000_000
_STEPS = 65535  # a weight is written as one of so many steps, which leaves an error below 0.00001


@needs_extra("page.render", "maps")
def render(attention: AttentionMap, layer: int | None = None, head: int | None = None, word: str | None = None) -> str:
    """Return the page: all layers x heads side by side, one of them large, and the layers for a chosen token.

    Parameters
    ----------
    attention : AttentionMap
        From `attention_map`.
    layer, head : int, optional
        The map that is large at first; without a number the average.
    word : str, optional
        Whose first token is chosen at first.

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
    import jinja2

    # Refuses a layer or head that is not there.
    attention.matrix(layer, head)
    if attention.weights.size > _MAX_WEIGHTS:
        raise ValueError(
            f"A page of {attention.n_layers} layers x {attention.n_heads} heads x {len(attention.tokens)} tokens has "
            f"{attention.weights.size} weights, but {_MAX_WEIGHTS} is the most that opens well: shorten the text, or "
            "write a .png."
        )
    steps = np.rint(attention.weights * _STEPS).clip(0, _STEPS).astype("<u2")
    data = {
        "labels": attention.labels,
        "layers": attention.n_layers,
        "heads": attention.n_heads,
        "causal": attention.causal,
        "steps": _STEPS,
        "layer": layer or 0,
        "head": head or 0,
        "token": attention.positions(word)[0] if word else -1,
        "weights": _base64(steps.tobytes()),
    }
    loader = jinja2.PackageLoader("pipeline.attention", "view")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["digest"] = lambda script: "sha256-" + _base64(hashlib.sha256(script.encode()).digest())
    font = _base64(web_font("".join([attention.text, *attention.labels])))
    return environment.get_template("attend.html").render(attention=attention, data=data, font=font)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
