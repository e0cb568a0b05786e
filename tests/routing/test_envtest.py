"""The same promises on a real kube-apiserver: what it fills in by itself must cause no drift either."""
# ruff: noqa: F401 -- what is imported here runs here, with the server of this module

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.cluster import ON_A_REAL_SERVER, Lab, a_lab_on
from tests.fakes.envtest import ControlPlane
from tests.routing.test_conformance import (
    test_a_conflict_is_tried_again,
    test_a_move_is_one_write,
    test_metadata_of_others_survives,
    test_nothing_is_written_when_nothing_differs,
)
from tests.routing.test_gateway_api import (
    test_fields_of_others_survive,
    test_golden_routes_are_valid_and_stay,
    test_what_is_taken_out_of_the_canary_leaves_the_route,
)
from tests.routing.test_services import (
    test_a_port_more,
    test_a_service_that_fits_is_left_alone,
    test_adoption,
    test_another_port_name_of_an_adopted_service,
    test_as_documented,
    test_headless,
    test_ports_and_selector_are_corrected,
    test_unmanaged_metadata,
)

pytestmark = ON_A_REAL_SERVER


@pytest.fixture
async def lab(control_plane: ControlPlane) -> AsyncIterator[Lab]:
    """A real server in the place of the embedded one."""
    async with a_lab_on(control_plane.connection) as found:
        yield found


async def test_services_that_are_right_cost_nothing(lab: Lab) -> None:
    """Beside the routes of the common suite, whose test has the same name there."""
    from tests.routing.test_services import test_nothing_is_written_when_nothing_differs as test

    await test(lab)
