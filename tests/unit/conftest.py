"""A server on this machine: the only network of these tests."""

import http.server
import threading

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (path to content); `promised` overrides a Content-Length."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.promised, self.requests = {}, {}, []
        self.knows_ranges = True

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.lstrip("/")
        asked = self.headers["Range"] if self.server.knows_ranges else None
        self.server.requests.append(f"{path} {asked}" if asked else path)
        content = self.server.files.get(path)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        status = 404 if content is None else 206 if asked else 200
        content = (content or b"")[start:]
        self.send_response(416 if asked and not content else status)
        self.send_header("Content-Length", str(self.server.promised.get(path, len(content))))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
