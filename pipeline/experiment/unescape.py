r"""What an export left in a text, undone: HTML entities and tags, and line breaks and quotes behind backslashes.

Each text is judged by itself, so that a file can be read in pieces. Whoever exports escapes all of a text; whoever
talks about an escape writes one in the middle of a sentence. That decides:

HTML entities and tags are undone, unless the text talks about them: it names HTML or its like ("ampersand"), puts an
entity or tag between quotation marks, or between words such as "use ... in" and "shows ... instead", or has a bare
``&`` beside ``&amp;``. One inside a word (``don&#39;t``, ``R&amp;D``), or a line break right behind a sentence
(``late.<br>``), is never talk, unless HTML is named and an apostrophe is also typed plainly. What was escaped twice is
undone twice.

A backslash and n is a line break if one of them stands where a line ends, next to a word or a mark. A text keeps them
if it has real line breaks or names backslashes, if they stand in paths only, or apart, between spaces or quotation
marks; "day\night" is kept, too. A backslash and a quotation mark is a quotation mark if no bare one stands in the text;
two quotation marks in a row are one if all are doubled. A backslash, u and four hexadecimal digits is the character of
that number.
"""

import html
import re
from html.entities import html5

HTML_ENTITIES, HTML_TAGS = "HTML entities", "HTML tags"
LINE_BREAKS, QUOTES, CHARACTERS = "escaped line breaks", "escaped quotes", "escaped characters"

_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ENTITIES = re.compile(rf"(?:{_ENTITY})+")
_ONE_ENTITY = re.compile(_ENTITY)
_BREAK_TAG = r"<(?:/?(?:p|div|li|ul|ol|h[1-6]|tr|table|blockquote|pre|hr)|br)(?:\s[^<>]*|/)?>|</br\s*>"
_INLINE = "a|abbr|b|big|center|code|em|font|i|s|small|span|strike|strong|sub|sup|td|th|tbody|u"
# Where line breaks became tags, the line breaks often stayed as well.
_BREAK_TAGS = re.compile(rf"(?:{_BREAK_TAG})\n?", re.I)
_PARAGRAPH = re.compile(r"<(?:/?(?:p|h[1-6]|table|ul|ol|blockquote))\b", re.I)
_INLINE_TAGS = re.compile(rf"<(/?)({_INLINE})(?:\s[^<>]*)?/?>", re.I)
# What people talk about; nobody writes of &#8364;.
_TALKED_OF = r"&(?:amp|lt|gt|quot|apos|nbsp|copy|#0*39);"
_MARKUP = rf"(?:&lt;[^<>&;]*&gt;|{_TALKED_OF}|{_BREAK_TAG}|<(?:{_INLINE})(?:\s[^<>]*)?>)"

_NAMED = re.compile(r"\b(?:x?html5?|xml|ampersands?|(?:html|character) entit(?:y|ies)|unescaped?)\b", re.I)
_BEFORE = (
    r"\b(?:an?|the|of|as|with|has|contains?|literal|raw|full|uses?|used|using|put|puts?|types?|typed|typing|writes?|wrote"
    r"|written|writing|says?|said|shows?|showed|shown|showing|displays?|displayed|sees?|saw|seeing|reads?|prints?|printed"
    r"|becomes?|became|called|appears?|get|got|like|just)"
)
_AFTER = (
    r"(?:in|instead|for|is|are|was|were|as|everywhere|where|when|rather|not|signs?|symbols?|characters?|codes?|tags?|entity"
    r"|on|at|between|and|or|into|to|all|throughout|means|stands|every|again)\b"
)
_TALK = re.compile(
    rf"[`\"'“‘«(\[]{_MARKUP}[`\"'”’»)\]]"
    rf"|(?:^\s*|{_BEFORE}\s+){_MARKUP}(?:\s+{_AFTER}|\s*[.,;:!?)]|\s*$)",
    re.I,
)
_IN_A_WORD = re.compile(r"[^\W\d_]&(?:#0*39|#[xX]0*27|apos|#8217|#[xX]2019|rsquo|amp);[^\W\d_]", re.I)
_LETTER_ENTITY = re.compile(r"[^\W\d_]&[A-Za-z](?:acute|grave|circ|tilde|uml|cedil|ring|caron|slash);", re.I)
_AFTER_A_SENTENCE = re.compile(rf"[.!?…。！？](?:{_BREAK_TAG})|(?:{_BREAK_TAG})\s*(?:{_BREAK_TAG})", re.I)
_PLAIN_APOSTROPHE = re.compile(r"[^\W\d_]['’][^\W\d_]")
_BARE_AMPERSAND = re.compile(r"(?<!\S)&(?!\S)")
_MOST_ROUNDS = 3

