"""A program that tries to break out of the sandbox it runs in, and prints as JSON what it managed.

It runs inside, as text, so it imports nothing of ours. Its input says what there is outside: {"files", "port",
"parent", "processes", "files_mb", "environment"}. A sandbox holds when it prints an empty list.
"""

import ctypes
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

LIBC = ctypes.CDLL(None)
NEW_USER = 0x10000000
CHUNK = b"x" * 2**16


def main() -> None:
    outside = json.load(sys.stdin)
    print(json.dumps([name for name, attempt in ATTEMPTS.items() if succeeds(attempt, outside)]))


def succeeds(attempt: Callable[[dict[str, Any]], bool], outside: dict[str, Any]) -> bool:
    try:
        return attempt(outside)
    except (OSError, RuntimeError, ValueError, MemoryError):
        return False


def sees_files(outside: dict[str, Any]) -> bool:
    return any(os.path.lexists(file) for file in outside["files"])


def writes_libraries(outside: dict[str, Any]) -> bool:
    folder = os.path.dirname(os.__file__)
    file = os.open(folder, os.O_TMPFILE | os.O_WRONLY)  # would leave nothing behind
    return os.write(file, b"x") == 1


def sees_environment(outside: dict[str, Any]) -> bool:
    return dict(os.environ) != outside["environment"]


def reaches_network(outside: dict[str, Any]) -> bool:
    socket.create_connection(("127.0.0.1", outside["port"]), timeout=1).close()
    return True


def signals_parent(outside: dict[str, Any]) -> bool:
    os.kill(outside["parent"], 0)
    return True


def gains_rights(outside: dict[str, Any]) -> bool:
    return LIBC.unshare(NEW_USER) == 0


def takes_shared_memory(outside: dict[str, Any]) -> bool:
    return LIBC.shmget(0, 4096, 0o1600) != -1


def starts_processes(outside: dict[str, Any]) -> bool:
    for _ in range(outside["processes"]):
        if os.fork() == 0:
            time.sleep(60)
    return True


def fills_disk(outside: dict[str, Any]) -> bool:
    """More than a file may hold goes into several."""
    for number in range(3):
        with open(f"part{number}", "wb", buffering=0) as file:
            for _ in range(outside["files_mb"] * 2**20 // len(CHUNK) // 2 + 1):
                if file.write(CHUNK) < len(CHUNK):
                    return False
    return True


ATTEMPTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "sees files outside": sees_files,
    "writes to the library": writes_libraries,
    "sees the environment": sees_environment,
    "reaches the network": reaches_network,
    "signals the parent": signals_parent,
    "makes a user namespace": gains_rights,
    "takes shared memory": takes_shared_memory,
    "starts too many processes": starts_processes,
    "fills the disk": fills_disk,
}

if __name__ == "__main__":
    main()
