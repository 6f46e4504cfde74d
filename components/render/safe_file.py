"""Files written so that nobody who can write to their folder leads the text elsewhere."""

import secrets
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Put a text in a file's place in one step, as UTF-8. If a link is there, it replaces the link itself.

    Raises:
        OSError: the folder cannot be written to.
    """
    # "x" refuses to open a file or link that is there already, and nobody can guess the name to plant one.
    temporary = path.with_name(f".astra-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
