"""A tiny HTTP server whose numbers a test sets; Argo's metric providers ask it.

`/error-rate` answers JSON for the web provider. `/api/v1/query` answers in the
form of Prometheus (GET and POST) for the Prometheus provider.
"""

import json
import time
import urllib.parse

from support import loopback


class MetricSource(loopback.Loopback):
    """Serves `error_rate` and `vector` (a list of numbers, empty for no data).

    `vectors` answers queries that hold one of its keys instead.
    """

    def __init__(self):
        self.error_rate = 0.01
        self.vector = [0.2]
        self.vectors = {}
        source = self

        class Handler(loopback.Handler):
            protocol_version = "HTTP/1.1"
            form = ""

            def do_GET(self):  # noqa: N802  the name is the library's
                if self.path.startswith("/error-rate"):
                    self.tell({"errorRate": source.error_rate})
                elif self.path.startswith("/api/v1/query"):
                    now = time.time()
                    query = urllib.parse.unquote_plus(self.path + self.form)
                    vector = next((found for key, found in source.vectors.items() if key in query), source.vector)
                    result = [{"metric": {}, "value": [now, str(value)]} for value in vector]
                    self.tell({"status": "success", "data": {"resultType": "vector", "result": result}})
                else:
                    self.send_error(404)

            def do_POST(self):  # noqa: N802
                self.form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self.do_GET()

            def tell(self, data):
                self.reply("application/json", json.dumps(data))

        self.serve(Handler)
