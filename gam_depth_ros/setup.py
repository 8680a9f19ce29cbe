"""All metadata stands in setup.cfg: colcon on Humble (setuptools 59) loses what [project] says."""

from setuptools import setup

setup()