_PATH = re.compile(r"\b[A-Za-z]:\\[^\s\"]*|(?<!\S)\\\\\w+\\[^\s\"]*")
_OTHER_BACKSLASH = re.compile(r"(?<!\\)\\[a-mo-qs-z][a-z]", re.I)
_NEW_LINE = r"(?<!\\)(?<!\b[A-Za-z]:)\\{1,3}(?:r\\{1,3}n|n|r(?![a-z]))"
_NEW_LINES = re.compile(_NEW_LINE)
# After n, the rest of a word that is none without it: night, no, name, ...
_REST = "(?:o|ot|ights?|ew|ews|ames?|umbers?|orth|othing|obody|otes?|etworks?|odes?)"
# Next to what belongs to a line: no space, quotation mark or bracket, and no other line break.
_LINE_ENDS = re.compile(
    rf"(?:[^\s\"'`“‘(\[{{<\\n]|(?<!\\)n|\\\"){_NEW_LINE}(?!{_REST}\b)|[.!?…]\s{{1,3}}{_NEW_LINE}"
    rf"|{_NEW_LINE}(?!{_REST}\b)(?:[^\s\"'`”’)\].,;:!?\\]|\\{{1,3}}\")"
)
_NAMES_BACKSLASHES = re.compile(r"\b(?:back-?slash(?:es)?|newlines?|printf|regex|regexp|unicode|json)\b", re.I)
_ESCAPED_QUOTE = re.compile(r"\\{1,3}([\"'])")
_BARE_QUOTE = re.compile(r"(?<!\\)\"")
_QUOTE_OF_SOMETHING = re.compile(r"[^\s`'\"(\\]\\{1,3}\"|\\\"[^\s`'\").,;:!?]")
_IN_WORD_QUOTE = re.compile(r"(?<=[^\W\d_])\\{1,3}'(?=[^\W\d_])")
_QUOTE_RUN = re.compile(r"\"+")
_UNICODE_ESCAPES = re.compile(r"(?:\\{1,2}u[0-9a-fA-F]{4})+")


def unescape(text: str) -> tuple[str, tuple[str, ...]]:
    r"""Return a text with the escapes of an export undone, and which kinds they were.

    Parameters
    ----------
    text : str

    Returns
    -------
    text : str
    kinds : tuple of str
        Of "HTML entities", "HTML tags", "escaped line breaks", "escaped quotes" and "escaped characters"; empty where
        the text is returned as it is.

    Examples
    --------
    >>> unescape("I don&#39;t like it.<br /><br />Salt &amp; grease.")
    ("I don't like it.\n\nSalt & grease.", ('HTML entities', 'HTML tags'))
    >>> unescape("Great food.\\n\\nThey said \\\"hi\\\".")
    ('Great food.\n\nThey said "hi".', ('escaped line breaks', 'escaped quotes'))
    >>> unescape("Use &amp; in HTML")
    ('Use &amp; in HTML', ())
    """
    kinds: set[str] = set()
    if "\\" in text or '""' in text:
        text = _without_backslashes(text, kinds)
    if "&" in text or "<" in text:
        text = _without_html(text, kinds)
    return text, tuple(sorted(kinds))


