"""A camera, an exchange and a reload without a graph, for tests."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from plain_pipeline import PLAIN, plain_pipeline

from gam_depth_ros.core.config import ScaleConfig
from gam_depth_ros.core.frame import Frame, ReferenceDepth
from gam_depth_ros.core.pipeline import FrameError, Outputs
from gam_depth_ros.exchange import Exchange
from gam_depth_ros.reload import ModelReload
from gam_depth_ros.reload_terms import ReloadConfig, ReloadRequest

SIZE_HW = (48, 64)
RAMP = np.repeat(np.linspace(0, 255, SIZE_HW[1]).astype(np.uint8)[None, :, None], 48, 0).repeat(
    3, 2
)
PERIOD_NS = 33_000_000
FIXED = replace(PLAIN, scale=ScaleConfig(source="fixed", fixed_value=2.0))
LEARNS = replace(PLAIN, scale=ScaleConfig(acquire_count=1, check_registration=False))


class Camera:
    """Feeds frames to an exchange as the worker does, and keeps what comes out."""

    def __init__(self, exchange, *, reference_m=None):
        self.exchange, self.reference_m = exchange, reference_m
        self.seen, self.failed, self.stamp_ns = [], 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def frame(self):
        self.stamp_ns += PERIOD_NS
        reference = None
        if self.reference_m is not None:
            reference = ReferenceDepth(self.reference_m, self.stamp_ns, "camera")
        return Frame(RAMP, self.stamp_ns, "camera", None, reference)

    def feed(self):
        try:
            self.seen.append(self.exchange.process(self.frame(), Outputs.all()))
        except FrameError:
            self.failed += 1

    def _run(self):
        while not self._stop.wait(0.002):
            self.feed()

    def __enter__(self):
        self.feed()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        self.feed()

    def models(self):
        """The distinct models of the frames, in order."""
        names = [by.engine.info["path"].rsplit("/", 1)[-1] for _, by in self.seen]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


def exchange_of(model, config=FIXED):
    changes = []
    exchange = Exchange(plain_pipeline(model, scale=config.scale), changes.append)
    return exchange, changes


def reload_of(exchange, path, *, shadow=0, only=False, active=True, **config):
    told = []
    settings = ReloadConfig(**{"probation_frames": 5, "frame_wait_s": 2.0, **config})
    request = ReloadRequest(str(path), shadow, only)
    return ModelReload(exchange, request, settings, active=active, tell=told.append), told
