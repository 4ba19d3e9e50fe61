"""A tokenizer's pieces as a reader sees them: the characters of the text that each one stands for."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

Span = tuple[int, int]

_BREAKS = str.maketrans({"\n": "↵", "\r": "↵", "\t": "⇥"})
_SPACES = str.maketrans({" ": "␣", "▁": "␣"})


def readable(pieces: Sequence[str], spans: Sequence[Span], text: str) -> list[str]:
    r"""Return a short text for each token: its characters in `text`, whatever the tokenizer made of them.

    A piece that goes on with a word gets a leading "·"; where one character is cut into several tokens, as byte-level
    tokenizers do, they are counted; space and line breaks become visible marks.

    Parameters
    ----------
    pieces : sequence of str
        The tokenizer's names, shown where a token has no characters in the text.
    spans : sequence of (start, end)
    text : str

    Examples
    --------
    >>> readable(["[CLS]", "cha", "##sed", "[SEP]"], [(0, 0), (0, 3), (3, 6), (0, 0)], "chased")
    ['[CLS]', 'cha', '·sed', '[SEP]']
    >>> readable(["ç", "Ĭ", "¬", "Ċ"], [(0, 1), (0, 1), (0, 1), (1, 2)], "犬\n")
    ['犬 1/3', '犬 2/3', '犬 3/3', '↵']
    """
    parts = Counter(span for span in spans if span[0] < span[1])
    seen: Counter[Span] = Counter()
    labels = []
    for i, (start, end) in enumerate(spans):
        surface = text[start:end].strip()
        label = visible(surface or (text[start:end] or pieces[i]).translate(_SPACES))
        if surface and i and spans[i - 1][1] == start and _inside_word(text, start):
            label = f"·{label}"
        if surface and parts[start, end] > 1:
            seen[start, end] += 1
            label = f"{label} {seen[start, end]}/{parts[start, end]}"
        labels.append(label)
    return labels


def visible(text: str, longest: int = 24) -> str:
    r"""Return `text` with marks for line breaks and tabs, escapes for what cannot be printed, and an end if it is long.

    Examples
    --------
    >>> visible("a\tb\x1b[0m")
    'a⇥b\\x1b[0m'
    """
    marked = text.translate(_BREAKS)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in marked)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def distinct(tokens: Sequence[str]) -> list[str]:
    """Return the tokens, those that are there more than once with a number.

    Examples
    --------
    >>> distinct(["the", "dog", "chased", "the", "cat"])
    ['the (1)', 'dog', 'chased', 'the (2)', 'cat']
    """
    count = Counter(tokens)
    used = {token for token, n in count.items() if n == 1}
    labels = []
    for token in tokens:
        label, number = token, 0
        while count[token] > 1 and (number == 0 or label in used):
            number += 1
            label = f"{token} ({number})"
        used.add(label)
        labels.append(label)
    return labels


def _inside_word(text: str, position: int) -> bool:
    """Whether a word of a script with spaces goes on at `position`."""
    around = text[max(position - 1, 0) : position + 1]
    return len(around) == 2 and all(c.isalnum() and unicodedata.east_asian_width(c) not in "WF" for c in around)
