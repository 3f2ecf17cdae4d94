"""A stretch of wire between a client and a server that can be cut.

It passes bytes on and knows nothing of what they mean, so encryption goes
through untouched. Cut, every connection ends at once; while it is held, new ones
are taken and wait.
"""

import contextlib
import socket
import threading


class Wire:
    """Listens on a loopback port and passes on to another."""

    def __init__(self, port):
        self.port = port
        self.open = threading.Event()
        self.open.set()
        self.ends = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def address(self):
        """Where a client connects."""
        return f"https://127.0.0.1:{self.listener.getsockname()[1]}"

    def cut(self):
        """Ends every connection there is."""
        with self.lock:
            ends, self.ends = self.ends, set()
        for end in ends:
            # Shut down first: a thread that reads from it wakes only by that.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def hold(self):
        """Lets new connections wait from now on."""
        self.open.clear()

    def release(self):
        """Lets them through."""
        self.open.set()

    def close(self):
        """Ends everything."""
        self.listener.close()
        self.cut()

    def _listen(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        self.open.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            client.close()
            return
        with self.lock:
            self.ends |= {client, server}
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
