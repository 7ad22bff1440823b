"""Requests to a server: one retry layer, many at a time, and nothing lost that is paid for when a run ends."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import httpx

from stillhouse.endpoints.retry import MAX_WAIT, backoff, told_to_wait
from stillhouse.errors import ConfigError, Resumable, StillhouseError

MAX_BODY = 4_000_000
"""Most bytes of a reply that are read."""

AHEAD = 2
"""Jobs in hand for each that can be under way, so that none waits while an answer is written down."""

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status (0: nothing usable came), headers, body; `error` says what is wrong with it."""

    status: int
    body: bytes
    headers: dict[str, str]
    error: str = ""

    @property
    def transient(self) -> bool:
        return self.status in (0, 408, 409, 429) or self.status >= 500


class Client:
    """Posts JSON to a server, each request up to `tries` times, `concurrency` of them at a time.

    Raises ConfigError when the key or the quota is refused (401, 403, insufficient_quota), Resumable when the server
    cannot be reached or asks for more patience than MAX_WAIT seconds. The key is in no message.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str = "",
        timeout: float = 120.0,
        tries: int = 5,
        concurrency: int = 8,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`timeout`: seconds for one try as a whole. `sleep` replaces the waiting between tries (for tests)."""
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ConfigError("The server's address must look like http://host:port/v1: set base_url to such a one.")
        self.place = f"{url.scheme}://{url.netloc.decode()}{url.path.rstrip('/')}"
        self._base = url
        self._key = api_key
        self._timeout = timeout
        self._tries = tries
        self._concurrency = concurrency
        self._halt = threading.Event()
        self._sleep = sleep or self._halt.wait
        self._client = httpx.Client(timeout=timeout, limits=httpx.Limits(max_connections=concurrency))

    def each(
        self, do: Callable[[Job], Result | None], jobs: Iterable[Job], halt: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[int, Result]]:
        """Do all jobs, many at a time; yields (index of the job, result) as they end.

        When something ends the run, `halt` and Ctrl+C too, the jobs under way are still yielded: they are paid for.
        """
        self._halt.clear()
        failure: BaseException | None = None
        left = iter(enumerate(jobs))
        running: dict[Future[Result | None], int] = {}
        with ThreadPoolExecutor(self._concurrency) as pool:
            try:
                while True:
                    try:
                        if failure is None and not halt():
                            for i, job in islice(left, AHEAD * self._concurrency - len(running)):
                                running[pool.submit(do, job)] = i
                        else:
                            self._halt.set()
                            running = {future: i for future, i in running.items() if not future.cancel()}
                        if not running:
                            break
                        done, _ = wait(running, return_when=FIRST_COMPLETED)
                    except KeyboardInterrupt as interrupt:
                        failure = interrupt
                        continue
                    for future in done:
                        i, failure = running.pop(future), failure or future.exception()
                        result = None if future.exception() else future.result()
                        if result is not None:
                            yield i, result
            finally:
                self._halt.set()
                pool.shutdown(wait=False, cancel_futures=True)
        if failure is not None:
            raise failure

    def post(self, path: str, body: dict[str, Any]) -> Reply | None:
        """The reply to one request, the last one where all tries failed, with what is wrong as its `error`.

        `path` is below the base address; one that begins with a slash is beside its /v1. None when the run was stopped
        meanwhile, so that the request is still owed.
        """
        tried = 0
        while not self._halt.is_set():
            tried += 1
            reply = self._post(self._url(path), body, last=tried >= self._tries)
            if reply.status == 200:
                return reply
            self._stop_if_refused(reply)
            if not reply.transient or tried >= self._tries:
                said = self._without_key(reply.body[:300].decode(errors="replace"))
                said = f"{self.place} answered {reply.status or 'nothing'} ({said}) in try {tried}"
                return Reply(reply.status, b"", reply.headers, said)
            told = told_to_wait(reply.headers)
            if told is not None and told > MAX_WAIT:
                raise self.stop(Resumable(f"{self.place} asks to wait {told:.0f} s: run it again after that."))
            self._sleep(backoff(tried) if told is None else told)
        return None

    def stop(self, error: StillhouseError) -> StillhouseError:
        """The error to raise, once no further request is made."""
        self._halt.set()
        return error

    def _url(self, path: str) -> httpx.URL:
        base = self._base.path.rstrip("/")
        whole = base.removesuffix("/v1") + path if path.startswith("/") else f"{base}/{path}"
        return self._base.copy_with(path=whole)

    def _post(self, url: httpx.URL, body: dict[str, Any], *, last: bool) -> Reply:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        begun, data = time.monotonic(), b""
        try:
            with self._client.stream("POST", url, content=json.dumps(body), headers=headers) as response:
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_BODY:
                        break
                    if time.monotonic() - begun > self._timeout:
                        raise httpx.ReadTimeout(f"no whole answer after {self._timeout:g} s")
                too_long = f"a reply of more than {MAX_BODY} bytes" if len(data) > MAX_BODY else ""
                return Reply(response.status_code, data, dict(response.headers), too_long)
        except httpx.ConnectError as error:
            if last:
                stop = Resumable(f"{self.place} cannot be reached ({error}): start it, then run again.")
                raise self.stop(stop) from None
            return Reply(0, str(error).encode(), {})
        except httpx.RequestError as error:
            return Reply(0, f"{type(error).__name__}: {error}".encode(), {})

    def _stop_if_refused(self, reply: Reply) -> None:
        if reply.status in (401, 403):
            stop = ConfigError(f"{self.place} refused the API key ({reply.status}): check the key and its rights.")
            raise self.stop(stop)
        if reply.status == 429 and b"insufficient_quota" in reply.body:
            raise self.stop(ConfigError(f"{self.place} says that the quota is used up: add credit, then run again."))

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text
