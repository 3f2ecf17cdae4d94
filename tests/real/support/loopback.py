"""A small HTTP server on loopback, for what a test plays to a program."""

import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers in one piece and keeps quiet about it."""

    def reply(self, content_type, text):
        """Status 200 with this text."""
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Loopback:
    """Something that serves until it is closed."""

    def serve(self, handler):
        """Begins to serve, on a free port."""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Stops serving."""
        self.server.shutdown()
        self.server.server_close()
