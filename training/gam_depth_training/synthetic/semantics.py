"""NYU-13 class ids of everything the generator builds.

The order is the project's: bed 0, books 1, ... window 12. Things that have no class of their own
follow the customary 40-to-13 mapping of NYU Depth v2: doors are ``WALL``; lamps, people, pillows,
plants, white boards, paper and keyboards are ``OBJECTS``; curtains and blinds are ``WINDOW``;
desks are ``TABLE``; counters, shelves, wardrobes and office partitions are ``FURNITURE``; rugs are
``FLOOR``. Every screen (television, monitor, laptop lid) is ``TV``; pillars are ``WALL``.
"""

from __future__ import annotations

(
    BED,
    BOOKS,
    CEILING,
    CHAIR,
    FLOOR,
    FURNITURE,
    OBJECTS,
    PICTURE,
    SOFA,
    TABLE,
    TV,
    WALL,
    WINDOW,
) = range(13)

CLASS_COUNT = 13
UNLABELLED = 255

DOOR = WALL
LAMP = OBJECTS
PERSON = OBJECTS
