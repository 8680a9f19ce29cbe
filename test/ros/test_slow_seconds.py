"""The slowest seconds of a performance log, as the bench of the node tells them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from gam_depth_ros.health import Health
from gam_depth_ros.performance_record import record

BENCH = Path(__file__).resolve().parents[2] / "benchmarks/slow_seconds.py"
SECOND_NS = 1_000_000_000


def slowest_seconds(*arguments):
    spec = importlib.util.spec_from_file_location("slow_seconds", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.slowest_seconds(*arguments)


def test_they_name_the_slowest_stages_and_who_had_the_processor(tmp_path):
    rows = []
    for second, latency_ms in enumerate((900.0, 25.0, 65.0, 40.0)):
        now_s = [float(second)]
        health = Health(lambda now_s=now_s: now_s[0])
        stages = {"wait": 20.0, "decode": 0.5, "engine": 30.0, "filter": 2.0, "publish": 9.0}
        health.published({**stages, "latency": 20.0})
        health.published({**stages, "latency": latency_ms})
        now_s[0] += 1.0
        rows.append(record(health.snapshot(), second * SECOND_NS))
        rows[-1]["processor"] = {
            "own": 0.91, "busy_share": 0.98, "stolen_share": None, "preempted": 7
        }  # fmt: skip
    del rows[3]["stage_ms"]["latency"]  # a second without a frame
    path = tmp_path / "performance.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert slowest_seconds(path, 2, SECOND_NS) == [
        "at   1.0 s: 65 ms; most in a stage: engine 30, wait 20, publish 9, filter 2; the node "
        "kept 0.91 cores busy, all together 0.98 of the machine, the hypervisor took ?; preempted "
        "7 times",
        "at   0.0 s: 25 ms; most in a stage: engine 30, wait 20, publish 9, filter 2; the node "
        "kept 0.91 cores busy, all together 0.98 of the machine, the hypervisor took ?; preempted "
        "7 times",
    ]
    assert [line[:19] for line in slowest_seconds(path, 1)] == ["at   0.0 s: 900 ms;"]
