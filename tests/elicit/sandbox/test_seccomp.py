"""The filter, run by an interpreter of its five instructions instead of the kernel."""

import errno
import struct

import pytest

from stillhouse.elicit.sandbox.seccomp import DENIED, MACHINES, call_filter
from stillhouse.errors import ConfigError

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
CALLS = {
    "x86_64": {"read": 0, "clone": 56, "socket": 41, "clone3": 435},
    "aarch64": {"read": 63, "clone": 220, "socket": 198},
}


def verdict(code: bytes, architecture: int, number: int, first: int = 0) -> int:
    data = struct.pack("IIQQ", number, architecture, 0, first)
    steps = list(struct.iter_unpack("HBBI", code))
    at, loaded = 0, 0
    while True:
        operation, if_true, if_false, value = steps[at]
        at += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            loaded = struct.unpack_from("I", data, value)[0]
        else:
            true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: loaded & value != 0}[operation]
            at += if_true if true else if_false


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_denied_and_what_is_not(machine: str) -> None:
    code, (architecture, column) = call_filter(machine), MACHINES[machine]
    calls = CALLS[machine]
    refused = 0x00050000 | errno.EPERM

    def asked(number: int, first: int = 0) -> int:
        return verdict(code, architecture, number, first)

    assert {asked(numbers[column]) for numbers in DENIED.values()} == {refused}
    assert asked(calls["read"]) == ALLOWED
    assert asked(calls["clone"], 17) == ALLOWED  # a fork
    assert asked(calls["clone"], 0x3D0F00) == ALLOWED  # a thread
    assert all(asked(calls["clone"], 17 | 1 << bit) == refused for bit in (17, 25, 26, 27, 28, 29, 30))
    assert asked(435) == 0x00050000 | errno.ENOSYS
    assert asked(calls["socket"], 1) == ALLOWED
    assert all(asked(calls["socket"], family) == refused for family in (0, 2, 10, 16, 17, 40))
    assert verdict(code, 0x40000003, calls["read"]) == KILLED  # 32-bit calls have other numbers
    assert asked(0x40000000 + calls["read"]) == refused


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="riscv64"):
        call_filter("riscv64")
