"""The first process of a sandbox: it builds the root, runs one program under limits, and reports.

It is handed to the interpreter as text, so it imports nothing of ours. The job comes on standard input and the report
goes to standard output; the program can reach neither. When this process ends, the kernel ends all others with it.

Two interpreters start for every program, so this file and `driver.py` import only what loads fast: no json, no typing.
"""

import ctypes
import marshal
import math
import os
import resource
import select
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
ROOT = "/proc"  # every machine has this folder, and no Python lives in it
SIGKILL, SIGXCPU = 9, 24
NOSUID, NODEV, NOEXEC, BIND, RECURSIVE = 2, 4, 8, 4096, 16384
MOUNT_SETATTR, AT_RECURSIVE, MNT_DETACH = 442, 0x8000, 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
CAPBSET_DROP, NO_NEW_PRIVS, SET_SECCOMP, MODE_FILTER = 24, 38, 22, 2


def main() -> None:
    job = marshal.load(sys.stdin.buffer)
    if job["build_root"]:
        build_root(job["visible"], job["files_mb"])
    print(ascii(run(job)))


def build_root(visible: list[str], files_mb: int) -> None:
    """Make a root of nothing but the visible paths, to read, and an empty folder for temporary files."""
    os.umask(0o022)
    mount("tmpfs", ROOT, "tmpfs", NOSUID | NODEV, "size=1m,mode=755")
    for path in visible:
        show(path)
    os.mkdir(f"{ROOT}/tmp")
    mount("tmpfs", f"{ROOT}/tmp", "tmpfs", NOSUID | NODEV | NOEXEC, f"size={files_mb}m,nr_inodes=4096,mode=1777")
    read_only(ROOT, ATTR_RDONLY, recursive=False)
    os.chdir(ROOT)
    check(LIBC.pivot_root(b".", b"."), "pivot_root")
    check(LIBC.umount2(b".", MNT_DETACH), "leave the old root")
    os.chdir("/tmp")


def show(path: str) -> None:
    target = ROOT + path
    os.makedirs(target if os.path.isdir(path) else os.path.dirname(target), exist_ok=True)
    if not os.path.isdir(path):
        open(target, "x").close()
    mount(path, target, "", BIND | RECURSIVE, "")
    device = 0 if path.startswith("/dev/") else ATTR_NODEV
    read_only(target, ATTR_RDONLY | ATTR_NOSUID | device, recursive=True)


def mount(source: str, target: str, kind: str, flags: int, options: str) -> None:
    texts = (source.encode(), target.encode(), kind.encode())
    check(LIBC.mount(*texts, ctypes.c_ulong(flags), options.encode()), f"mount {source}")


def read_only(target: str, attributes: int, *, recursive: bool) -> None:
    wanted = (ctypes.c_uint64 * 4)(attributes)
    flags = AT_RECURSIVE if recursive else 0
    done = LIBC.syscall(MOUNT_SETATTR, -100, target.encode(), flags, wanted, ctypes.c_size_t(32))
    check(done, f"make {target} read-only")


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())}: {what}")


def run(job: dict) -> dict:
    """Start the program, wait for its end or its time, and read what it wrote."""
    nonce = os.urandom(16).hex()
    source = memory(marshal.dumps((job["code"], job["tests"], nonce)))
    streams = (memory(job["stdin"].encode("utf-8", "surrogatepass")), memory(), memory())
    said = memory()
    began = time.monotonic()
    child = start(job, streams, source, said)
    timeout, code = wait(child, job["seconds"])
    _, out, err = streams
    limit = job["output_kb"] * 1024
    return {
        "timeout": timeout or code == -SIGXCPU,
        "code": code,
        "overflow": os.fstat(out).st_size > limit,
        "finished": os.pread(said, 64, 0) == nonce.encode(),
        "stdout": os.pread(out, limit, 0).decode(errors="replace"),
        "stderr": os.pread(err, limit, max(0, os.fstat(err).st_size - limit)).decode(errors="replace"),
        "seconds": time.monotonic() - began,
    }


def memory(content: bytes = b"") -> int:
    """A file in memory: writing to it never blocks, and the limit on the size of files holds for it."""
    file = os.memfd_create("sandbox")
    with open(file, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def start(job: dict, streams: tuple[int, int, int], source: int, said: int) -> int:
    """Fork the process that becomes the program; raises RuntimeError when it could not be confined."""
    listen, tell = os.pipe()  # both close by themselves when the program starts
    child = os.fork()
    if child == 0:
        try:
            confine(job)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            for file in (source, said):
                os.set_inheritable(file, True)
            command = [*job["python"], "-c", job["driver"], str(source), str(said)]
            os.execve(command[0], command, job["environment"])
        except (OSError, ValueError) as error:
            os.write(tell, str(error).encode())
        finally:
            os._exit(1)
    os.close(tell)
    if fault := os.read(listen, 4096):
        raise RuntimeError(f"the program cannot be started: {fault.decode()}")
    return child


def confine(job: dict) -> None:
    """Give up every right and take on every limit: a session of its own, no capability, no user's rights."""
    os.setsid()  # or a signal to its process group would reach outside
    for capability in range(64):
        LIBC.prctl(CAPBSET_DROP, capability, 0, 0, 0)  # the numbers beyond the last one fail, and do not matter
    if job["uid"] is not None:
        os.setgroups([])
        os.setresgid(job["uid"], job["uid"], job["uid"])
        os.setresuid(job["uid"], job["uid"], job["uid"])
    limit(resource.RLIMIT_AS, job["memory_mb"] * 1024**2)
    limit(resource.RLIMIT_CPU, math.ceil(job["seconds"]) + 1)
    limit(resource.RLIMIT_FSIZE, job["files_mb"] * 1024**2)
    limit(resource.RLIMIT_NOFILE, 64)
    limit(resource.RLIMIT_CORE, 1)  # 0 would still call a handler of core dumps
    limit(resource.RLIMIT_NPROC, job["processes"])
    check(LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    code = bytes.fromhex(job["filter"])
    buffer = ctypes.create_string_buffer(code, len(code))
    program = FilterProgram(len(code) // 8, ctypes.addressof(buffer))
    check(LIBC.prctl(SET_SECCOMP, MODE_FILTER, ctypes.byref(program)), "seccomp")


class FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))


def limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def wait(child: int, seconds: float) -> tuple[bool, int]:
    """(whether the time was up, the exit code, or minus the signal)."""
    poll = select.poll()
    poll.register(os.pidfd_open(child), select.POLLIN)
    ended = poll.poll(seconds * 1000)
    os.kill(child, SIGKILL)  # one that has ended is still there, until it is waited for
    return not ended, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
