"""Words and sentences by rules that need no model, for scripts with spaces and for Japanese and Chinese."""

import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt
import regex

# All that people type, and keyboards and word processors make, for an apostrophe and for a quotation mark.
_APOSTROPHES = "'’‘‛`´′‵＇ʹʻʼʽˈꞌ՚׳❛❜\u0374\u1fef\u1ffd"
# The same as HTML writes it, between letters.
_ENTITY = r"&(?:#0*39|#[xX]0*27|apos|#821[67]|#[xX]201[89]|[lr]squo);"
_QUOTES = '"“”„‟«»″״＂❝❞'
# Zero-width joiners, soft hyphens, variation selectors and the like; a zero-width space parts words.
_HIDDEN = r"[\p{Default_Ignorable_Code_Point}--\u200b]"
_SKIN = "[\U0001f3fb-\U0001f3ff]"
# Behind an emoji: its skin tone, and the further ones of a sequence, such as 🤦‍♀️ and ❤️‍🔥.
_HIDES = regex.compile(rf"(?<=\p{{So}})(?:{_HIDDEN}|{_SKIN}|(?<=\u200d)[\p{{So}}↔])+|{_HIDDEN}+", regex.VERSION1)
_PLAIN = str.maketrans({**dict.fromkeys(_APOSTROPHES, "'"), **dict.fromkeys(_QUOTES, '"'), "\0": " ", "\u200b": " "})

# Scripts written without spaces: every character counts as one word, unless a dictionary says where words end.
_CJK = r"[[\p{Han}\p{Hiragana}\p{Katakana}ーｰ〆〼]&&[\p{L}\p{N}]]"
_LETTER = rf"[[\p{{L}}\p{{N}}_]--{_CJK}--{_HIDDEN}--[{_APOSTROPHES}ﾞﾟ]]"
# A sign above, below or beside its letter; Armenian sets marks into a word.
_SIGN = rf"[\p{{Mn}}\p{{Mc}}{_HIDDEN}]"
_INSIDE = rf"[{_LETTER}{_SIGN}՛՜՞]"
_JOINT = (
    rf"(?:[{_APOSTROPHES}]|{_ENTITY}|(?<=[lL])[·\u0387](?=[lL])|(?<=\p{{Hebrew}})[{_QUOTES}](?=\p{{Hebrew}})){_HIDDEN}*"
)
_CHARACTER = rf"{_CJK}[{_SIGN}ﾞﾟ]*"
_WITH_SPACES = rf"{_LETTER}{_INSIDE}*(?:{_JOINT}{_LETTER}{_INSIDE}*)*"
_ONE_CHARACTER = regex.compile(_CHARACTER, regex.VERSION1)
_SIGN_IN_A_RUN = regex.compile(rf"[{_SIGN}ﾞﾟ]", regex.VERSION1)
_WORD = regex.compile(rf"{_CHARACTER}|{_WITH_SPACES}", regex.VERSION1)
_WORD_OR_RUN = regex.compile(rf"(?P<run>(?:{_CHARACTER})+)|{_WITH_SPACES}", regex.VERSION1)

# Cuts a run of Japanese or Chinese characters into words, which put together are the run again.
Cut = Callable[[str], Sequence[str]]

# A full stop may stand in a number: a sentence ends only where a space follows. Other scripts need none.
_BEFORE_SPACE = ".!?…．﹒‼⁇⁈⁉‽"
_END = rf"[[\p{{Sentence_Terminal}}།༎]--[{_BEFORE_SPACE}]]"
_CLOSING = "」』｣）］】〕》〉\"')\\]"
_SENTENCE_END = regex.compile(
    rf"(?<=[{_BEFORE_SPACE}][\"')\]]?)[\s\x1c-\x1f]+"
    rf"|(?<={_END})(?![{_END}{_BEFORE_SPACE}{_CLOSING}])|(?<={_END}[{_CLOSING}])(?![{_CLOSING}])|\n+",
    regex.VERSION1,
)

