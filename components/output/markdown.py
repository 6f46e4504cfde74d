"""Reports as Markdown, for a pull request or a CI run's summary; they read well in a terminal too. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from .escaping import in_markdown


def table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], max_width: int | None = None
) -> str:
    """A table with aligned columns, under a heading. Its cells are shown as they are: none of them acts.

    Args:
        title: of the heading.
        header: the names of the columns.
        rows: as many cells each.
        max_width: of a line, in characters. What is longer goes on in further rows, whose other cells are
            empty: Markdown has no line breaks in a cell. By default, each row is one line.
    """
    texts = list(rows)
    cells = [header, *([in_markdown(text) for text in row] for row in texts)]
    if max_width is not None:
        of_text = max_width - len("| ") - len(" | ") * (len(header) - 1) - len(" |")
        words = [header, *([max(cell.split(" "), key=len) for cell in row] for row in cells[1:])]
        widths = _narrowed(_widths(cells), _widths(words), of_text)
        cells = [header, *(line for row in texts for line in _lines(row, widths))]
    widths = _widths(cells)
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in cells
    ]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join([f"## {title}", "", *lines, ""])


def _widths(cells: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*cells, strict=True)]


def _narrowed(widths: Sequence[int], words: Sequence[int], total: int) -> list[int]:
    """Widths of columns that are no more than a total together: the widest give way, to one width.

    Args:
        widths: what the columns take.
        words: what their longest words take, which stay whole if that can be.
        total: what they may take together.
    """
    least = words if sum(words) <= total else [0] * len(words)
    narrowed, most = list(widths), max(widths)
    while sum(narrowed) > total:
        most -= 1
        narrowed = [max(min(width, most), word) for width, word in zip(widths, least, strict=True)]
    return narrowed


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """A row as rows whose cells have no more than these widths."""
    columns = [_pieces(text, width) for text, width in zip(row, widths, strict=True)]
    return zip_longest(*columns, fillvalue="")


def _pieces(text: str, width: int) -> list[str]:
    """A text as cells of a width, split at its blanks; and within words that are longer than a cell."""
    pieces: list[str] = []
    for word in _words(text, width):
        longer = f"{pieces[-1]} {word}" if pieces else word
        if pieces and len(in_markdown(longer)) <= width:
            pieces[-1] = longer
        else:
            pieces.append(word)
    return [in_markdown(piece) for piece in pieces]


def _words(text: str, width: int) -> Iterator[str]:
    for word in text.split(" "):
        rest = word
        while len(in_markdown(rest)) > width:
            sizes = range(min(width, len(rest) - 1), 1, -1)
            size = next((size for size in sizes if len(in_markdown(rest[:size])) <= width), 1)
            yield rest[:size]
            rest = rest[size:]
        yield rest
