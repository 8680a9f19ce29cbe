"""The library's log while a node forwards it, and after; a throttle that does not grow."""

from __future__ import annotations

import logging

from gam_depth_ros.log_bridge import KINDS_KEPT, LIBRARY, Throttle, attach, detach


def test_after_the_last_node_the_librarys_log_is_as_it_was():
    library = logging.getLogger(LIBRARY)
    before = library.level, library.propagate, list(library.handlers)
    first, second = attach(None), attach(None)
    assert not library.propagate
    detach(first)
    assert not library.propagate
    detach(second)
    assert (library.level, library.propagate, library.handlers) == before


def letters(number):
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def test_a_throttle_forgets_what_it_has_not_heard_for_longest():
    throttle = Throttle(5.0, lambda: 0.0)
    for index in range(KINDS_KEPT + 10):
        assert throttle.line(f"unknown encoding {letters(index)}") is not None
        assert throttle.line("heard all the time") is None or index == 0
    assert len(throttle._said) == KINDS_KEPT
    assert throttle.line(f"unknown encoding {letters(0)}") is not None
    assert throttle.line(f"unknown encoding {letters(KINDS_KEPT + 9)}") is None
