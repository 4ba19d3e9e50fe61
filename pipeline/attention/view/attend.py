"""The command attend: one text, one model, its attention in the terminal or in a file."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.attention.maps import AttentionMap, attention_map
from pipeline.attention.next_token import next_tokens
from pipeline.attention.view import next_bars, page, plots, terminal
from pipeline.errors import PipelineError, first_line
from pipeline.files import atomic_path, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg", ".html", ".csv")


def run(
    text: str,
    model: str,
    revision: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    word: str | None = None,
    out: Path | None = None,
    values: bool | None = None,
    special: bool | None = None,
) -> str:
    """Return what to print: the table, or the path of the file that was written.

    `special` False leaves special tokens out of everything; None leaves them out of the line below a heat map only.

    Raises
    ------
    PipelineError
        If a layer, head, word, model, kind of file or extra that was asked for is not there.
    """
    _check_suffix(out)
    if word is not None and layer is not None:
        raise PipelineError(f"--word shows every layer beside the others: leave out --layer {layer}")
    kind = None if out is None else out.suffix.lower()
    if values is not None and (kind == ".csv" or (word is not None and kind != ".html")):
        always = "a .csv file" if kind == ".csv" else "--word"
        raise PipelineError(f"{always} always shows its values: leave out {'--values' if values else '--no-values'}")
    try:
        attention = attention_map(text, model, revision)
        if special is False:
            attention = attention.without_special()
        if out is None:
            if word is None:
                return terminal.show(attention, layer, head, _width(), values)
            return terminal.show_word(attention, word, head, _width())
        _write(attention, out, layer, head, word, values, bool(special))
    except (ValueError, ImportError) as error:
        raise PipelineError(first_line(error)) from None
    return str(out.resolve())


def run_next(text: str, model: str, revision: str | None = None, out: Path | None = None) -> str:
    """Return the probabilities of the next token to print, or the path of the file that was written.

    Raises
    ------
    PipelineError
        If the model predicts no next token, or a model, kind of file or extra is not there.
    """
    _check_suffix(out)
    try:
        tokens = next_tokens(text, model, revision)
        if out is None:
            return next_bars.show(tokens, text, model, _width())
        kind = out.suffix.lower()
        if kind == ".html":
            write_text(out, next_bars.render(tokens, text, model))
        elif kind == ".csv":
            write_text(out, tokens.to_csv(index=False, float_format="%.6f"))
        else:
            _save(next_bars.figure(tokens, text, model), out)
    except (ValueError, ImportError) as error:
        raise PipelineError(first_line(error)) from None
    return str(out.resolve())


def _check_suffix(out: Path | None) -> None:
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise PipelineError(f"--out ends in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}, got {str(out)!r}")


def _width() -> int:
    return shutil.get_terminal_size(fallback=(80, 24)).columns


def _write(
    attention: AttentionMap,
    path: Path,
    layer: int | None,
    head: int | None,
    word: str | None,
    values: bool | None,
    special: bool,
) -> None:
    """Write a picture, a page or a table, as the end of the path's name says."""
    kind = path.suffix.lower()
    if kind == ".html":
        write_text(path, page.render(attention, layer, head, word, values))
    elif kind == ".csv":
        table = attention.frame(layer, head) if word is None else attention.by_layer(word, head)
        write_text(path, table.to_csv(float_format="%.6f"))
    elif word is None:
        _save(plots.heat_map(attention, layer, head, values, special), path)
    else:
        _save(plots.word_by_layer(attention, word, head), path)


def _save(figure: "Figure", path: Path) -> None:
    from matplotlib import rc_context

    # Glyphs as paths: the picture looks alike where these fonts are not installed.
    with rc_context({"svg.fonttype": "path"}), atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().removeprefix("."))