def _without_html(text: str, kinds: set[str]) -> str:
    if _talks_about_html(text):
        return text
    has_tags = False
    for _ in range(_MOST_ROUNDS):
        before = text
        # Tags that come out of entities beside real tags are what the writer typed.
        if not has_tags and "<" in text:
            text = _without_tags(text)
            if text != before:
                has_tags = True
                kinds.add(HTML_TAGS)
        plain = _ENTITIES.sub(_characters, text)
        if plain != text:
            kinds.add(HTML_ENTITIES)
        text = plain
        if text == before or ("&" not in text and "<" not in text):
            break
    return text


def _talks_about_html(text: str) -> bool:
    # An empty field of an editor: nobody writes a mark alone.
    if not _BREAK_TAGS.sub("", _ENTITIES.sub(_characters, text)).strip():
        return False
    names = _NAMED.search(text) is not None
    if _AFTER_A_SENTENCE.search(text) or _LETTER_ENTITY.search(text):
        return False
    if _IN_A_WORD.search(text) and not (names and _PLAIN_APOSTROPHE.search(text)):
        return False
    return names or _TALK.search(text) is not None or ("&amp;" in text and _BARE_AMPERSAND.search(text) is not None)


def _characters(entities: re.Match[str]) -> str:
    """Return the characters of successive entities; half a surrogate pair each make one character together."""
    characters = "".join(_character(entity) for entity in _ONE_ENTITY.findall(entities[0]))
    return characters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _character(entity: str) -> str:
    if entity[1] != "#":
        return html5.get(entity[1:], entity)
    number = int(entity[3:-1], 16) if entity[2] in "xX" else int(entity[2:-1])
    return chr(number) if 0xD800 <= number <= 0xDFFF else html.unescape(entity)


def _without_tags(text: str) -> str:
    closed = {name.lower() for slash, name in _INLINE_TAGS.findall(text) if slash}
    plain = _INLINE_TAGS.sub(lambda tag: "" if tag[2].lower() in closed else tag[0], text)
    broken = _BREAK_TAGS.sub(_line_break, plain)
    if broken == plain:
        return plain
    lines = "\n".join(line.strip() for line in broken.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _line_break(tag: re.Match[str]) -> str:
    return "\n\n" if _PARAGRAPH.search(tag[0]) else "\n"


def _without_backslashes(text: str, kinds: set[str]) -> str:
    if _NAMES_BACKSLASHES.search(text):
        return text
    changes = (
        (LINE_BREAKS, _with_line_breaks),
        (QUOTES, _with_quotes),
        (CHARACTERS, _with_characters),
    )
    for kind, change in changes:
        changed = change(text)
        if changed != text:
            kinds.add(kind)
        text = changed
    return text


def _with_line_breaks(text: str) -> str:
    if "\n" in text.strip() or not _NEW_LINES.search(text):
        return text
    judged = re.sub(r"\S+", lambda part: "" if _OTHER_BACKSLASH.search(part[0]) else part[0], _PATH.sub(" ", text))
    return _NEW_LINES.sub("\n", text) if _LINE_ENDS.search(judged) else text


def _with_quotes(text: str) -> str:
    text = _IN_WORD_QUOTE.sub("'", text)
    if not _BARE_QUOTE.search(text) and _QUOTE_OF_SOMETHING.search(text):
        return _ESCAPED_QUOTE.sub(r"\1", text)
    runs = _QUOTE_RUN.findall(text)
    if len(runs) > 1 and set(runs) == {'""'}:
        return text.replace('""', '"')
    return text


def _with_characters(text: str) -> str:
    return _UNICODE_ESCAPES.sub(_from_numbers, text)


def _from_numbers(escapes: re.Match[str]) -> str:
    numbers = re.findall(r"u([0-9a-fA-F]{4})", escapes[0])
    characters = "".join(chr(int(number, 16)) for number in numbers)
    try:
        return characters.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return escapes[0]
