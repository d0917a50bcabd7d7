"""A web server on loopback for a folder, that can be told to misbehave."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class Web(ThreadingHTTPServer):
    """Serves a folder.

    `answer(path)` gives a status, "hang", "cut" (an answer that breaks off) or None, for what is there.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, folder, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.folder, self.answer, self.ranges = Path(folder), lambda path: None, True
        self.asked, self.at_once, self.most = [], 0, 0
        self.counting, self.ended = threading.Lock(), threading.Event()
        self.meeting = None

    def handle_error(self, *_):
        """Say nothing of clients that have gone."""

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        web = self.server
        path = unquote(self.path).lstrip("/")
        with web.counting:
            web.asked.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
            web.at_once += 1
            web.most = max(web.most, web.at_once)
        try:
            if web.meeting is not None:
                web.meeting(path)
            self.answer(web, path)
        finally:
            with web.counting:
                web.at_once -= 1

    do_HEAD = do_GET

    def answer(self, web, path):
        wanted, file = web.answer(path), web.folder / path
        if wanted == "hang":
            web.ended.wait(60)
            self.close_connection = True
        elif not isinstance(wanted, int) and not file.is_file():
            self.send_error(404)
        elif isinstance(wanted, int):
            self.send_error(wanted)
        else:
            self.give(file.read_bytes(), wanted == "cut")

    def give(self, data, cut):
        start, stop, size = 0, len(data), len(data)
        asked = self.headers.get("Range", "") if self.server.ranges else ""
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(0, size - int(last))
            stop = min(size, int(last) + 1) if first and last else size
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[start : start + (stop - start) // 2] if cut else data[start:stop])
        self.close_connection = self.close_connection or cut


@contextmanager
def serving(folder, port=0):
    """Serve a folder while the block runs."""
    web = Web(folder, port)
    thread = threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        stop(web)
        thread.join()


def stop(web):
    """End a server: from then on connections are refused."""
    web.ended.set()
    web.shutdown()
    web.server_close()
