"""A scripted teacher on the loopback: an OpenAI-compatible server that can fail in every way, and counts its calls."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def said(text="Fine.", finish="stop", **more):
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage} | more


class Teacher(ThreadingHTTPServer):
    """Plays one step of the script per request of a prompt, the last one again and again; counts calls per prompt.

    A step is (status, headers, body); a body that is no bytes is sent as JSON; a callable is given the handler.
    """

    daemon_threads = True

    def __init__(self, *script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.calls = Counter()
        self.bodies = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def handle_error(self, request, client_address):
        """Connections that the client cut are part of the play."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.bodies.append((self.path, dict(self.headers), body))
            self.server.calls[prompt] += 1
            step = self.server.script[min(self.server.calls[prompt], len(self.server.script)) - 1]
        if callable(step):
            step(self)
        else:
            send(self, *step)

    def log_message(self, format, *args):
        """Silence."""


def send(handler, status, headers, content):
    """Reply to a request; content that is no bytes goes as JSON."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    for name, value in ({"content-length": str(len(content))} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


OK = (200, {}, said())
