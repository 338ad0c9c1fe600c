"""How often a running job is previewed, by a clock that the test moves."""

from __future__ import annotations

from midrun.state.pictures.preview_interval import OLDEST_S, SHARE, SHARE_OF_CPU, SHORTEST_S, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(pace: Pace, clock: Clock, steps: int, step_s: float, decode_s: float) -> list[float]:
    """When something was shown; each decode takes `decode_s`."""
    shown = []
    for step in range(1, steps + 1):
        clock.now += step_s
        if pace.due(step):
            shown.append(clock.now)
            pace.took(decode_s)
    return shown


def gaps(shown: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip(shown, shown[1:], strict=False)]


def test_the_first_step_is_shown_at_once() -> None:
    clock = Clock()
    assert Pace(0, clock).due(1)


def test_decoding_takes_no_more_than_its_share_of_the_time() -> None:
    for decode_s in (0.02, 0.05, 0.1):
        clock = Clock()
        shown = run(Pace(0, clock), clock, 2000, 0.01, decode_s)
        assert len(shown) * decode_s <= 1.1 * SHARE * 20.0


def test_where_it_takes_the_samplers_processor_its_share_is_smaller() -> None:
    clock = Clock()
    shown = run(Pace(0, clock, SHARE_OF_CPU), clock, 2000, 0.01, 0.01)
    assert len(shown) * 0.01 <= 1.1 * SHARE_OF_CPU * 20.0


def test_a_first_decode_that_loads_something_does_not_make_the_others_seldom() -> None:
    clock = Clock()
    pace = Pace(0, clock)
    for seconds in (0.2, 0.001):
        pace.took(seconds)
    assert pace.interval_s == SHORTEST_S


def test_a_cheap_decode_is_shown_at_most_four_times_a_second() -> None:
    clock = Clock()
    shown = run(Pace(0, clock), clock, 1000, 0.01, 0.0001)
    assert min(gaps(shown)) >= SHORTEST_S - 0.011


def test_a_preview_never_grows_older_than_five_seconds_while_steps_go_by() -> None:
    for step_s in (0.3, 2.4, 2.6, 3.0, 4.9):
        clock = Clock()
        shown = run(Pace(0, clock), clock, 40, step_s, 0.12)
        assert max(gaps(shown)) <= OLDEST_S, step_s


def test_every_so_many_steps_is_what_was_asked_for() -> None:
    clock = Clock()
    pace = Pace(3, clock)
    assert [step for step in range(1, 10) if pace.due(step)] == [3, 6, 9]
    assert pace.interval_s is None
