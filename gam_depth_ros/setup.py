"""All metadata stands in setup.cfg: colcon on Humble (setuptools 59) loses what [project] declares."""

from setuptools import setup

setup()
