"""The token that opens the page to other machines. It is made once, in a file that only the page's user can read."""

import hashlib
import hmac
import os
import re
import secrets
import sys
import tempfile
from pathlib import Path

from fmnist_edge.errors import FmnistEdgeError
from fmnist_edge.files import sync

NAME = "page-token"

VARIABLE = "FMNIST_EDGE_PAGE_TOKEN"
"""An environment variable with a token of the user's own. Only the user and root can read it."""

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,}")
"""Safe in a link, and too long to be guessed."""


class Secret:
    """A token, and the cookie that a browser gets instead of it. The token can't be computed from the cookie."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.cookie = hmac.digest(token.encode(), b"fmnist-edge's cookie", "sha256").hex()

    def opens(self, token: str) -> bool:
        return same(token, self.token)

    def is_cookie(self, cookie: str) -> bool:
        return same(cookie, self.cookie)


def same(given: str, known: str) -> bool:
    """Compares in constant time, whatever the texts' lengths."""
    hashes = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, known))
    return hmac.compare_digest(*hashes)


def find_secret() -> tuple[Secret, Path, bool]:
    """The token, its file, and whether it is new.

    It comes from the environment, or else from a file in the page's folder. Raises FmnistEdgeError.
    """
    if token := os.environ.get(VARIABLE):
        return checked(token, f"${VARIABLE}"), Path(f"${VARIABLE}"), False
    path = state_folder() / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make_secret(path)
    except OSError as error:
        raise FmnistEdgeError(f"{path}: the page's token can't be saved there ({error.strerror})") from None
    return read_secret(path), path, made


def make_secret(path: Path) -> bool:
    """Writes a new token if there is none. A power cut leaves a whole token or none. Returns whether it wrote. Raises OSError."""
    if path.exists() and path.stat().st_size:
        return False
    descriptor, part = tempfile.mkstemp(".part", f"{NAME}.", path.parent)  # which only its user may read
    try:
        with open(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(16) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if path.exists() and not path.stat().st_size:  # left by a power cut
            path.unlink()
        os.link(part, path)
    except FileExistsError:  # another page was first
        return False
    finally:
        os.unlink(part)
    sync(path.parent)
    return True


def read_secret(path: Path) -> Secret:
    try:
        path.chmod(0o600)
        token = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise FmnistEdgeError(f"{path}: the page's token can't be read ({getattr(error, 'strerror', error)})") from None
    return checked(token, f"{path}")


def checked(token: str, place: str) -> Secret:
    """The token as a Secret. Raises FmnistEdgeError if it is too short, or not safe in a link."""
    if not TOKEN.fullmatch(token):
        raise FmnistEdgeError(
            f"{place}: a token needs at least 16 characters, only letters, digits and -._~; remove it to get a new one"
        )
    return Secret(token)


def state_folder() -> Path:
    """The folder that systemd makes for the unit's ``StateDirectory=fmnist-edge``, or else one of the user's."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fmnist-edge"


def announce(link: str, secret: Secret | None, path: Path | None, made: bool) -> None:
    """Prints the page's address. The token is shown once, and only on a terminal: others can read a journal."""
    if secret is None:
        print(link, flush=True)
    elif made and sys.stdout is not None and sys.stdout.isatty():
        import segno

        whole = f"{link}?token={secret.token}"
        segno.make(whole, error="l").terminal(compact=True)
        print(f"{whole}\nThis link opens the page on other devices. It is shown once; the token stays in {path}", flush=True)
    else:
        print(f"{link}?token=...  (the token is in {path})", flush=True)
