"""The system calls that a program in the sandbox may not make, as a filter that the kernel runs (seccomp BPF).

Namespaces and limits hold without it. It closes what they leave open: new user namespaces (which show a program more of
the kernel), memory outside the limit on memory, and sockets that no network namespace contains (VSOCK).
"""

import errno
import platform
import struct

from stillhouse.errors import ConfigError

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's name of the architecture, and the column of its numbers below."""

DENIED = {
    # new namespaces, roots and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    # the kernel's rarely used corners
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    # memory that no limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
CLONE3, CLONE, SOCKET = (435, 435), (56, 220), (41, 198)
NEW_NAMESPACES, AF_UNIX, X32 = 0x7E020000, 1, 0x40000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16


def call_filter(machine: str = platform.machine()) -> bytes:
    """The filter's instructions. Raises ConfigError for a machine whose system call numbers are not known here."""
    if machine not in MACHINES:
        raise ConfigError(f"the numbers of system calls are not known for '{machine}', only for {', '.join(MACHINES)}")
    architecture, column = MACHINES[machine]
    no = REFUSE | errno.EPERM
    code = [_do(LOAD, ARCHITECTURE), _do(EQUAL, architecture, 1, 0), _do(RETURN, KILL), _do(LOAD, NUMBER)]
    code += [_do(AT_LEAST, X32, 0, 1), _do(RETURN, no)]
    for numbers in DENIED.values():
        code += [_do(EQUAL, numbers[column], 0, 1), _do(RETURN, no)]
    code += [_do(EQUAL, CLONE3[column], 0, 1), _do(RETURN, REFUSE | errno.ENOSYS)]  # the C library then uses clone
    code += [_do(EQUAL, CLONE[column], 0, 4), _do(LOAD, FIRST_ARGUMENT), _do(ANY_BIT, NEW_NAMESPACES, 0, 1)]
    code += [_do(RETURN, no), _do(RETURN, ALLOW)]
    code += [_do(EQUAL, SOCKET[column], 0, 4), _do(LOAD, FIRST_ARGUMENT), _do(EQUAL, AF_UNIX, 1, 0)]
    code += [_do(RETURN, no), _do(RETURN, ALLOW)]
    return b"".join([*code, _do(RETURN, ALLOW)])


def _do(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the jumps say how many to skip."""
    return struct.pack("HBBI", operation, if_true, if_false, value)
