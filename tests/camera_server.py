"""A camera on the network that tests can unplug, stall and break: MJPEG over HTTP, as IP cameras send it."""

import io
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


def jpeg(colour: tuple[int, int, int] = (200, 0, 0), size: tuple[int, int] = (320, 240)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "jpeg")
    return file.getvalue()


class CameraServer:
    """Sends ``picture`` (bytes) ``fps`` times a second to who asks for /stream, once for /picture. Use it with ``with``."""

    def __init__(self, picture: bytes | None = None, fps: float = 30) -> None:
        self.picture, self.fps, self.sent = picture or jpeg(), fps, 0
        self.stalled = False
        self.password: str | None = None
        self.port = 0
        self.plug_in()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plug_in(self) -> None:
        self._connections: set[socket.socket] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def unplug(self) -> None:
        self._server.shutdown()
        for connection in list(self._connections):
            connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "CameraServer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.unplug()

    def _handler(camera) -> type[BaseHTTPRequestHandler]:  # noqa: N805, the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                camera._connections.add(self.connection)
                try:
                    self.answer()
                except OSError:  # who asked has gone, or we are unplugged
                    pass
                finally:
                    camera._connections.discard(self.connection)

            def answer(self) -> None:
                if camera.password and self.headers["Authorization"] != camera.password:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                elif self.path == "/page":
                    self.send("text/html", b"<p>Please log in</p>")
                elif self.path == "/picture":
                    self.send("image/jpeg", camera.picture)
                    camera.sent += 1
                elif self.path == "/stream":
                    self.stream()
                else:
                    self.send_error(404)

            def send(self, kind: str, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(content)

            def stream(self) -> None:
                self.send("multipart/x-mixed-replace; boundary=frame", b"")
                while True:
                    while camera.stalled:
                        time.sleep(0.01)
                        self.connection.getpeername()
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(camera.picture)
                    self.wfile.write(head + camera.picture + b"\r\n")
                    camera.sent += 1
                    time.sleep(1 / camera.fps)

        return Handler
