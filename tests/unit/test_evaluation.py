"""One evaluation and ComfyUI's interrupt flag; how long evaluations and steps take."""

from __future__ import annotations

from typing import Any

import pytest

from midrun.state.job.in_flight import InFlight, Outcome
from midrun.state.job.stopwatch import Mode, Stopwatch
from midrun.state.job.view import Timing
from test_job import World


def timed(world: World, *lengths: float) -> InFlight:
    flight = InFlight(world.flag, lambda: world.now)
    for seconds in lengths:
        flight.begin()
        world.now += seconds
        assert flight.end(Outcome.ANSWERED) == (False, seconds)
    return flight


@pytest.mark.parametrize(
    ("raised_here", "up_at_the_end", "outcome", "void", "left_up"),
    [
        (False, False, Outcome.ANSWERED, False, False),
        (False, True, Outcome.ANSWERED, False, True),  # a Cancel that nothing inside has seen yet
        (False, False, Outcome.INTERRUPTED, False, False),
        (False, True, Outcome.RAISED, False, True),
        (True, True, Outcome.ANSWERED, False, False),
        (True, True, Outcome.RAISED, False, False),
        (True, False, Outcome.ANSWERED, True, False),  # swallowed inside
        (True, False, Outcome.RAISED, True, False),
        (True, False, Outcome.INTERRUPTED, True, False),
        (True, True, Outcome.INTERRUPTED, True, True),  # a Cancel on top of ours, not to be lost
    ],
)
def test_only_the_flag_raised_here_is_taken_back(
    raised_here: bool, up_at_the_end: bool, outcome: Outcome, void: bool, left_up: bool
) -> None:
    world = World()
    flight = timed(world)
    flight.begin()
    if raised_here:
        flight.interrupt()
        assert world.flag.up
    world.flag.up = up_at_the_end
    flight.interrupt() if raised_here else None  # a second pause or abort raises it no second time
    assert world.flag.up is up_at_the_end
    assert (flight.end(outcome)[0], world.flag.up) == (void, left_up)
    flight.interrupt()
    assert world.flag.up is left_up and not flight.running
    flight.begin()
    assert flight.end(Outcome.ANSWERED)[0] is False


def test_the_rest_of_an_evaluation_is_told_from_a_running_average() -> None:
    world = World()
    assert timed(world).remaining_s() == timed(world, 2.0).remaining_s() == float("inf")
    flight = timed(world, 1.0, 2.0)
    flight.begin()
    world.now += 0.5
    assert (flight.remaining_s(), flight.slack_s()) == pytest.approx((0.8, 0.65))
    world.now += 5
    assert flight.remaining_s() == 0.0
    assert timed(world, 0.0).slack_s() == 0.1


@pytest.mark.parametrize("outcome", [Outcome.INTERRUPTED, Outcome.RAISED, None])
def test_an_evaluation_that_was_cut_short_tells_nothing_of_the_next(outcome: Any) -> None:
    world = World()
    job = world.running(0.5)
    job.call.begin_evaluation()
    if outcome is None:  # answered, but after an interrupt that was swallowed inside
        job.pause()
        world.timers.pop()[1]()
        job.resume()
        world.flag.clear()
    world.now += 30
    assert job.call.end_evaluation(outcome or Outcome.ANSWERED)[0] is (outcome is None)
    assert job.view().timing.mean_step_s == 0.5
    job.call.begin_evaluation()
    job.pause()
    assert not world.flag.up and world.timers  # still taken for a short one


def test_the_stopwatch_adds_to_what_an_earlier_server_measured() -> None:
    world = World()
    watch = Stopwatch(lambda: world.now, Timing(5.0, 7.0, 4.0), Mode.ACTIVE)
    assert watch.read(3) == Timing(5.0, 7.0, 4.0, 12.0) and watch.read(None).eta_s is None
    for mode, seconds in ((Mode.PAUSED, 1), (Mode.IDLE, 10), (Mode.ACTIVE, 100), (Mode.IDLE, 1000)):
        world.now += seconds
        watch.switch(mode)
    for seconds in (1.0, 3.0, 2.0):  # two steps, the second of two evaluations
        watch.evaluated(seconds)
    watch.stepped()
    watch.stepped()
    assert watch.read(2) == Timing(1006.0, 17.0, 3.0, 6.0)
    unknown = Stopwatch(lambda: world.now, Timing()).read(3)
    assert (unknown.mean_step_s, unknown.eta_s) == (None, None)
