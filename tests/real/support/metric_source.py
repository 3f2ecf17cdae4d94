"""A tiny HTTP server whose numbers a test sets; Argo's metric providers ask it.

`/error-rate` answers JSON for the web provider. `/api/v1/query` answers in the
form of Prometheus (GET and POST) for the Prometheus provider.
"""

import http.server
import json
import threading
import time
import urllib.parse


class MetricSource:
    """Serves `error_rate` and `vector` (a list of numbers, empty for no data).

    `vectors` answers queries that hold one of its keys instead.
    """

    def __init__(self):
        self.error_rate = 0.01
        self.vector = [0.2]
        self.vectors = {}
        source = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            form = ""

            def do_GET(self):  # noqa: N802  the name is the library's
                if self.path.startswith("/error-rate"):
                    self.reply({"errorRate": source.error_rate})
                elif self.path.startswith("/api/v1/query"):
                    now = time.time()
                    query = urllib.parse.unquote_plus(self.path + self.form)
                    vector = next((found for key, found in source.vectors.items() if key in query), source.vector)
                    result = [{"metric": {}, "value": [now, str(value)]} for value in vector]
                    self.reply({"status": "success", "data": {"resultType": "vector", "result": result}})
                else:
                    self.send_error(404)

            def do_POST(self):  # noqa: N802
                self.form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self.do_GET()

            def reply(self, data):
                body = json.dumps(data).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stops serving."""
        self.server.shutdown()
        self.server.server_close()
