"""Shares of a core, and whose they are."""

from __future__ import annotations

from bench.sample import Watch


def test_what_is_not_watched_is_not_counted() -> None:
    cpu = iter([1.0, 1.5, 7.0, 7.25])
    busy = iter([10.0, 11.0, 20.0, 21.0])
    watch = Watch(lambda: next(cpu), busy=lambda: next(busy))
    for _ in range(2):
        watch.start()
        watch.stop()
    assert watch.measured == 0.75
    assert watch.machine == 2.0
    sample = watch.sample(5)
    assert sample.value == 5
    assert sample.measured_cpu == 0.75 / watch.seconds
    assert sample.foreign_cpu is not None
    assert sample.foreign_cpu * watch.seconds > 1


def test_others_that_cannot_be_seen_are_not_guessed() -> None:
    watch = Watch(lambda: 0.0, busy=lambda: None)
    watch.start()
    watch.stop()
    assert watch.sample(1).foreign_cpu is None


def test_clock_ticks_never_make_others_negative() -> None:
    cpu = iter([0.0, 5.0])
    watch = Watch(lambda: next(cpu), busy=lambda: 1.0)
    watch.start()
    watch.stop()
    assert watch.sample(1).foreign_cpu == 0.0
