"""What counts as silence: the limits of one exchange, without a clock."""

from __future__ import annotations

from trunkline.upstream.patience import Patience, Timeouts

TIMEOUTS = Timeouts(connect=1.0, first_byte=20.0, idle=10.0, thinking=60.0)


def head(patience: Patience, now: float) -> None:
    patience.rest(now)
    assert patience.note_head(), "bytes must come faster after the head"


def pause(patience: Patience, now: float) -> None:
    patience.rest(now)
    patience.note_bytes()


def test_before_the_head_the_first_byte_is_waited_for() -> None:
    patience = Patience(TIMEOUTS, 100.0)
    assert patience.due(100.0) == 120.0
    assert patience.fault.message == "no byte in time"


def test_pings_before_the_first_output_do_not_move_the_limit() -> None:
    patience = Patience(TIMEOUTS, 100.0)
    head(patience, 101.0)
    for now in range(101, 118):
        patience.wait(float(now))
        pause(patience, now + 1.0)
    patience.wait(118.0)
    assert patience.due(118.0) == 120.0
    assert patience.fault.kind == "silent"
    assert patience.fault.message == "only pings, no output"


def test_without_a_byte_after_the_head_it_is_the_byte_that_is_missed() -> None:
    patience = Patience(TIMEOUTS, 100.0)
    head(patience, 101.0)
    patience.wait(101.0)
    assert patience.due(101.0) == 111.0
    assert patience.fault.message == "no byte in time"


def test_output_moves_the_limit_and_pings_after_it_do_not() -> None:
    patience = Patience(TIMEOUTS, 100.0)
    head(patience, 101.0)
    patience.wait(101.0)
    pause(patience, 105.0)
    patience.note_output()
    patience.wait(105.0)
    assert patience.due(105.0) == 115.0
    pause(patience, 111.0)
    patience.wait(111.0)
    assert patience.due(111.0) == 115.0
    assert patience.fault.message == "only pings, no output"


def test_while_nobody_waits_nothing_counts() -> None:
    patience = Patience(TIMEOUTS, 100.0)
    head(patience, 101.0)
    patience.wait(101.0)
    pause(patience, 103.0)
    patience.note_output()
    assert patience.due(900.0) == 910.0
    patience.wait(1000.0)
    assert patience.due(1000.0) == 1010.0


def test_from_a_model_that_thinks_pings_are_borne_for_longer_and_silence_is_not() -> None:
    patience = Patience(TIMEOUTS, 100.0, thinks=True)
    head(patience, 101.0)
    for now in range(101, 155, 9):
        patience.wait(float(now))
        assert patience.due(float(now)) == min(now + 10.0, 160.0)
        pause(patience, now + 9.0)
    patience.wait(155.0)
    assert patience.due(155.0) == 160.0
    assert patience.fault.message == "only pings, no output"


def test_who_goes_on_waiting_waits_as_long_as_who_begins_anew() -> None:
    begun, gone_on = Patience(TIMEOUTS, 100.0), Patience(TIMEOUTS, 100.0)
    for patience in (begun, gone_on):
        head(patience, 101.0)
        patience.wait(101.0)
    for now in (103.0, 104.0, 111.0, 112.0):
        pause(begun, now)
        begun.wait(now)
        gone_on.renew(now)
        if now == 104.0:
            begun.note_output()
            gone_on.note_output()
        assert begun.due(now) == gone_on.due(now)
        assert begun.fault == gone_on.fault
    assert gone_on.due(112.0) == 114.0


def test_a_limit_that_is_not_shorter_after_the_head_is_told() -> None:
    assert not Patience(Timeouts(first_byte=10.0, idle=10.0), 100.0).note_head()
