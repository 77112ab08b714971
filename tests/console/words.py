"""A line as a person types it: words apart by blanks, quoted where they hold some, perhaps not finished yet."""

from dataclasses import dataclass

QUOTES = "\"'"


@dataclass(frozen=True)
class Line:
    """A line taken apart.

    Attributes:
        words: those that are complete, without their quotes.
        last: the one that the line ends in, as far as it goes; empty after a blank.
        start: where that one begins in the line.
        quote: the quotation mark that is still open, or nothing.
    """

    words: list[str]
    last: str
    start: int
    quote: str


def read_line(text: str) -> Line:
    """Take a line apart. A backslash stands for itself, but before a quotation mark of the same kind."""
    words: list[str] = []
    last, start, quote, begun = "", 0, "", False
    position = 0
    while position < len(text):
        character = text[position]
        if quote and text.startswith("\\" + quote, position):
            last += quote
            position += 1
        elif character == quote:
            quote = ""
        elif not quote and character in QUOTES and (not last or last.endswith("=")):
            quote, begun = character, True
        elif not quote and character.isspace():
            if begun:
                words.append(last)
            last, begun = "", False
            start = position + 1
        else:
            last, begun = last + character, True
        position += 1
    return Line(words, last, start if begun else len(text), quote)


def split(text: str) -> list[str]:
    """Return the words of a whole line.

    Raises:
        ValueError: a quotation mark is left open.
    """
    line = read_line(text)
    if line.quote:
        raise ValueError(f"The quotation mark {line.quote} is left open.")
    return [*line.words, line.last] if line.start < len(text) else line.words


def quoted(word: str) -> str:
    """Return a word as it is typed; of `name=value`, the value alone is quoted."""
    if word and not any(character.isspace() or character in QUOTES for character in word):
        return word
    name, equals, value = word.partition("=")
    if not equals or not name.isidentifier():
        name, equals, value = "", "", word
    mark = "'" if '"' in value and "'" not in value else '"'
    return f"{name}{equals}{mark}{value.replace(mark, chr(92) + mark)}{mark}"
