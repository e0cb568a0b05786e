"""The same promises on a real kube-apiserver, whose Deployments and Gateways the tests play as everywhere."""
# ruff: noqa: F401 -- what is imported here runs here, with the server of this module

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.cluster import ON_A_REAL_SERVER, Lab, a_lab_on
from tests.fakes.envtest import ControlPlane
from tests.runtime.test_advance import (
    test_a_bad_revision_comes_back,
    test_a_good_revision_is_promoted,
    test_a_move_costs_three_writes,
    test_an_idle_canary_costs_nothing,
    test_another_revision_starts_over,
    test_drift_is_corrected_in_mid_run,
    test_initialization,
    test_what_is_deleted_comes_back,
)
from tests.runtime.test_commit import (
    test_only_what_changed_is_sent,
    test_somebody_changes_the_spec_meanwhile,
    test_somebody_writes_the_status_meanwhile,
    test_the_canary_is_deleted_meanwhile,
    test_the_canary_is_made_again_meanwhile,
    test_the_first_status_is_complete,
    test_the_record_of_a_run,
)
from tests.runtime.test_trouble import (
    test_a_canary_becomes_invalid_in_mid_run,
    test_a_finalizer_that_is_not_served_yet,
    test_a_missing_target,
    test_an_invalid_canary_waits_and_says_why,
    test_the_api_server_is_gone_for_a_while,
    test_two_canaries_on_one_target,
)
from tests.runtime.test_watch import (
    test_a_deleted_canary_is_forgotten,
    test_a_fix_in_mid_run_is_noticed_at_once,
    test_a_lost_object_of_an_idle_canary_is_made_again,
    test_a_new_revision_is_noticed_at_once,
    test_a_whole_release_at_full_speed,
    test_drift_of_an_idle_canary_is_put_right_at_once,
    test_what_controllers_report_wakes_nobody,
)

pytestmark = ON_A_REAL_SERVER


@pytest.fixture
async def lab(control_plane: ControlPlane) -> AsyncIterator[Lab]:
    """A real server in the place of the embedded one."""
    async with a_lab_on(control_plane.connection) as found:
        yield found
