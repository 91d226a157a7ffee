"""Addresses of cameras, ``rtsp://USER:PASSWORD@HOST:PORT/PATH?QUERY``: their parts, and what of them may be shown.

Passwords stand before the host, in the query, and with some cameras in the path. None of them is ever shown.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from fmnist_edge.errors import UsageError, first_line

HIDDEN = "***"

SCHEME = re.compile(r"([A-Za-z][\w+.-]*)://")
HOST_AND_PORT = re.compile(r"([\w.~%-]+|\[[0-9A-Fa-f:.]+(?:%[\w.~-]+)?\])(?::(\d{0,5}))?")
SECRET = re.compile(r"(?:pas|pwd|pw|psw|token|key|secret|auth)[^=/?&;]*(?:=|%3D)", re.IGNORECASE)
"""How a password begins in a path or query. Where it ends nobody knows: it may hold any character."""

MISPLACED = re.compile(r":[^@]*@|(?::|//|&).*" + SECRET.pattern, re.IGNORECASE)
"""What a file's name hardly has, but an address with a slip in its beginning."""

PRINTABLE = "".join(map(chr, range(33, 127)))
"""What stands in a request as it is."""

SHORTEST = 3
"""Characters of a secret that is looked for in other people's words: shorter ones are in all of them."""


class Address(NamedTuple):
    """user, password: as written, with their %2F. port: "" if none is named. rest: path, query and fragment."""

    scheme: str
    user: str
    password: str
    host: str
    port: str
    rest: str

    @property
    def place(self) -> str:
        return f"{self.scheme}://{self.host}{f':{self.port}' if self.port else ''}"


def is_address(source: str) -> bool:
    return bool(SCHEME.match(source))


def parse(source: str) -> Address:
    """The parts of an address. Raises UsageError if it is none, or could be read in two ways.

    Without urllib's: it quotes passwords in its errors, and drops tabs.
    """
    begin = SCHEME.match(source)
    if not begin:
        raise UsageError("an address begins as in rtsp://HOST/ or http://HOST/")
    authority, rest = re.fullmatch(r"([^/?#]*)(.*)", source[begin.end() :], re.DOTALL).groups()  # type: ignore[union-attr]
    login, at, place = authority.rpartition("@")
    found = HOST_AND_PORT.fullmatch(place)
    # is it "HOST:80/a@b", or "USER:80/a@HOST" with a slash in its password? In what is named a password, an @ is no doubt
    number, named = found and is_number(found[1]), "@" not in SECRET.split(rest)[0]
    doubtful = "@" in rest and bool(at or not (number or (named and ":" not in authority)))
    if not found or doubtful:
        raise UsageError(
            f"{begin[1]}://{HIDDEN}: what stands before the path is no host; "
            "write / # ? in a password as %2F %23 %3F, and @ as %40, in a path too"
        )
    user, _, password = login.partition(":")
    return Address(begin[1].lower(), user, password, found[1], found[2] or "", rest)


def is_number(host: str) -> bool:
    """Whether a host is written as an IP address."""
    import ipaddress  # each command imports this file, and most have no address

    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def safe_name(source: str) -> str:
    """What a source is called in every output: scheme, host, port, and the path up to a password. A file's name as it is."""
    if not is_address(source):
        return HIDDEN if MISPLACED.search(source) else source
    try:
        address = parse(source)
    except UsageError:
        return f"{source.partition('://')[0]}://{HIDDEN}"
    path = re.split("[?#]", address.rest, maxsplit=1)[0]
    if found := SECRET.search(path):
        path = path[: found.end()] + HIDDEN
    return address.place + (f"/{HIDDEN}" if "@" in path else path)


def scrub(text: str, source: str) -> str:
    """What a library or a server says, without what is secret in a source, however it may be quoted there."""
    if safe_name(source) == source:
        return text
    rest = source.partition("://")[2] or source
    login, at, behind = rest.rpartition("@")
    secrets = {source, rest, f"{login}{at}", login, rest.partition(":")[2]}
    secrets |= {login.partition(":")[2], login.rpartition(":")[2]}
    for part in (behind, unquote(behind), rest, unquote(rest)):
        # the query's values, and the path's from a password on
        if found := re.search(rf"[?#]|{SECRET.pattern}", part, re.IGNORECASE):
            secrets |= {part[found.start() :], part[found.end() :], *re.split("[=&;_?#/]", part[found.end() :])}
    secrets |= {unquote(secret) for secret in secrets}
    # as libraries quote an address: not at all, once more, most of it, or all
    kept = (PRINTABLE, PRINTABLE.replace("%", ""), ":/?&=@#;", "")
    secrets |= {quote(secret, safe=safe, errors="surrogateescape") for secret in secrets for safe in kept}
    secrets |= {repr(secret)[1:-1] for secret in secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = re.sub(re.escape(secret), HIDDEN, text, flags=re.IGNORECASE)
    return text


def heard(said: object, source: str) -> str:
    """What a library or a camera says, in one line and without the source's secrets."""
    return first_line(scrub(str(said).strip(), source) or type(said).__name__)


def mask_addresses(text: str) -> str:
    """A text that may quote what the user typed, such as an error of the command line's parser."""
    return re.sub(r"[A-Za-z][\w+.-]*://.*", lambda found: safe_name(found[0]), text, flags=re.DOTALL)
