"""The command `compare`: two runs or two datasets side by side, in a terminal of 80 columns."""

import json
from collections.abc import Iterator
from typing import Any

from wcwidth import wcswidth

from pipeline.report.differences import DIRECTORIES, Reports, differences, is_paired, read_reports

WIDTH = 80
# These differ between any two runs.
_OF_EVERY_RUN = {"dataset", "seconds"}


def compare(a: str, b: str, n_lines: int = 20) -> str:
    """Return the comparison of two runs or datasets as text of at most 80 columns.

    Parameters
    ----------
    a, b : str
        Each the name of a dataset, or the path of a reports directory.
    n_lines : int, default=20
        How many lines of the leaderboards to show at most.

    Raises
    ------
    PipelineError
        If one of them is missing, incomplete or damaged.
    """
    return "\n".join(cut(line) for line in _lines(read_reports(a), read_reports(b), n_lines))


def cut(text: str, width: int = WIDTH) -> str:
    """Return the text as one line of at most so many columns of a terminal; an ellipsis stands for what is cut.

    Examples
    --------
    >>> cut("attention", 5), cut("注意力機構", 5), cut("cat", 5)
    ('atte…', '注意…', 'cat')
    """
    text = "".join(c if c.isprintable() else " " for c in text).rstrip()
    if wcswidth(text) <= width:
        return text
    while wcswidth(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def _lines(a: Reports, b: Reports, n_lines: int) -> Iterator[str]:
    for which, each in (("A", a), ("B", b)):
        n_train = each.metrics["n_train"].max()
        yield f"{which}  {each.dataset}, {n_train:.0f} training and {len(each.predictions)} held-out reviews"
        yield f"   {each.directory}"
    yield ""
    yield from _leaderboard(a, b, n_lines)
    yield from _sides(a, b)
    yield "What differs in settings and data"
    yield from list(_settings(a, b)) or ["  nothing"]


def _leaderboard(a: Reports, b: Reports, n_lines: int) -> Iterator[str]:
    """Yield two lines for each line of both leaderboards: its name, which may be long, and its numbers."""
    table = differences(a, b)
    if is_paired(a, b):
        yield "Both predict the same held-out reviews: the differences are paired."
    else:
        yield "They predict different held-out reviews: the differences are unpaired."
    yield f"95% bootstrap intervals; p is adjusted by Holm for {len(table)} lines."
    yield ""
    yield f"{'QWK A':>11}{'QWK B':>9}{'A less B':>11}{'95% interval':>19}{'p':>8}{'MAE A':>11}{'MAE B':>9}"
    for row in table.head(n_lines).itertuples():
        yield str(row.Index)
        interval = f"{row.low:+.3f} to {row.high:+.3f}"
        yield (
            f"{row.qwk_a:11.3f}{row.qwk_b:9.3f}{row.difference:+11.3f}{interval:>19}{_p_value(row.p_holm):>8}"
            f"{row.mae_a:11.3f}{row.mae_b:9.3f}"
        )
    if len(table) > n_lines:
        yield f"and {len(table) - n_lines} more, which differ no more than these"
    for which, own, other in (("A", a, b), ("B", b, a)):
        if alone := [name for name in own.metrics.index if name not in other.metrics.index]:
            yield f"only in {which}: {len(alone)}, the best of them"
            yield f"  {alone[0]}"
    yield ""


def _sides(a: Reports, b: Reports) -> Iterator[str]:
    """Yield a row of A and one of B for each side, with a column for each number of training reviews."""
    qwk = {
        (side, which): own.set_index("n_train")["qwk"]
        for side in dict.fromkeys([*a.sides["side"], *b.sides["side"]])
        for which, each in (("A", a), ("B", b))
        if len(own := each.sides[each.sides["side"] == side])
    }
    if not qwk:
        return
    sizes = sorted(set().union(*(each.index for each in qwk.values())))
    labels = [cut(f"{side} {which}", WIDTH // 2) for side, which in qwk]
    name, cell = max(map(wcswidth, labels)), max(5, 1 + len(str(sizes[-1])))
    per_block = (WIDTH - name) // cell
    yield "QWK of each side by the number of training reviews"
    for block in (sizes[start : start + per_block] for start in range(0, len(sizes), per_block)):
        yield " " * name + "".join(f"{size:>{cell}}" for size in block)
        for label, own in zip(labels, qwk.values(), strict=True):
            values = "".join(f"{own[size]:{cell}.2f}" if size in own else f"{'-':>{cell}}" for size in block)
            yield label + " " * (name - wcswidth(label)) + values
        yield ""


def _settings(a: Reports, b: Reports) -> Iterator[str]:
    """Yield three lines for each entry of the manifests that is not the same: its name, A's and B's."""
    for stage in DIRECTORIES:
        own = [dict(_flat(each.manifests[stage], each.dataset)) for each in (a, b)]
        if not all(own):
            continue
        for key in dict.fromkeys([*own[0], *own[1]]):
            values = [each.get(key, "-") for each in own]
            if values[0] != values[1]:
                yield f"  {stage}: {key}"
                yield from (f"    {which} {value}" for which, value in zip("AB", values, strict=True))


def _flat(value: Any, dataset: str, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the entries of nested objects by dotted keys, in which paths do not name the dataset."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _OF_EVERY_RUN:
                own = str(name).replace(f"/{dataset}/", "/<dataset>/")
                yield from _flat(inner, dataset, f"{key}.{own}" if key else own)
    else:
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _p_value(p: Any) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