_LONG_SENTENCE, _PIECE = 40, 20
# Of two letters, the ending of "we'll" is one; what is longer than any word may have pairs without end.
_LONG_ENOUGH, _TOO_LONG = 3, 50
_REPEATED = re.compile(r"([^\W\d_])\1{2,}")
# English doubles a letter before these endings: "hopping" is no slip for "hoping".
_DOUBLED = re.compile(r"([^\W\d_])\1(?!(?:ed|er|ers|ing|y|est)$)")
_ENTITY_IN_A_WORD = re.compile(rf"(?<=[^\W\d_]){_ENTITY}(?=[^\W\d_])")

# Most texts are ASCII, where the same rules are short and take a third of the time.
_ASCII_WORD = re.compile(r"\w+(?:'\w+)*", re.ASCII)
_ASCII_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+|\n+")


def normalised(text: str) -> str:
    r"""Return `text` as the statistics read it: what looks alike is written alike.

    Characters are composed (NFC); each kind of apostrophe and quotation mark becomes the plain one, also an apostrophe
    that is an HTML entity; soft hyphens,
    zero-width joiners and variation selectors are left out, and so are the skin tone of an emoji and what is joined to
    it; NUL and the zero-width space are spaces.

    Examples
    --------
    >>> normalised("I don´t like the cre\u0300me bru\u0302le\u0301e")
    "I don't like the crème brûlée"
    >>> normalised("👍🏽 ❤\ufe0f")
    '👍 ❤'
    """
    if "&" in text:
        text = _ENTITY_IN_A_WORD.sub("'", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _HIDES.sub("", text))
    return text.translate(_PLAIN) if not text.isascii() or "`" in text or "\0" in text else text


def words(text: str, cut: Cut | None = None) -> list[str]:
    """Return the words of `text`, normalised; in Japanese and Chinese every character is one unless `cut` says more.

    Combining marks, joiners and apostrophes belong to the word that they stand in.

    Parameters
    ----------
    text : str
    cut : callable, default=None
        Cuts each run of Japanese or Chinese characters into words, see `pipeline.segmentation.cutter`; all other words
        are the same with and without it.

    Returns
    -------
    list of str

    Examples
    --------
    >>> words("Don't go: 2 stars!")
    ["Don't", 'go', '2', 'stars']
    >>> words("味は最高")
    ['味', 'は', '最', '高']
    >>> words("खाना बहुत स्वादिष्ट था")
    ['खाना', 'बहुत', 'स्वादिष्ट', 'था']
    """
    text = normalised(text)
    if cut is None or text.isascii():
        return (_ASCII_WORD if text.isascii() else _WORD).findall(text)
    return [text[start:end] for start, end in _cut_spans(text, cut)]


def word_spans(text: str, cut: Cut | None = None) -> list[tuple[int, int]]:
    """Return where each of the `words` starts and ends in `text` itself.

    Parameters
    ----------
    text : str
    cut : callable, default=None
        As in `words`.

    Returns
    -------
    list of (start, end)

    Examples
    --------
    >>> word_spans("Don´t go!")
    [(0, 5), (6, 8)]
    """
    return [word.span() for word in _WORD.finditer(text)] if cut is None else list(_cut_spans(text, cut))


def _cut_spans(text: str, cut: Cut) -> Iterator[tuple[int, int]]:
    for found in _WORD_OR_RUN.finditer(text):
        if found["run"] is None:
            yield found.span()
            continue
        run, (start, end) = found["run"], found.span()
        # Where each character with its signs starts, and where the last one ends.
        bounds: Sequence[int] = range(start, end + 1)
        if _SIGN_IN_A_RUN.search(run):
            bounds = [*(each.start() for each in _ONE_CHARACTER.finditer(text, start, end)), end]
        cuts = accumulate(map(len, cut(_in_full_width(run, len(bounds) - 1))), initial=0)
        yield from pairwise(bounds[place] for place in cuts)


def _in_full_width(run: str, n_characters: int) -> str:
    """Return a run as dictionaries write it, with one code point for each character and its signs."""
    if len(run) == n_characters and unicodedata.is_normalized("NFKC", run):
        return run
    return "".join(unicodedata.normalize("NFKC", normalised(each))[0] for each in _ONE_CHARACTER.findall(run))


