"""Metric depth, semantic masks and calibrated uncertainty from one indoor camera, for ROS 2."""

__version__ = "0.1.0"
