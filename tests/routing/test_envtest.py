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
from tests.routing.test_contour_in_place import test_a_run_on_a_server
from tests.routing.test_gateway_api import (
    test_fields_of_others_survive,
    test_golden_routes_are_valid_and_stay,
    test_what_is_taken_out_of_the_canary_leaves_the_route,
)
from tests.routing.test_golden_cases import (
    test_golden_objects_are_valid_and_stay,
    test_objects_of_another_stage_become_the_golden_ones,
    test_what_the_api_refuses,
)
from tests.routing.test_ingress import test_the_users_ingress_is_followed
from tests.routing.test_meshes import (
    test_a_kuma_route_goes_with_its_canary,
    test_every_lost_object_is_made_again,
    test_what_the_app_mesh_controller_fills_in_is_no_drift,
    test_what_was_there_before_is_given_back,
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
