"""Reports as Markdown, for a pull request or a CI run's summary; they read well in a terminal too. Pure."""

from collections.abc import Iterable, Sequence

from .escaping import in_markdown


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with aligned columns, under a heading. Its cells are shown as they are: none of them acts.

    Args:
        title: of the heading.
        header: the names of the columns.
        rows: as many cells each.
    """
    cells = [header, *([in_markdown(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in cells
    ]
    lines.insert(1, f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join([f"## {title}", "", *lines, ""])
