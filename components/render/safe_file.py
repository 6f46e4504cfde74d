"""Files written so that nobody who can write to their folder leads the text elsewhere."""

import secrets
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Put a text in a file's place in one step, as UTF-8; of a link, in the link's place.

    Raises:
        OSError: the folder cannot be written to.
    """
    # "x" opens no file and no link that is there already, under a name that nobody can know before.
    temporary = path.with_name(f".astra-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
