r"""Escapes of exports: undone where they are left over, kept where a text talks about them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.experiment.unescape import unescape

UNDONE = [
    ("It was like &#128077;", "It was like 👍"),
    ("The food was just &hellip;", "The food was just …"),
    ("I got &#8364; for it", "I got € for it"),
    ("&#x1F600;", "😀"),
    ("AT&T is cheap &amp; fast", "AT&T is cheap & fast"),
    (
        "I don&#39;t like it.<br /><br />The waiter said &quot;no&quot; &amp; left.<br />Isn&#39;t good",
        "I don't like it.\n\nThe waiter said \"no\" & left.\nIsn't good",
    ),
    ('Great food.\\n\\nNever late.\\nThey said \\"hi\\".', 'Great food.\n\nNever late.\nThey said "hi".'),
    ("Fish &amp; chips", "Fish & chips"),
    ("A great escape &amp; spa", "A great escape & spa"),
    ("Small print.\\n\\nGood.", "Small print.\n\nGood."),
    ("Mac &amp; cheese, R&amp;D and AT&amp;T", "Mac & cheese, R&D and AT&T"),
    ("caf&eacute; cr&#232;me", "café crème"),
    ("I don&#x27;t, she doesn&apos;t, he didn&rsquo;t", "I don't, she doesn't, he didn’t"),
    ("under &lt; 10 &gt; 5 dollars", "under < 10 > 5 dollars"),
    ("I &lt;3 this place", "I <3 this place"),
    ("Good.&nbsp;Cheap.", "Good.\xa0Cheap."),
    ("I don&amp;#39;t &amp;amp; won&amp;#39;t", "I don't & won't"),
    ("Good.&lt;br /&gt;Cheap.", "Good.\nCheap."),
    ("Write a&lt;br&gt;b.<br />Done.", "Write a<br>b.\nDone."),
    ("Love it &#55357;&#56832;", "Love it 😀"),
    ("Love it &#128512;", "Love it 😀"),
    ("<p>Good food.</p><p>Bad service.</p>", "Good food.\n\nBad service."),
    ("<p>Good food.</p>\n<p>Bad service.</p>\n", "Good food.\n\nBad service."),
    ("Good food.<br/>\nBad service.<BR>Never again.", "Good food.\nBad service.\nNever again."),
    ('<b>Great</b> and <a href="https://x.example/?a=1">cheap</a>', "Great and cheap"),
    ("<ul><li>one</li><li>two</li></ul>", "one\n\ntwo"),
    ("I learned HTML here.<br /><br />Don&#39;t miss it.", "I learned HTML here.\n\nDon't miss it."),
    ("Pros:\\ngood food\\nCons:\\nslow", "Pros:\ngood food\nCons:\nslow"),
    ("great food\\nBad service", "great food\nBad service"),
    ("great food\\nbad service was\\nthe rule", "great food\nbad service was\nthe rule"),
    ("Good.\\r\\nBad.\\r\\n", "Good.\nBad.\n"),
    ("Good.\\\\n\\\\nBad.", "Good.\n\nBad."),
    ("安い。\\nうまい。", "安い。\nうまい。"),
    ("Clean. \\n \\nNice.", "Clean. \n \nNice."),
    ("great food\\nbad service", "great food\nbad service"),
    ("great food \\nbad service", "great food \nbad service"),
    ("great food\\n bad service", "great food\n bad service"),
    ("Late. \\n Rude.", "Late. \n Rude."),
    ("- one\\n- two", "- one\n- two"),
    ('They said \\"never\\" twice', 'They said "never" twice'),
    ('they said \\" never again \\", never \\"ever\\"', 'they said " never again ", never "ever"'),
    ('a 12\\" pizza', 'a 12" pizza'),
    ("I don\\'t like it", "I don't like it"),
    ('They said ""hi"" and ""bye"".', 'They said "hi" and "bye".'),
    ("I don\\u2019t like it \\ud83d\\ude00", "I don’t like it 😀"),
    ("Saved in C:\\new first.\\n\\nWorks.", "Saved in C:\\new first.\n\nWorks."),
    ("¯\\_(ツ)_/¯ fine.\\nReally.", "¯\\_(ツ)_/¯ fine.\nReally."),
]

KEPT = [
    "Use &amp; in HTML",
    "The menu shows &amp; instead of an ampersand.",
    "The menu shows &amp; everywhere",
    "Their site prints `&lt;br&gt;` on every page",
    'They wrote "&quot;" on the bill',
    "I typed &amp; and it turned into something else",
    "Write &lt;br&gt; for a line break in HTML, don't forget",
    "The receipt said &amp; where it should say &",
    "In HTML you write don&#39;t for don't",
    "&amp; is an entity",
    "Use <br> in HTML",
    "The <p> tag is broken on their site",
    "I <3 this place, a < b > c, x<y>z",
    "AT&T, Q&A; R&B",
    "&nosuchentity; and &;",
    "https://shop.example/?a=1&lt=2&copy=3",
    "C:\\new",
    "Saved in C:\\new\\notes\\Name.txt and \\\\server\\notes\\new",
    "Rock \\n roll",
    "Use \\n for a line break",
    "open day\\night",
    "yes\\no",
    "src\\main\\note.txt and src\\name",
    "He typed '\\n' and \"\\n\"",
    "The app shows \\n\\n instead of paragraphs",
    "A backslash-n.\\nNever works",
    "Real lines\nkeep their \\n.\\nAlways",
    'Write \\" in a string, like "this"',
    'An empty ""',
    "¯\\_(ツ)_/¯",
    "C:\\users\\me",
    "and\\or",
    'plain text, isn\'t it? "Yes"',
    "",
]


@pytest.mark.parametrize(("text", "expected"), UNDONE)
def test_what_an_export_left_is_undone(text: str, expected: str) -> None:
    result, kinds = unescape(text)
    assert result == expected
    assert kinds


@pytest.mark.parametrize("text", ["<br>", "&nbsp;", " <br /> ", "<p></p>", "<p>&nbsp;</p>\n<br/>", "&#160;&nbsp;"])
def test_an_empty_field_of_an_editor_is_empty(text: str) -> None:
    assert not unescape(text)[0].strip()


@pytest.mark.parametrize("text", KEPT)
def test_a_text_that_talks_about_escapes_survives(text: str) -> None:
    assert unescape(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Fish &amp; chips", ("HTML entities",)),
        ("Good.<br />Bad.", ("HTML tags",)),
        ("Good.\\n\\nBad.", ("escaped line breaks",)),
        ('They said \\"hi\\".', ("escaped quotes",)),
        ("caf\\u00e9", ("escaped characters",)),
        (
            'I don&#39;t.<br>Said \\"no\\".\\n\\nBye',
            ("HTML entities", "HTML tags", "escaped line breaks", "escaped quotes"),
        ),
    ],
)
def test_the_kinds_are_named(text: str, kinds: tuple[str, ...]) -> None:
    assert unescape(text)[1] == kinds


@given(st.text(st.characters(exclude_characters='&<\\"')))
def test_a_text_without_marks_of_escapes_is_as_it_was(text: str) -> None:
    assert unescape(text) == (text, ())


@given(
    st.lists(st.sampled_from(["&amp;", "<br>", "\\n", '\\"', "a", "B", " ", ".", "<b>", "&lt;", "\ud83d", "&#55357;"]))
)
def test_any_text_is_read(parts: list[str]) -> None:
    text, kinds = unescape("".join(parts))
    assert (text == "".join(parts)) == (not kinds)


@pytest.mark.parametrize(
    "part", ["<b>", "<br ", "&amp;", "&lt;br&gt;", "\\n", "\\", '\\"', "a\\n", "the ", " <br>", "&", "\n", " "]
)
def test_60_000_characters_are_read(part: str) -> None:
    long = part * (60_000 // len(part))
    for text in (long, f"{long}<br>{long}&amp;", f"{long}\\n", f"&amp;{long}", f"the{long}<"):
        unescape(text)
