"""SHA-256 without OpenSSL: with hashlib a cold start takes 4 MB and 6 ms more. Python's own ``random`` avoids it in this way."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256  # until Python 3.11
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
