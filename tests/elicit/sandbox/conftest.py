"""Every kind of sandbox that is installed here, each probed once."""

import pytest

from stillhouse.elicit.sandbox.box import Box, find
from stillhouse.elicit.sandbox.kinds import KINDS, Kind
from stillhouse.elicit.sandbox.probe import probe


@pytest.fixture(scope="session", params=KINDS, ids=lambda kind: kind.name)
def box(request: pytest.FixtureRequest) -> Box:
    kind: Kind = request.param
    found = find(kind)
    if found is None:
        pytest.skip(f"{kind.name} is not installed")
    if fault := probe(found):
        pytest.skip(f"{kind.name} does not work on this machine: {fault}")
    return found
