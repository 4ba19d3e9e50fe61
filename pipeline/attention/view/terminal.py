"""Attention maps as plain text: tables and bars that fit a terminal, Japanese and Chinese included."""

from collections.abc import Sequence

import pandas as pd

from pipeline.attention.maps import AttentionMap, moved
from pipeline.attention.view.captions import heading, one_or_mean, strongest, weights_shown, wrapped
from pipeline.errors import needs_extra

_BARS = " ▏▎▍▌▋▊▉█"


@needs_extra("terminal.show", "maps")
def show(
    attention: AttentionMap,
    layer: int | None = None,
    head: int | None = None,
    width: int = 80,
    values: bool | None = None,
) -> str:
    """Return the weights of a layer and head, or their average, and the attention that each token receives.

    The table has a row for each query and a column for each key where that fits into `width` columns; otherwise each
    row names the keys that the token looks at most, or, with `values`, the columns stand in blocks below each other.

    Raises
    ------
    ValueError
        If the model does not have that layer or head.

    Examples
    --------
    >>> from pipeline.attention.maps import attention_map
    >>> print(show(attention_map("The dog chased the cat"), layer=3, head=5))  # doctest: +ELLIPSIS
    The dog chased the cat
    bundled · layer 3, head 5
    ...
    """
    frame = attention.frame(layer, head)
    table = _grid(frame)
    if values is False or max(map(_columns, table)) > width:
        table = _blocks(frame, width) if values else _strongest_keys(frame, width)
    above = _heading(attention, f"{attention.model} · {weights_shown(attention, layer, head)}", width)
    received = bars(attention.received(layer, head), width)
    return "\n".join([*above, *table, "", "attention received, mean of all queries", *received])


@needs_extra("terminal.show_word", "maps")
def show_word(attention: AttentionMap, word: str, head: int | None = None, width: int = 80) -> str:
    """Return what a word looks at in each layer, as many tokens as fit, and how much of it moves between layers.

    Raises
    ------
    ValueError
        If the word is not in the text, or the model does not have that head.
    """
    table = attention.by_layer(word, head)
    last = ["moved", "-", *(f"{share:.2f}" for share in moved(attention.layer_differences(word, head)))]
    for n in range(len(table.columns), 0, -1):
        lines = _grid(strongest(table, n), last)
        if max(map(_columns, lines)) <= width:
            break
    notes = ["moved: the share of its attention that goes elsewhere than in the layer above"]
    if n < len(table.columns):
        notes.append(f"the {n} tokens it looks at most, of {len(table.columns)}")
    what = f"{attention.model} · what {word!r} looks at, {one_or_mean('head', head, attention.n_heads)}"
    return "\n".join([*_heading(attention, what, width), *lines, "", *notes])


def _columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes.

    Examples
    --------
    >>> _columns("cat"), _columns("猫")
    (3, 2)
    """
    from wcwidth import wcswidth

    return max(wcswidth(text), 0)


def _heading(attention: AttentionMap, what: str, width: int) -> list[str]:
    lines = ("".join(c if c.isprintable() else " " for c in line) for line in heading(attention, what))
    return [*(part for line in lines for part in wrapped(line, width)), ""]


def _grid(table: pd.DataFrame, last: Sequence[str] = ()) -> list[str]:
    """Return the table with its labels, two decimals each, and one more column where `last` is given."""
    parts = [[str(table.index.name), *map(str, table.index)]]
    parts += [[str(name), *(f"{weight:.2f}" for weight in table[name])] for name in table]
    parts += [list(last)] if last else []
    widths = [max(map(_columns, part)) for part in parts]
    rows = zip(*parts, strict=True)
    return ["  ".join(_fit(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _blocks(frame: pd.DataFrame, width: int) -> list[str]:
    """Return the whole table, as many columns side by side as fit, the next ones below."""
    lines, start, n_columns = list[str](), 0, len(frame.columns)
    while start < n_columns:
        end = start + 1
        while end < n_columns and max(map(_columns, _grid(frame.iloc[:, start : end + 1]))) <= width:
            end += 1
        lines += [*([""] if lines else []), *_grid(frame.iloc[:, start:end])]
        start = end
    return lines


def _strongest_keys(frame: pd.DataFrame, width: int) -> list[str]:
    """Return a line for each query with the keys that it looks at most, as many as fit."""
    name = max(map(_columns, frame.index))
    lines = ["each token and what it looks at most"]
    for query, weights in zip(frame.index, frame.to_numpy(), strict=True):
        line = f"{_fit(query, name)} "
        for j in weights.argsort(kind="stable")[::-1]:
            key = f"  {frame.columns[j]} {weights[j]:.2f}"
            if _columns(line + key) > width or weights[j] < 0.005:
                break
            line += key
        lines.append(line)
    return lines


def bars(shares: "pd.Series[float]", width: int) -> list[str]:
    """Return a line for each token: its name, its value and a bar."""
    name = max(map(_columns, shares.index))
    room = max(width - name - 8, 8)
    most = max(float(shares.max()), 1e-9)
    lines = []
    for label, share in shares.items():
        eighths = round(share / most * room * 8)
        bar = "█" * (eighths // 8) + _BARS[eighths % 8].strip()
        lines.append(f"{_fit(str(label), name)}  {share:.2f}  {bar}".rstrip())
    return lines


def _fit(text: str, width: int) -> str:
    return " " * (width - _columns(text)) + text
