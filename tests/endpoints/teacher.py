"""A scripted teacher on the loopback: an OpenAI-compatible server that can fail in every way, and counts its calls."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def said(text="Fine.", finish="stop", **more):
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": usage} | more


def listed(*likely):
    """A chat completion whose first token has these likeliest ones, as (token, log-probability)."""
    top = [{"token": token, "logprob": logprob, "bytes": list(token.encode())} for token, logprob in likely]
    first = {"token": top[0]["token"], "logprob": top[0]["logprob"], "top_logprobs": top} if top else {}
    choice = {"message": {"content": "A"}, "finish_reason": "length", "logprobs": {"content": [first]}}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}


def scoring(handler):
    """A step: like vLLM, token ids at /tokenize, and at /v1/completions the prompt's log-probabilities with one more.

    A token is a letter; its log-probability is minus its id over the number of the tokens before it.
    """
    path, _, body = handler.server.bodies_of[threading.get_ident()]
    if path == "/tokenize":
        turns = [f"<{m['role']}>{m['content']}" for m in body.get("messages", ())]
        text = "".join(turns) + "<assistant>" if turns else body["prompt"]
        send(handler, 200, {}, {"count": len(text), "max_model_len": 512, "tokens": list(map(ord, text))})
        return
    ids = body["prompt"]
    values = [None, *(-ids[i] / i for i in range(1, len(ids))), -0.5]
    tokens = [*map(chr, ids), "x"]
    choice = {"text": "".join(tokens), "logprobs": {"tokens": tokens, "token_logprobs": values, "top_logprobs": []}}
    send(handler, 200, {}, {"choices": [choice], "usage": {"prompt_tokens": len(ids), "completion_tokens": 1}})


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
        self.bodies_of = {}
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def handle_error(self, request, client_address):
        """Connections that the client cut are part of the play."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = body["messages"][-1]["content"] if "messages" in body else str(body["prompt"])
        with self.server.lock:
            self.server.bodies.append((self.path, dict(self.headers), body))
            self.server.bodies_of[threading.get_ident()] = self.server.bodies[-1]
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
