"""Plain names of features and of their columns."""

import re

_CHARACTERS = "_characters"
_FEATURES = {
    "attention_pooling": "self-attention",
    "embedding": "the sentence embedding",
    "mean_pooling": "mean pooling",
    "rt_metrics": "the RT method",
    "sentence_metrics": "words by sentence",
    "sn_attention": "S/N attention",
    "t_attention": "T-attention",
    "t_estimates": "the T-method on words",
    "t_metrics": "words of the whole review",
    "text_stats": "text statistics",
    "trained_attention": "trained attention",
}
_HEADS = {
    "sn_attention": ("praise head", "blame head", "middle head"),
    "t_attention": ("head for", "head against"),
    "trained_attention": ("first query", "second query"),
}
_TEXT_STATS = {
    "n_chars": "number of characters",
    "n_words": "number of words",
    "n_sentences": "number of sentences",
    "n_paragraphs": "number of paragraphs",
    "log_n_words": "number of words, logarithm",
    "mean_word_length": "mean length of the words",
    "long_word_share": "share of long words",
    "mean_sentence_words": "words per sentence",
    "sd_sentence_words": "spread of the words per sentence",
    "max_sentence_words": "words of the longest sentence",
    "first_sentence_words": "words of the first sentence",
    "last_sentence_words": "words of the last sentence",
    "distinct_word_share": "share of different words",
    "once_only_word_share": "share of words that stand there once",
    "capital_share": "share of capital letters",
    "shouted_word_share": "share of words in capitals",
    "digit_share": "share of digits",
    "money_signs": "currency signs",
    "punctuation_share": "share of punctuation",
    "exclamation_marks": "exclamation marks",
    "question_marks": "question marks",
    "ellipses": "ellipses (…)",
    "commas_per_word": "commas per word",
    "quotation_marks": "quotation marks",
    "repeated_letters": "words with repeated letters (soooo)",
    "repeated_marks": "repeated marks (!!)",
    "negation_share": "share of negations",
    "contrast_share": "share of words of contrast (but)",
    "first_person_share": "share of I and we",
    "sentiment": "sentiment of the review",
    "sentiment_positive": "share of positive sentiment",
    "sentiment_negative": "share of negative sentiment",
    "sentiment_neutral": "share of neutral words",
    "sentiment_sentence_mean": "sentiment, mean of the sentences",
    "sentiment_sentence_sd": "sentiment, spread over the sentences",
    "sentiment_sentence_min": "sentiment of the worst sentence",
    "sentiment_sentence_max": "sentiment of the best sentence",
    "sentiment_first_sentence": "sentiment of the first sentence",
    "sentiment_last_sentence": "sentiment of the last sentence",
}
# The star itself, and its distance from further points of the scale.
_POINTS = {
    "0": "",
    "25": " (distance from ¼ of the scale)",
    "50": " (distance from ½ of the scale)",
    "75": " (distance from ¾ of the scale)",
}
_WHOLE_REVIEW = {
    "log_n_items": "number of known words, logarithm",
    "up": "words of praise, sum of their stars",
    "down": "words of blame, sum of their stars",
    "mean": "mean stars of its words",
    "sd": "spread of the stars of its words",
    "balance": "balance of praise and blame",
    "strongest_up": "strongest word of praise",
    "strongest_down": "strongest word of blame",
    "t_estimate": "T-method's estimate from single words",
}
_SENTENCES = {
    "mean": "mean of the sentences",
    "sd": "spread over the sentences",
    "last": "last sentence",
    "begin": "first third of the review",
    "middle": "middle third of the review",
    "end": "last third of the review",
}
_RT = {"sensitivity": "likeness to reviews with {} stars", "error": "distance from reviews with {} stars"}


def feature_in_words(feature: str) -> str:
    """Return the plain name of a feature; the name of a user's feature stays.

    Examples
    --------
    >>> feature_in_words("t_metrics_characters"), feature_in_words("mine")
    ('words of the whole review, read by characters', 'mine')
    """
    base = feature.removesuffix(_CHARACTERS)
    if base not in _FEATURES:
        return feature
    return _FEATURES[base] + (", read by characters" if base != feature else "")


def item_in_words(name: str, n_columns: int = 0) -> str:
    """Return the plain name of an item of a T-method.

    Parameters
    ----------
    name : str
        Feature and column, as in ``t_metrics: sn_0``.
    n_columns : int, default=0
        How many columns the feature has, to tell the heads of pooled states.

    Returns
    -------
    str
        For a feature of the user, its column with blanks in place of underscores.

    Examples
    --------
    >>> item_in_words("t_metrics: sn_0"), item_in_words("text_stats: n_words")
    ('S/N ratios of its words, summed', 'number of words')
    >>> item_in_words("sn_attention: attentionpooling409", 1152)
    'state 26 of S/N attention, blame head'
    """
    feature, _, column = name.partition(": ")
    base = feature.removesuffix(_CHARACTERS)
    if found := re.fullmatch(r"(?:attentionpooling|sentenceembedding)(\d+)", column):
        return _state(feature, int(found[1]), n_columns)
    tables = {"text_stats": _TEXT_STATS, "t_metrics": _WHOLE_REVIEW}
    words = tables.get(base, {}).get(column) or _sum_over_words(base, column)
    if words is None:
        return f"{column.replace('_', ' ')} ({feature_in_words(feature)})"
    return words + (", read by characters" if base != feature else "")


def _state(feature: str, place: int, n_columns: int) -> str:
    heads = _HEADS.get(feature, ())
    width = n_columns // len(heads) if heads else 0
    head = f", {heads[place // width]}" if width and place // width < len(heads) else ""
    return f"state {(place % width if width else place) + 1} of {feature_in_words(feature)}{head}"


def _sum_over_words(feature: str, column: str) -> str | None:
    """Return the plain name of a sum over words or of an estimate, None for another column."""
    kind, _, rest = column.partition("_")
    point, _, where = rest.partition("_")
    if feature == "rt_metrics" and kind in _RT:
        return _RT[kind].format(rest)
    if point not in _POINTS:
        return None
    if feature == "t_metrics" and kind in ("t", "sn"):
        return f"{'stars' if kind == 't' else 'S/N ratios'} of its words, summed{_POINTS[point]}"
    if feature == "sentence_metrics" and where in _SENTENCES:
        return f"stars of its words, {_SENTENCES[where]}{_POINTS[point]}"
    if feature == "t_estimates" and kind == "estimate":
        return f"T-method's estimate from words{_POINTS[point]}"
    return None
