"""How long to wait before something is started again."""

from mcp_server_shared.serving.restarts import Restarts


def test_the_wait_doubles_with_each_short_run_up_to_the_longest() -> None:
    restarts = Restarts(first_s=1, longest_s=5, good_run_s=10)
    assert [restarts.wait_after(0) for _ in range(2_000)] == [1, 2, 4] + [5] * 1_997


def test_after_a_good_run_it_is_started_at_once_and_the_waits_begin_anew() -> None:
    restarts = Restarts(first_s=1, longest_s=60, good_run_s=10)
    assert [restarts.wait_after(lived_s) for lived_s in (9, 9, 10, 9)] == [1, 2, 0, 1]
    assert restarts.short_runs == 1
