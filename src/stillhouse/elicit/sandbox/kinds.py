"""The ways to get namespaces of one's own, and what of this machine is seen inside: a Python and its libraries."""

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSTEM = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class Kind:
    """A program that starts another one in new namespaces.

    `command(binary, uid, files_mb)` is how it is called; `uid` is the user that the program becomes, None where this
    process may not choose one. `builds_root` says that the first process inside must make its own root. `helpers` is
    how many processes of the sandbox count as the program's user's when there is no `uid`.
    """

    name: str
    command: Callable[[str, int | None, int], list[str]]
    builds_root: bool
    helpers: int


def unshare(binary: str, uid: int | None, _files_mb: int) -> list[str]:
    user = ["--user", "--map-root-user"] if uid is None else []
    return [binary, *user, "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]


def bwrap(binary: str, uid: int | None, files_mb: int) -> list[str]:
    rights = [word for right in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{right}")]
    user = ["--unshare-user"] if uid is None else rights
    spaces = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    above = sorted({str(folder) for path in [*visible(), *DEVICES] for folder in Path(path).parents} - {"/"})
    open_to_all = [word for folder in above for word in ("--perms", "0755", "--dir", folder)]
    shown = [word for path in visible() for word in ("--ro-bind", path, path)]
    devices = [word for path in DEVICES for word in ("--dev-bind", path, path)]
    own = f"--perms 1777 --size {files_mb * 2**20} --tmpfs /tmp --remount-ro / --chdir /tmp".split()
    return [binary, *user, *spaces, "--die-with-parent", "--as-pid-1", *open_to_all, *shown, *devices, *own]


KINDS = (Kind("unshare", unshare, builds_root=True, helpers=2), Kind("bwrap", bwrap, builds_root=False, helpers=1))
"""In the order in which they are tried: the second may work where an administrator allows nothing but it."""


def python() -> Path:
    """The interpreter that this one, or its virtual environment, was made from."""
    return Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")


def visible() -> list[str]:
    """The files and folders that a program may read: this Python, its libraries, the system's, and no more."""
    paths = [*SYSTEM, str(python()), str(Path(sys.base_prefix, "lib"))]
    there = sorted({path for path in paths if os.path.exists(path)})
    return [path for path in there if not any(path.startswith(f"{outer}/") for outer in there)]


def spare_uid() -> int | None:
    """A user nobody else is, for one run: limits on processes hold for it alone. None where we may not become one."""
    if os.geteuid() != 0:
        return None
    *_, last = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    first, _, count = (int(number) for number in last.split())
    return first + count // 2 + secrets.randbelow(count // 4) if count >= 65536 else None
