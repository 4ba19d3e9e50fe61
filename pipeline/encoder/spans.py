"""Where the tokens of a text lie in it, for tokenizers that say so and for those that do not."""

import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

Span = tuple[int, int]


def token_spans(tokenizer: Any, text: str, encoding: Any) -> list[Span]:
    """Return start and end of each token in `text`; an empty span for what is not in it, such as [CLS].

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
    text : str
    encoding : BatchEncoding
        Of that text alone, with its offsets where the tokenizer knows them; otherwise the pieces are looked up in the
        text from left to right.
    """
    numbers = encoding["input_ids"]
    if "offset_mapping" in encoding:
        # The mark that begins a text without a space has no character, but is told to have the first one.
        marks = [piece == "▁" for piece in tokenizer.convert_ids_to_tokens(numbers)]
        offsets = [(int(start), int(end)) for start, end in encoding["offset_mapping"]]
        bare = [mark and text[start:end].strip() for mark, (start, end) in zip(marks, offsets, strict=True)]
        return [(start, start if empty else end) for empty, (start, end) in zip(bare, offsets, strict=True)]
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    pieces = [None if number in special else _piece(tokenizer, number) for number in numbers]
    return aligned(pieces, text, _words(tokenizer, text))


def _words(tokenizer: Any, text: str) -> list[str]:
    """Return the words that a tokenizer cuts a text into before it cuts these, where it does so."""
    cut = getattr(tokenizer, "word_tokenizer", None)
    return [] if cut is None else cut.tokenize(text, never_split=tokenizer.all_special_tokens)


def _piece(tokenizer: Any, number: int) -> str:
    """Return the characters that a token stands for; "" for the unknown one."""
    return "" if number == tokenizer.unk_token_id else tokenizer.decode([number]).strip().removeprefix("##")


def aligned(pieces: Sequence[str | None], text: str, words: Sequence[str] = ()) -> list[Span]:
    """Return start and end of each piece in `text`, looked up from left to right.

    Letter case, the width of characters and other forms that Unicode holds to be compatible do not count. What lies
    between two pieces that are found belongs to the unknown ones between them: a word each, a character each, or all
    of it to all.

    Parameters
    ----------
    pieces : sequence of str or None
        None for what is not in the text, "" for an unknown piece.
    text : str
    words : sequence of str, optional
        Words of a text that has no spaces between them.

    Examples
    --------
    >>> text = "ＡＢＣは東京"
    >>> [text[start:end] for start, end in aligned([None, "abc", "", "京"], text)]
    ['', 'ＡＢＣ', 'は東', '京']
    """
    places = [(i, each) for i, character in enumerate(text) for each in _folded(character)]
    whole, spans = "".join(each for _, each in places), [(0, 0)] * len(pieces)
    begins = {start for start, _ in aligned(words, text)} if words else set()

    def place(some: Sequence[int], start: int, end: int) -> None:
        for i, part in zip(some, _dealt(places[start:end], len(some), begins), strict=True):
            spans[i] = part

    position, unknown = 0, list[int]()
    for i, piece in enumerate(pieces):
        if piece is None:
            continue
        wanted = _folded(piece)
        start = whole.find(wanted, position + bool(unknown)) if wanted else -1
        if start < 0:
            unknown.append(i)
            continue
        place(unknown, position, start)
        position, unknown = start + len(wanted), []
        place([i], start, position)
    place(unknown, position, len(whole))
    return spans


def _folded(text: str) -> str:
    # Character by character: signs on one letter stay in the order in which they were typed.
    return "".join(unicodedata.normalize("NFKD", character.casefold()).casefold() for character in text)


def _dealt(gap: Sequence[tuple[int, str]], n: int, begins: Collection[int]) -> list[Span]:
    """Return which part of a gap each of `n` pieces has: a word or a character, else all of it.

    Parameters
    ----------
    gap : sequence of (int, str)
        Position in the text, and character.
    n : int
    begins : collection of int
        Where words begin, beside those after a space.
    """
    characters = list(dict.fromkeys(place for place, character in gap if not character.isspace()))
    if not characters:
        return [(0, 0)] * n
    whole = [(characters[0], characters[-1] + 1)]
    first = [i for i in characters if i == characters[0] or i in begins or i - 1 not in characters]
    ends = [max(i for i in characters if i < end) + 1 for end in [*first[1:], characters[-1] + 1]]
    words = list(zip(first, ends, strict=True))
    singles = [(i, i + 1) for i in characters]
    return next((parts for parts in (whole, words, singles) if len(parts) == n), whole * n)
