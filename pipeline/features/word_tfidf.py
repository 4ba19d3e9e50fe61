"""TF-IDF of words and pairs, with Japanese and Chinese read as one parameter says."""

from dataclasses import dataclass, field

from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.segmentation import cutter, dictionaries, reading
from pipeline.text import words


@dataclass(frozen=True)
class WordReader:
    """Cuts a text into words by a reading that was settled once, whatever is installed later.

    Parameters
    ----------
    words : {"dictionary", "characters"}
        How Japanese and Chinese are read.
    versions : dict of str to str
        Of the dictionaries, where they are used: other versions may cut otherwise.

    Examples
    --------
    >>> WordReader("characters")("Wi-Fiは最高")
    ['Wi', 'Fi', 'は', '最', '高']
    """

    words: str
    versions: dict[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> list[str]:
        """Return the words of a text."""
        return words(text, cutter(text, self.words))


def word_tfidf(words: str = "auto") -> TfidfVectorizer:
    """Return an unfitted TF-IDF of words and pairs of neighbours.

    Parameters
    ----------
    words : {"auto", "dictionary", "characters"}, default="auto"
        How Japanese and Chinese are read, see `pipeline.segmentation.reading`. "auto" is settled here, and so is part
        of what the estimator is.

    Raises
    ------
    ImportError
        If `words` is "dictionary" and the extra `cjk` is not installed.
    """
    settled = reading(words)
    reader = WordReader(settled, dictionaries() if settled == "dictionary" else {})
    return TfidfVectorizer(tokenizer=reader, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
