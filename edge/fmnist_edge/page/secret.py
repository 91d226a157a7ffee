"""The token that opens the page to others than this machine's users: made once, kept where only the page's user reads it."""

import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path

from fmnist_edge.errors import FmnistEdgeError

NAME = "page-token"

SHORTEST = 16
"""Characters of a token that somebody else chose: no fewer can't be guessed."""


class Secret:
    """A token, and what a browser gets in its place: a cookie from which the token can't be found."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.cookie = hmac.digest(token.encode(), b"fmnist-edge's cookie", "sha256").hex()

    def opens(self, token: str) -> bool:
        return same(token, self.token)

    def is_cookie(self, cookie: str) -> bool:
        return same(cookie, self.cookie)


def same(given: str, known: str) -> bool:
    """In the same time whatever is given, of whatever length."""
    hashes = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, known))
    return hmac.compare_digest(*hashes)


def find_secret() -> tuple[Secret, Path, bool]:
    """The token, its file, and whether it was made just now.

    It comes from systemd's credentials, else it is kept in the page's folder. Raises FmnistEdgeError.
    """
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        given = Path(credentials, NAME)
        if given.exists():
            return read_secret(given), given, False
    path = state_folder() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return read_secret(path), path, False
    except OSError as error:
        raise FmnistEdgeError(f"{path}: the page's token can't be kept there ({error.strerror})") from None
    token = secrets.token_urlsafe(16)
    with open(descriptor, "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    return Secret(token), path, True


def read_secret(path: Path) -> Secret:
    try:
        if path.parent == state_folder():
            path.chmod(0o600)
        token = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise FmnistEdgeError(f"{path}: the page's token can't be read ({getattr(error, 'strerror', error)})") from None
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable():
        raise FmnistEdgeError(f"{path}: a token has {SHORTEST} ASCII characters at least; remove the file, and a new one is made")
    return Secret(token)


def state_folder() -> Path:
    """What systemd makes of the unit's ``StateDirectory=fmnist-edge``, or the user's own."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fmnist-edge"


def announce(link: str, secret: Secret | None, path: Path | None, made: bool) -> None:
    """Says where the page is. The token is shown once, on a terminal alone: a journal is read by others."""
    if secret is None:
        print(link, flush=True)
    elif made and sys.stdout is not None and sys.stdout.isatty():
        import segno

        whole = f"{link}?token={secret.token}"
        segno.make(whole, error="l").terminal(compact=True)
        print(f"{whole}\nThis link opens the page on other devices. It is shown once; the token stays in {path}", flush=True)
    else:
        print(f"{link}?token=...  (the token is in {path})", flush=True)
