"""Picture-like textures: posters, photos, paper, screens, book covers, keyboards, views outside."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 256
Image = NDArray[np.uint8]
Rng = np.random.Generator


def _rgb(rng: Rng, saturation: tuple[float, float] = (0, 1), value: tuple[float, float] = (0.1, 1)
         ) -> tuple[int, int, int]:  # fmt: skip
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    )
    return int(red * 255), int(green * 255), int(blue * 255)


def _gradient(rng: Rng) -> Image:
    """A smooth field of three or four colours."""
    corners = np.array([[_rgb(rng, (0, 0.6)) for _ in range(3)] for _ in range(3)], np.uint8)
    return cv2.resize(corners, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def _flat(rng: Rng, **ranges: tuple[float, float]) -> Image:
    return np.full((SIZE, SIZE, 3), _rgb(rng, **ranges), np.uint8)


def _shapes(rng: Rng, image: Image, count: int, scale: float = 60) -> None:
    """Random filled ellipses, polygons and rectangles, in place."""
    for _ in range(count):
        centre = rng.integers(0, SIZE, 2)
        size = np.maximum(rng.normal(scale, scale / 2, 2), 3).astype(int)
        colour = _rgb(rng, (0, 0.9))
        kind = rng.integers(0, 3)
        if kind == 0:
            axes = (int(size[0]), int(size[1]))
            at = (int(centre[0]), int(centre[1]))
            cv2.ellipse(image, at, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        elif kind == 1:
            corners = centre + rng.integers(
                -size.max(), size.max() + 1, (int(rng.integers(3, 6)), 2)
            )
            cv2.fillPoly(image, [corners.astype(np.int32)], colour)
        else:
            low, high = centre - size // 2, centre + size // 2
            cv2.rectangle(image, low.tolist(), high.tolist(), colour, -1)


def _text(rng: Rng, image: Image, box: tuple[int, int, int, int], colour: tuple[int, int, int],
          pitch: int) -> None:  # fmt: skip
    """Lines of word-like dashes inside x0, y0, x1, y1, in place."""
    x0, y0, x1, y1 = box
    for y in range(y0, y1 - pitch // 2, pitch):
        x = x0
        end = x1 if rng.random() < 0.8 else int(rng.uniform(x0, x1))
        while x < end:
            width = int(rng.integers(pitch // 2, 3 * pitch))
            low = y + int(rng.integers(0, max(pitch // 4, 1)))
            cv2.rectangle(image, (x, low), (min(x + width, end), y + pitch // 2), colour, -1)
            x += width + max(pitch // 3, 2)


def _word(rng: Rng, image: Image, at: tuple[int, int], scale: float,
          colour: tuple[int, int, int]) -> None:  # fmt: skip
    letters = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUVWXYZaeioutrnsl0123456789"), 7))
    cv2.putText(image, letters, at, int(rng.integers(0, 5)), scale, colour, int(1 + 2 * scale))


def poster(rng: Rng) -> Image:
    """Flat design: shapes, a title, text."""
    image = _gradient(rng) if rng.random() < 0.4 else _flat(rng)
    _shapes(rng, image, int(rng.integers(1, 9)))
    if rng.random() < 0.7:
        _word(rng, image, (15, int(rng.integers(40, 230))), rng.uniform(0.8, 2), _rgb(rng))
    if rng.random() < 0.6:
        y = int(rng.integers(60, 180))
        _text(rng, image, (20, y, 236, y + int(rng.integers(30, 70))), _rgb(rng), 8)
    return image


def _clouds(rng: Rng, cells: int) -> NDArray[np.float32]:
    total = np.zeros((SIZE, SIZE), np.float32)
    for octave in range(5):
        grid = rng.standard_normal((cells << octave, cells << octave)).astype(np.float32)
        total += 0.55**octave * cv2.resize(grid, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    return total


def photo(rng: Rng) -> Image:
    """Something photograph-like: soft colour noise, a horizon, blobs in front."""
    image = _gradient(rng).astype(np.float32)
    image += np.float32(rng.uniform(10, 45)) * _clouds(rng, 3)[..., None]
    image = image.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        image[int(rng.integers(100, 200)) :] = np.uint8(0.6 * np.array(_rgb(rng)))
    _shapes(rng, image, int(rng.integers(2, 12)), 30)
    noisy = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 3)).astype(np.float32)
    noisy += 12 * _clouds(rng, 16)[..., None]
    return noisy.clip(0, 255).astype(np.uint8)


def paper(rng: Rng) -> Image:
    """A printed or written sheet, now and then with a figure."""
    image = np.full((SIZE, SIZE, 3), int(rng.uniform(215, 255)), np.uint8)
    ink = _rgb(rng, (0, 0.4), (0, 0.4))
    for column in range(int(rng.integers(1, 3))):
        left = 20 + 112 * column
        _text(
            rng,
            image,
            (left, 30, 236 if column else left + 104, 236),
            ink,
            int(rng.integers(6, 14)),
        )
    if rng.random() < 0.4:
        y = int(rng.integers(30, 150))
        image[y : y + 70, 40:200] = cv2.resize(photo(rng), (160, 70))
    return image


def _idle_desktop(rng: Rng) -> Image:
    """A strong, smooth wallpaper with a bar and icons; at most one small or one full window.

    Bright and nearly plain, it is what a painted wall or a window is most easily taken for.
    """
    ends = np.array([_rgb(rng, (0.2, 0.95), (0.25, 0.95)) for _ in range(2)], np.float32)
    way = rng.normal(0, 1, 2)
    grid = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
    blend = (way[0] * grid[:, None] + way[1] * grid) / (np.abs(way).sum() + 1e-6) + 0.5
    image = (ends[0] + blend[..., None] * (ends[1] - ends[0])).clip(0, 255).astype(np.uint8)
    for y in range(20, int(rng.integers(20, 240)), 26):
        cv2.rectangle(image, (8, y), (22, y + 14), _rgb(rng), -1)
    window = rng.random()
    if window < 0.5:
        x0, y0 = (int(v) for v in rng.integers(10, 150, 2))
        box = (x0, y0, x0 + int(rng.integers(40, 100)), y0 + int(rng.integers(30, 90)))
        if window < 0.2:
            box = (4, 12, 251, 251)
        cv2.rectangle(image, box[:2], box[2:], _rgb(rng, (0, 0.1), (0.8, 1)), -1)
        _text(rng, image, (box[0] + 6, box[1] + 8, box[2] - 6, box[3] - 4), (90, 90, 90), 9)
    cv2.rectangle(image, (0, 0), (255, 8), _rgb(rng, (0, 0.3), (0, 0.4)), -1)
    return image


def screen(rng: Rng) -> Image:
    """A desktop with or without windows, a terminal, an editor or a film."""
    kind = rng.random()
    if kind < 0.15:
        return photo(rng)
    if kind < 0.45:
        return _idle_desktop(rng)
    image = _gradient(rng) if rng.random() < 0.6 else _flat(rng, value=(0.05, 0.6))
    for _ in range(int(rng.integers(1, 4))):
        x0, y0 = (int(v) for v in rng.integers(0, 120, 2))
        x1, y1 = (int(v) for v in rng.integers(130, 250, 2))
        dark = rng.random() < 0.45
        back = _rgb(rng, (0, 0.3), (0.03, 0.2) if dark else (0.85, 1))
        cv2.rectangle(image, (x0, y0), (x1, y1), back, -1)
        cv2.rectangle(image, (x0, y0), (x1, y0 + 8), _rgb(rng), -1)
        ink = _rgb(rng, (0, 0.7), (0.6, 1) if dark else (0, 0.5))
        _text(rng, image, (x0 + 6, y0 + 14, x1 - 6, y1 - 4), ink, int(rng.integers(5, 10)))
    cv2.rectangle(image, (0, 246), (255, 255), _rgb(rng, value=(0, 0.4)), -1)
    for x in range(6, int(rng.integers(40, 200)), 14):
        cv2.rectangle(image, (x, 248), (x + 8, 254), _rgb(rng), -1)
    return image


def cover(rng: Rng) -> Image:
    """A book cover or spine: a colour, a title, a shape."""
    image = _flat(rng, saturation=(0, 0.9), value=(0.1, 0.95))
    _shapes(rng, image, int(rng.integers(0, 4)), 50)
    ink = _rgb(rng, (0, 0.3), (0.8, 1)) if image.mean() < 128 else _rgb(rng, (0, 1), (0, 0.3))
    _word(rng, image, (20, int(rng.integers(50, 120))), rng.uniform(0.9, 1.7), ink)
    if rng.random() < 0.6:
        _text(rng, image, (24, 150, 220, 210), ink, 10)
    return image


def keyboard(rng: Rng) -> Image:
    """Rows of keys."""
    dark = rng.random() < 0.6
    image = _flat(rng, saturation=(0, 0.15), value=(0.05, 0.2) if dark else (0.6, 0.85))
    key = _rgb(rng, (0, 0.1), (0.1, 0.3) if dark else (0.8, 0.97))
    for row in range(6):
        shift = int(rng.integers(0, 8))
        for col in range(15):
            x, y = 6 + col * 16 + shift, 8 + row * 40
            if row == 5 and 4 <= col < 9:
                cv2.rectangle(image, (x, y), (x + 17, y + 33), key, -1)
            else:
                cv2.rectangle(image, (x, y), (x + 12, y + 33), key, -1)
    return image


def packaging(rng: Rng) -> Image:
    """Cartons and bottle labels: two colours, a word, small print."""
    image = _flat(rng)
    band = int(rng.integers(20, 120))
    top = int(rng.integers(20, 130))
    cv2.rectangle(image, (0, top), (255, top + band), _rgb(rng), -1)
    _shapes(rng, image, int(rng.integers(0, 3)), 25)
    _word(rng, image, (10, top + band // 2 + 10), rng.uniform(0.8, 1.6), _rgb(rng))
    _text(rng, image, (10, 215, 245, 250), _rgb(rng), 6)
    return image


def outdoor(rng: Rng) -> Image:
    """What a window shows: sky, trees, houses, or almost only glare."""
    rows = np.linspace(0, 1, SIZE)[:, None, None]
    sky = np.array([180, 205, 240]) * (1 - rows) + np.array([235, 240, 245]) * rows
    image = np.broadcast_to(sky, (SIZE, SIZE, 3)).astype(np.float32).copy()
    image += 12 * _clouds(rng, 2)[..., None]
    image = image.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        return image
    horizon = int(rng.integers(110, 200))
    for _ in range(int(rng.integers(0, 4))):
        x, width, top = (int(v) for v in rng.integers((0, 30, 20), (220, 110, horizon)))
        wall = _rgb(rng, (0, 0.4), (0.3, 0.8))
        cv2.rectangle(image, (x, top), (x + width, SIZE), wall, -1)
        for wy in range(top + 8, SIZE, 22):
            for wx in range(x + 6, x + width - 8, 18):
                cv2.rectangle(image, (wx, wy), (wx + 8, wy + 12), (70, 80, 95), -1)
    green = (_clouds(rng, 6) * 25 + horizon) < np.arange(SIZE)[:, None]
    leaf = rng.uniform((50, 65, 40), (105, 115, 85))
    shade = (leaf * (1 + 0.25 * _clouds(rng, 24)[..., None])).clip(0, 255).astype(np.uint8)
    image[green] = shade[green]
    return image
