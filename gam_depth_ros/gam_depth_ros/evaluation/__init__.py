"""Bags and recordings: read, replay through the pipeline, score, and report. No ROS needed."""
