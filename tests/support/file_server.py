"""A real HTTP server with some files, that behaves well, badly, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Server:
    """An HTTP server with files. ``ranges`` lists the Range header of each request."""

    files: dict[str, bytes]
    url: str = ""
    cut_after: int | None = None
    """Bytes after which each answer breaks off."""
    plain: bool = False
    """Each answer is a whole file, whatever was asked for, and does not say how long it is."""
    ranges: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    def __init__(self, server: Server, *arguments: object) -> None:
        self.mine = server
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.mine.ranges.append(asked)
        asked = None if self.mine.plain else asked
        content = self.mine.files.get(self.path.removeprefix("/"))
        if content is None:
            return self.send_error(404)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if asked else 200)
        if not self.mine.plain:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = len(content) if self.mine.cut_after is None else start + self.mine.cut_after
        self.wfile.write(content[start:end])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Server]:
    mine = Server(files)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, mine))
    mine.url = f"http://127.0.0.1:{http.server_port}/"
    Thread(target=http.serve_forever, args=[0.01], daemon=True).start()  # how long shutdown() may wait
    yield mine
    http.shutdown()
