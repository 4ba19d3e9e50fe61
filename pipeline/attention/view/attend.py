"""The command attend: one text, one model, its attention in the terminal or in a file."""

import shutil
from pathlib import Path

from pipeline.attention.maps import AttentionMap, attention_map
from pipeline.attention.view import page, plots, terminal
from pipeline.errors import PipelineError, first_line
from pipeline.files import atomic_path, write_text

_SUFFIXES = (".png", ".svg", ".html", ".csv")


def run(
    text: str,
    model: str,
    revision: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    word: str | None = None,
    out: Path | None = None,
) -> str:
    """Return what to print: the table, or the path of the file that was written.

    Raises
    ------
    PipelineError
        If a layer, head, word, model, kind of file or extra that was asked for is not there.
    """
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise PipelineError(f"--out ends in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}, got {str(out)!r}")
    if word is not None and layer is not None:
        raise PipelineError(f"--word shows every layer beside the others: leave out --layer {layer}")
    try:
        attention = attention_map(text, model, revision)
        if out is None:
            width = shutil.get_terminal_size(fallback=(80, 24)).columns
            if word is None:
                return terminal.show(attention, layer, head, width)
            return terminal.show_word(attention, word, head, width)
        _write(attention, out, layer, head, word)
    except (ValueError, ImportError) as error:
        raise PipelineError(first_line(error)) from None
    return str(out.resolve())


def _write(attention: AttentionMap, path: Path, layer: int | None, head: int | None, word: str | None) -> None:
    """Write a picture, a page or a table, as the end of the path's name says."""
    kind = path.suffix.lower()
    if kind == ".html":
        write_text(path, page.render(attention, layer, head, word))
    elif kind == ".csv":
        table = attention.frame(layer, head) if word is None else attention.by_layer(word, head)
        write_text(path, table.to_csv(float_format="%.6f"))
    else:
        figure = plots.heat_map(attention, layer, head) if word is None else plots.word_by_layer(attention, word, head)
        from matplotlib import rc_context

        # Glyphs as paths: the picture looks alike where these fonts are not installed.
        with rc_context({"svg.fonttype": "path"}), atomic_path(path) as temporary:
            figure.savefig(temporary, format=kind.removeprefix("."))
