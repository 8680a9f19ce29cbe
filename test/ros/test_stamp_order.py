"""What is late and what begins again, by stamps alone."""

from __future__ import annotations

from gam_depth_ros.stamp_order import BACK, IN_ORDER, LATE, LATE_NS, StampOrder

MS = 1_000_000


def judged(*stamps_ms):
    order = StampOrder()
    return [order.judge(stamp_ms * MS) for stamp_ms in stamps_ms]


def test_an_image_that_was_overtaken_is_late_and_the_next_in_order():
    assert judged(1000, 1066, 1033, 1100) == [IN_ORDER, IN_ORDER, LATE, IN_ORDER]


def test_a_repeated_stamp_is_in_order():
    assert judged(1000, 1000, 1000) == [IN_ORDER] * 3


def test_a_jump_back_beyond_the_limit_begins_again():
    limit_ms = LATE_NS // MS
    assert judged(1000, 999 - limit_ms, 1000) == [IN_ORDER, BACK, IN_ORDER]
    assert judged(1000, 1000 - limit_ms)[1] == LATE


def test_stamps_that_go_on_from_a_short_jump_back_begin_again_at_the_fourth():
    assert judged(1000, 900, 910, 920, 930, 940) == [IN_ORDER, *[LATE] * 3, BACK, IN_ORDER]


def test_a_short_jump_back_that_has_caught_up_goes_on_in_order():
    assert judged(1000, 900, 933, 966, 1000) == [IN_ORDER, *[LATE] * 3, IN_ORDER]


def test_two_late_images_in_rising_order_begin_nothing_again():
    assert judged(1000, 1100, 1033, 1066, 1133) == [IN_ORDER, IN_ORDER, LATE, LATE, IN_ORDER]


def test_images_overtaken_one_by_one_never_begin_again():
    swapped = [stamp for pair in range(50) for stamp in (1033 + 66 * pair, 1000 + 66 * pair)]
    assert judged(*swapped).count(BACK) == 0
    assert judged(*swapped).count(LATE) == 50
