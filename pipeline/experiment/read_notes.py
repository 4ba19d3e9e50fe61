"""What a reader of the results must know of how the texts were read, in sentences."""

from collections.abc import Mapping
from typing import Any

# Below this share nothing is said.
NOTED = 0.05
_LANGUAGES = {"ja": "Japanese", "zh": "Chinese"}
_EXTRA = 'pip install "t-method-vs-attention[cjk]"'


def notes(read: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the results must know of how the texts were read, one sentence each.

    Examples
    --------
    >>> notes({"unknown_tokens": {"bundled": {"tokens": 0.31, "texts": 0.96}}})
    ['The encoder bundled does not know 31% of the tokens of these texts; 96% of the texts have one or more of them.']
    """
    found = [
        f"The encoder {name} does not know {share['tokens']:.0%} of the tokens of these texts; {share['texts']:.0%} of "
        "the texts have one or more of them."
        for name, share in read.get("unknown_tokens", {}).items()
        if share["tokens"] >= NOTED
    ]
    if read.get("poorly_read", 0) >= NOTED:
        found.append(
            f"The sentiment lexicon knows hardly a word of {read['poorly_read']:.0%} of the texts: for these the "
            "sentiment of the text statistics says nothing."
        )
    if languages := read.get("languages"):
        names = " and ".join(_LANGUAGES[each] for each in sorted(languages))
        words = read.get("words", [])
        if "dictionary" in words:
            versions = ", ".join(f"{name} {version}" for name, version in read["dictionaries"].items())
            beside = "; features with words: characters read characters" if "characters" in words else ""
            found.append(f"{names} texts were read in words by dictionary ({versions}){beside}.")
        elif words:
            found.append(f"{names} texts were read as characters and pairs of them; for words: {_EXTRA}.")
    return found
