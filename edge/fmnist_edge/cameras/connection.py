"""Opens URLs the way cameras need it: digest login, certificates that no authority signed, no proxy within the local network."""

import hashlib
import ipaddress
import os
import re
import socket
import ssl
from base64 import b64encode
from contextlib import suppress
from email.message import Message
from functools import partial
from http.client import HTTPSConnection
from typing import IO, Any
from urllib.parse import unquote, urlsplit
from urllib.request import (
    BaseHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
    getproxies,
    parse_http_list,
    parse_keqv_list,
    proxy_bypass,
)

from fmnist_edge.address import Address, safe_name
from fmnist_edge.errors import SourceError, UsageError

HASHES = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
"""By the names of RFC 7616, the strongest first."""

LOCAL_NAMES = (".local", ".lan", ".home.arpa", ".internal", ".localhost")


def opener(address: Address, certificate: str | None) -> OpenerDirector:
    """certificate: a PEM file or a SHA-256 that the server has to show. Raises UsageError."""
    handlers: list[BaseHandler] = [HTTPSHandler() if certificate is None else Pinned(fingerprint(certificate))]
    if address.user or address.password:
        handlers.append(Login(address))
    keep_off_proxies(address.host)
    return build_opener(*handlers)


class Login(BaseHandler):
    """Digest (RFC 7616) and basic. Python's own digest knows only MD5 and SHA-1, a single offer, and ASCII."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._user, self._password = unquote(address.user), unquote(address.password)
        self._nonce, self._count = "", 0

    def http_error_401(self, request: Request, file: IO[bytes], code: int, message: str, headers: Message) -> Any:
        """Asks again with a login, once, and only the camera itself, wherever it redirected us."""
        ours, there = urlsplit(self._address.place), urlsplit(f"{request.type}://{request.host}")
        upgraded = (ours.scheme, there.scheme) == ("http", "https")
        same = ours.hostname == there.hostname and (upgraded or (ours.scheme, ours.port) == (there.scheme, there.port))
        if request.has_header("Authorization") or not same:
            return None
        offers = headers.get_all("WWW-Authenticate", [])
        if digests(offers):
            answer = self.answer(digests(offers)[0], request.get_method(), request.selector)
        elif any(re.search(r"\bbasic\b", offer, re.IGNORECASE) for offer in offers):
            answer = "Basic " + b64encode(f"{self._user}:{self._password}".encode()).decode()
        else:
            return None
        file.close()
        request.add_unredirected_header("Authorization", answer)
        return self.parent.open(request, timeout=request.timeout)

    def answer(self, offer: dict[str, str], method: str, path: str) -> str:
        algorithm = offer.get("algorithm", "MD5")
        nonce, realm = offer.get("nonce", ""), offer.get("realm", "")
        self._nonce, self._count = nonce, self._count + 1 if nonce == self._nonce else 1
        count, own = f"{self._count:08x}", os.urandom(8).hex()
        hashed = partial(digest, algorithm)
        who = hashed(self._user, realm, self._password)
        if algorithm.upper().endswith("-SESS"):
            who = hashed(who, nonce, own)
        what = hashed(method, path)
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": path}
        # without qop: RFC 2069, as the oldest cameras
        qop = "auth" if "auth" in re.split(r"[,\s]+", offer.get("qop", "")) else ""
        fields["response"] = hashed(who, nonce, count, own, qop, what) if qop else hashed(who, nonce, what)
        fields |= {name: offer[name] for name in ("opaque",) if name in offer}
        fields |= {"cnonce": own} if qop or algorithm.upper().endswith("-SESS") else {}
        quoted = ", ".join('{}="{}"'.format(name, re.sub(r'(["\\])', r"\\\1", value)) for name, value in fields.items())
        bare = (f", algorithm={algorithm}" if "algorithm" in offer else "") + (f", qop=auth, nc={count}" if qop else "")
        # a header is Latin-1; what is not goes as UTF-8
        return f"Digest {quoted}{bare}".encode().decode("latin-1")


def digests(headers: list[str]) -> list[dict[str, str]]:
    """The digest logins that we support, of all that are offered; the strongest first."""
    offers = []
    for header in headers:
        # several may be in one line
        for text in re.split(r",\s*(?=(?:Basic|Digest)\s)", header, flags=re.IGNORECASE):
            scheme, _, rest = text.strip().partition(" ")
            if scheme.lower() == "digest":
                offers.append(parse_keqv_list([item for item in parse_http_list(rest) if re.search("=.", item)]))
    known = list(HASHES)
    usable = [offer for offer in offers if hash_of(offer.get("algorithm", "MD5")) in known]
    return sorted(usable, key=lambda offer: known.index(hash_of(offer.get("algorithm", "MD5"))))


def hash_of(algorithm: str) -> str:
    name = re.sub("-SESS$", "", algorithm.upper())
    return name if name == "MD5" or HASHES.get(name) in hashlib.algorithms_available else ""


def digest(algorithm: str, *parts: str) -> str:
    return hashlib.new(HASHES[hash_of(algorithm)], ":".join(parts).encode(), usedforsecurity=False).hexdigest()


class Pinned(HTTPSHandler):
    """HTTPS with a server whose certificate is known: it needs no signature, no name and no date."""

    def __init__(self, wanted: str) -> None:
        self._unsigned = ssl.create_default_context()
        self._unsigned.check_hostname, self._unsigned.verify_mode = False, ssl.CERT_NONE
        super().__init__(context=self._unsigned)
        self._wanted = wanted

    def https_open(self, request: Request) -> Any:
        return self.do_open(partial(PinnedConnection, self._wanted), request, context=self._unsigned)


class PinnedConnection(HTTPSConnection):
    def __init__(self, wanted: str, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._wanted = wanted

    def connect(self) -> None:
        """Checks the certificate before anything is sent, such as a password."""
        super().connect()
        shown = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if shown != self._wanted:
            self.close()
            raise SourceError(f"its certificate is not the one that --certificate names; its SHA-256 is {shown}")


def fingerprint(certificate: str) -> str:
    """The SHA-256, in hexadecimal digits, of a certificate in a PEM file, or that is given itself. Raises UsageError."""
    digits = re.sub(r"^sha-?256[ =:]*(?:fingerprint=)?|:", "", certificate.strip(), flags=re.IGNORECASE).lower()
    if re.fullmatch("[0-9a-f]{64}", digits):
        return digits
    try:
        with open(certificate, encoding="ascii") as file:
            found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", file.read(100_000), re.DOTALL)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(found[0] if found else "")).hexdigest()
    except OSError as error:
        raise UsageError(
            f"--certificate {certificate}: no file that can be read ({error.strerror}), nor a SHA-256 of 64 digits"
        ) from None
    except ValueError:
        raise UsageError(f"--certificate {certificate}: there is no certificate in it, as PEM files have one") from None


def distrusted(error: ssl.SSLCertVerificationError, address: Address) -> str:
    """Why a certificate is refused, and what to do."""
    if error.verify_code == 9:  # X509_V_ERR_CERT_NOT_YET_VALID
        return "its certificate is not valid yet by this device's clock; 'timedatectl' says whether the clock is right"
    place = f"{address.host}:{address.port or 443}"
    return (
        f"its certificate can't be trusted ({error.verify_message}); if this is your camera, name it: --certificate SHA-256, "
        f"which 'openssl s_client -connect {place} </dev/null | openssl x509 -noout -fingerprint -sha256' prints"
    )


def keep_off_proxies(host: str) -> None:
    """Makes Python and FFmpeg, in this process, bypass proxies for a host on the local network."""
    host, others = host.strip("[]"), os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    if getproxies() and host not in others.split(",") and is_local(host):
        os.environ["no_proxy"] = ",".join(filter(None, [others, host]))


def proxy(address: Address) -> str | None:
    """The proxy between us and a host; None if there is none."""
    used = getproxies().get(address.scheme)
    return safe_name(used if "://" in used else f"http://{used}") if used and not proxy_bypass(address.host) else None


def is_local(host: str) -> bool:
    """Whether a host is on this network: by its address, its name, or the address behind its name."""
    if ("." not in host and ":" not in host) or host.lower().endswith(LOCAL_NAMES):
        return True
    with suppress(OSError, ValueError):  # behind some proxies names can't be looked up
        numbers = {str(found[4][0]).partition("%")[0] for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
        return not any(ipaddress.ip_address(number).is_global for number in numbers)
    return False
