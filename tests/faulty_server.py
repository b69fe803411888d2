"""An HTTP server on loopback that serves given bytes, and misbehaves as told."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """What a server serves and how it misbehaves.

    `files` maps a path to its bytes, `faults` a path to a set of words (below); `requests` collects (path, headers, status).

    breaks         the first answer ends in its middle
    always-breaks  every answer brings 1,000 bytes, then ends
    dead           every answer ends before its first byte
    no-range       ignores the header Range
    wrong-range    answers a Range from another byte than asked
    wrong-byte     one byte is another
    too-long       ten bytes more than there should be
    no-browser     403 unless the client calls itself Mozilla
    busy           503 to the first two requests
    patient        and says to come back after 7 seconds
    moved          302 to the same address with "there" behind it
    web-page       200 and an HTML page
    new-version    another ETag and other bytes from the second request on
    no-etag        nothing tells one version from another
    gzip           says Content-Encoding: gzip, as servers do that take a .gz for an encoding
    """

    def __init__(self, files, faults):
        self.files, self.faults, self.requests = files, faults, []

    def count(self, path):
        return sum(asked == path for asked, _, _ in self.requests)


def _handler(site):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            faults, earlier = site.faults.get(self.path, set()), site.count(self.path)
            status, body, headers = self._answer(faults, earlier)
            site.requests.append((self.path, dict(self.headers), status))
            self.send_response(status)
            headers = {"Content-Length": len(body), "Connection": "close"} | headers
            for name, value in headers.items():
                self.send_header(name, str(value))
            self.end_headers()
            if "dead" in faults:
                body = b""
            elif "always-breaks" in faults:
                body = body[:1000]
            elif "breaks" in faults and not earlier:
                body = body[: len(body) // 2]
            self.wfile.write(body)
            self.close_connection = True

        def _answer(self, faults, earlier):
            if self.path not in site.files:
                return 404, b"not here", {}
            if "no-browser" in faults and not self.headers["User-Agent"].startswith("Mozilla/"):
                return 403, b"go away", {}
            if "moved" in faults:
                return 302, b"over there", {"Location": f"{self.path}there"}
            if "busy" in faults and earlier < 2:
                return 503, b"later", {"Retry-After": "7"} if "patient" in faults else {}
            if "web-page" in faults:
                kind = {"Content-Type": "text/html; charset=utf-8"}
                return 200, b"<html>please sign in</html>", kind
            body, tag = site.files[self.path], '"first"'
            if "new-version" in faults and earlier:
                body, tag = body[::-1], '"second"'
            if "wrong-byte" in faults:
                body = body[:-1] + bytes([body[-1] ^ 1])
            if "too-long" in faults:
                body += b"0123456789"
            headers = {"Content-Type": "application/octet-stream"}
            if "no-etag" not in faults:
                headers["ETag"] = tag
            if "gzip" in faults:
                headers["Content-Encoding"] = "gzip"
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            same = self.headers.get("If-Range") in (None, tag)
            if not asked or "no-range" in faults or not same:
                return 200, body, headers
            start = int(asked[1])
            if start >= len(body):
                return 416, b"", headers | {"Content-Range": f"bytes */{len(body)}"}
            if "wrong-range" in faults:
                start -= 1
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return 206, body[start:], headers

    return Handler


@contextmanager
def serving(files, faults=None):
    """Serve path -> bytes; give the address and the site."""
    site = Site(files, faults or {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
