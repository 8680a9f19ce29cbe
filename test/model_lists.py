"""Lists of models for tests, and a server on this machine that lies about them as it is told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml


def write_list(path: Path, *entries: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"models": list(entries)}))
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Server:
    """What a GET is answered with, and how often it was asked."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}/model.onnx"
        self.body = b"weights " * 1000
        self.sent: bytes | None = None  # instead of the body, below its headers
        self.announces = True
        self.status, self.location = 200, ""
        self.waits = threading.Event()
        self.waits.set()
        self.asked = 0


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            told.asked += 1
            self.send_response(told.status)
            if told.location:
                self.send_header("Location", told.location)
                told.status, told.location = 200, ""
            if told.announces:
                self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            told.waits.wait(10)
            self.wfile.write(told.body if told.sent is None else told.sent)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    told = Server(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield told
    finally:
        told.waits.set()
        server.shutdown()
        thread.join()
        server.server_close()
