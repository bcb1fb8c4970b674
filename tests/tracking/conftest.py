import contextlib
import select
import socket
import sys
import threading
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
from servers import MlflowServer


class Line:
    """The wire between the clients and a server, which can be cut."""

    def __init__(self, port):
        self._server = port
        self._listener = None
        self._ends = []
        self._answers = None
        self.mend()
        self.port = self._listener.getsockname()[1]

    @property
    def uri(self):
        return f"http://127.0.0.1:{self.port}"

    def cut(self):
        """Refuse connections, and break those there are."""
        listener, self._listener = self._listener, None
        ends, self._ends = self._ends, []
        for end in [listener, *ends]:
            with contextlib.suppress(OSError, AttributeError):
                end.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError, AttributeError):
                end.close()

    def mend(self, *, answers=None):
        """Be whole again; with ``answers``, lose what the server says after so many of its messages, and break."""
        self._answers = answers
        if self._listener is None:
            port = getattr(self, "port", 0)
            self._listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
            threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()

    def _listen(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            self._ends += [client, server]
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client, server):
        with contextlib.suppress(OSError, ValueError):
            while True:
                for end in select.select([client, server], [], [])[0]:
                    said = end.recv(1 << 16)
                    if end is server and said and self._answers is not None:
                        self._answers -= 1
                        if self._answers < 0:
                            self.cut()
                            return
                    if not said:
                        client.close()
                        server.close()
                        return
                    (server if end is client else client).sendall(said)


@pytest.fixture(scope="session")
def server_port(tmp_path_factory, migrated_store):
    """The port of an MLflow server."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.db").write_bytes(migrated_store.read_bytes())
    server = MlflowServer(folder, f"sqlite:///{folder}/server.db").start()
    yield server.port
    server.stop()


@pytest.fixture
def line(server_port, monkeypatch):
    """The wire to a server; clients do not wait for one that is away."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    line = Line(server_port)
    yield line
    line.cut()