def undoubled(word: str, known: Container[str]) -> str:
    """Return a word with fewer repeated letters if that makes it known; a known word, and any other, as it is.

    Examples
    --------
    >>> known = {"good", "so", "disappointed"}
    >>> [undoubled(word, known) for word in ("sooooo", "goood", "dissappointed", "good", "goat")]
    ['so', 'good', 'disappointed', 'good', 'goat']
    >>> undoubled("supper", {"super"}), undoubled("ささみ", {"さみ"})
    ('supper', 'ささみ')
    """
    if word in known or len(word) < _LONG_ENOUGH:
        return word
    return next((shorter for shorter in _shorter(word) if shorter in known), word)


# Texts are read again and again by other models, and most words of a language are common.
@lru_cache(maxsize=50_000)
def _shorter(word: str) -> tuple[str, ...]:
    """Return a word with at most two of a repeated letter, and with one of each two."""
    # In Japanese and Chinese, one character of two makes another word.
    if _ONE_CHARACTER.match(word):
        return ()
    shorter = _REPEATED.sub(r"\1\1", word)
    if len(shorter) > _TOO_LONG:
        return ()
    places = [pair.start() for pair in _DOUBLED.finditer(shorter)]
    return shorter, *(shorter[:place] + shorter[place + 1 :] for place in places)


def as_known(found: list[str], known: Container[str]) -> list[str]:
    """Return words, each `undoubled` where any are known."""
    return [undoubled(word, known) for word in found] if known else found


def sentences(text: str) -> list[str]:
    """Return the sentences of `text`, normalised, split at end marks and line breaks.

    Examples
    --------
    >>> sentences("Good food. Bad service!")
    ['Good food.', 'Bad service!']
    >>> sentences("安い。うまい！")
    ['安い。', 'うまい！']
    """
    text = normalised(text)
    parts = (_ASCII_SENTENCE_END if text.isascii() else _SENTENCE_END).split(text)
    return [part.strip() for part in parts if part.strip()]


def short_sentences(text: str) -> list[str]:
    """Return the sentences of `text`, those of more than 40 words between spaces in pieces of about 20.

    A text without punctuation has sentences, too, then.

    Examples
    --------
    >>> [len(piece.split()) for piece in short_sentences("No way. " + "so good " * 21)]
    [2, 21, 21]
    """
    return [piece for sentence in sentences(text) for piece in _pieces(sentence)]


def _pieces(sentence: str) -> list[str]:
    tokens = sentence.split()
    if len(tokens) <= _LONG_SENTENCE:
        return [sentence]
    n_pieces = round(len(tokens) / _PIECE)
    ends = [len(tokens) * place // n_pieces for place in range(n_pieces + 1)]
    return [" ".join(tokens[start:end]) for start, end in pairwise(ends)]


def text_problem(value: object) -> str | None:
    r"""Return why `value` is no text: it is not a str, or holds half of a surrogate pair; None if it is one.

    Examples
    --------
    >>> text_problem("good"), text_problem(1.5), text_problem("\ud83d")
    (None, 'not a string: float', 'half of a surrogate pair')
    """
    if not isinstance(value, str):
        return f"not a string: {type(value).__name__}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair"
    return None


def check_texts(X: object) -> list[str]:
    """Return `X` as a list of str.

    Parameters
    ----------
    X : sequence of str, or a table with a single column of them
        A list, tuple, numpy array, pandas Series or one-column DataFrame.

    Raises
    ------
    ValueError
        If `X` is a single string, has more than one column, or holds something that is not a str or half of a
        surrogate pair.

    Examples
    --------
    >>> check_texts(("good", "bad"))
    ['good', 'bad']
    """
    if isinstance(X, str):
        raise ValueError(f"Expected a sequence of texts, got the single string {X[:40]!r}: put it into a list.")
    values: npt.NDArray[np.object_] = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"Expected a sequence of texts or one column of them, got shape {values.shape}.")
    for position, value in enumerate(values):
        if not isinstance(value, str):
            raise ValueError(f"Expected str, got {type(value).__name__} ({value!r}) at position {position}.")
        if problem := text_problem(value):
            raise ValueError(f"Got a text with {problem} at position {position}: it is no character, leave it out.")
    return values.tolist()
