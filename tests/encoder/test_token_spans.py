"""Where pieces lie in a text whose tokenizer does not say."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.encoder.spans import aligned


def places(pieces: list[str | None], text: str, words: list[str] | None = None) -> list[str]:
    return [text[start:end] for start, end in aligned(pieces, text, words or [])]


def test_letter_case_width_and_compatible_forms_do_not_count() -> None:
    assert places([None, "abc", "1", "が", "ガ", None], "ＡＢＣ①が ｶﾞ") == ["", "ＡＢＣ", "①", "が", "ｶﾞ", ""]
    assert places(["straße", "½"], "STRASSE ½") == ["STRASSE", "½"]
    assert places(["éﾞa", "a"], "éﾞa a") == ["éﾞa", "a"]


def test_an_unknown_piece_has_what_is_left_between_those_that_are_found() -> None:
    assert places(["犬", "", "犬"], "犬猫犬") == ["犬", "猫", "犬"]
    assert places(["a", "", "", "b"], "a one two b") == ["a", "one", "two", "b"]
    assert places(["a", "", "", "b"], "axyb") == ["a", "x", "y", "b"]
    assert places(["", ""], "犬、ねこ", ["犬", "、", "ねこ"]) == ["犬、ねこ", "犬、ねこ"]
    assert places(["犬", "", ""], "犬、ねこ", ["犬", "、", "ねこ"]) == ["犬", "、", "ねこ"]
    assert places([""], "  whole text ") == ["whole text"]
    assert places(["", ""], " \n") == ["", ""]


def test_a_piece_that_is_not_in_the_text_is_like_an_unknown_one() -> None:
    assert places(["the", "\ufffd", "\ufffd", "\ufffd", "dog"], "the 犬 dog") == ["the", "犬", "犬", "犬", "dog"]


@given(st.lists(st.text("ab犬ｶﾞ①é ", min_size=1).filter(lambda word: word.strip() == word), max_size=9))
def test_pieces_of_a_text_are_found_where_they_are(pieces: list[str]) -> None:
    spans = aligned(list(pieces), " ".join(pieces))
    assert [" ".join(pieces)[start:end] for start, end in spans] == pieces


@given(st.lists(st.none() | st.text(max_size=3), max_size=9), st.text(max_size=20))
def test_spans_lie_in_the_text_and_never_go_back(pieces: list[str | None], text: str) -> None:
    spans = [span for span in aligned(pieces, text) if span[0] < span[1]]
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
