"""A camera on the network that tests can unplug, stall and break: MJPEG over HTTP, as IP cameras send it."""

import io
import re
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
import numpy as np
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
        self.source = f"{self.address}/stream"

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
            with suppress(OSError):  # the other side may have gone
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "CameraServer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.unplug()

    def _handler(camera) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                camera._connections.add(self.connection)
                with suppress(OSError):  # who asked has gone, or we are unplugged
                    self.answer()
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
                elif self.path == "/pictures.jpg":
                    self.send("application/octet-stream", 10 * camera.picture)
                    camera.sent += 1
                elif self.path.startswith("/stream"):
                    self.stream()
                elif self.path == "/slow":
                    self.stall()
                else:
                    self.send_error(404)

            def stall(self) -> None:
                while camera.stalled:
                    time.sleep(0.01)

            def send(self, kind: str, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(content)

            def stream(self) -> None:
                self.send("multipart/x-mixed-replace; boundary=frame", b"")
                while True:
                    self.stall()
                    picture = camera.picture
                    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
                    self.wfile.write(head + picture + b"\r\n")
                    camera.sent += 1
                    time.sleep(1 / camera.fps)

        return Handler


class RtspServer(socketserver.ThreadingTCPServer):
    """An IP camera: H.264 over RTSP (RFC 2326), the packets (RFC 6184) in the same connection. Use it with ``with``."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), RtspConnection)
        self.stalled = False
        self.source = f"rtsp://127.0.0.1:{self.server_address[1]}/live"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *exc: Any) -> None:
        self.shutdown()
        super().__exit__(*exc)


class RtspConnection(socketserver.StreamRequestHandler):
    server: RtspServer
    SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:0\r\n"

    def handle(self) -> None:
        with suppress(OSError):  # who watched has gone
            self.answer_requests()

    def answer_requests(self) -> None:
        while line := self.rfile.readline():
            headers = {}
            while header := self.rfile.readline().strip():
                name, _, value = header.decode().partition(": ")
                headers[name.lower()] = value
            method = line.split()[0].decode()
            body = self.SDP if method == "DESCRIBE" else b""
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\nSession: 1\r\nContent-Length: {len(body)}\r\n"
            answer += "Content-Type: application/sdp\r\n" if body else ""
            answer += f"Transport: {headers['transport']}\r\n" if "transport" in headers else ""
            self.wfile.write(f"{answer}\r\n".encode() + body)
            if method == "PLAY":
                self.play()

    def play(self) -> None:
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = 320, 240, "yuv420p", 30
        encoder.options, encoder.gop_size = {"tune": "zerolatency"}, 15
        sequence = 0
        for number in range(10**6):
            while self.server.stalled:
                time.sleep(0.01)
            frame = av.VideoFrame.from_ndarray(np.full((240, 320, 3), (200, 0, 0), np.uint8), format="rgb24")
            stream = b"".join(map(bytes, encoder.encode(frame)))
            units = [unit for unit in re.split(rb"\x00\x00\x00?\x01", stream) if unit]
            for unit in units:
                last = 0x80 if unit is units[-1] else 0
                packet = struct.pack(">BBHII", 0x80, last | 96, sequence & 0xFFFF, number * 3000, 1) + unit
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
            time.sleep(1 / 30)


@contextmanager
def answering(respond: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that answers as ``respond`` does; its address without the scheme."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            with suppress(OSError):  # who asked has gone
                respond(self)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def send_forever(handler: BaseHTTPRequestHandler, kind: str | None, part: bytes, begin: bytes = b"") -> None:
    """A stream of the same part, over and over."""
    send_once(handler, kind, begin)
    while True:
        handler.wfile.write(part)
        time.sleep(0.03)


def send_once(handler: BaseHTTPRequestHandler, kind: str | None, content: bytes) -> None:
    handler.send_response(200)
    if kind:
        handler.send_header("Content-Type", kind)
    handler.end_headers()
    handler.wfile.write(content)
