"""What the launch files share. Needs launch and launch_ros, so only launch files import it.

A camera's launch file starts its driver and ``gam_depth.launch.py``, both in one namespace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
)
from launch.conditions import IfCondition
from launch.launch_context import LaunchContext
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import PushRosNamespace

from gam_depth_ros.diagnostics import PROFILE_VARIABLES
from launch import LaunchDescription

Makes = Callable[[LaunchContext], Sequence[Any]]


class MissingPackageError(RuntimeError):
    """A driver's package is not installed. One line: got, expected, remedy."""


def share() -> Path:
    """Return the folder of this package's launch files, configs and models."""
    return Path(get_package_share_directory("gam_depth_ros"))


def argument(name: str, default: str, what: str, choices: Sequence[str] | None = None) -> Any:
    """Declare a launch argument."""
    options = {"choices": list(choices)} if choices else {}
    return DeclareLaunchArgument(name, default_value=default, description=what, **options)


def value(context: LaunchContext, name: str) -> str:
    """Return an argument's value."""
    return str(LaunchConfiguration(name).perform(context))


def large_image_profile() -> list[SetEnvironmentVariable]:
    """Return what gives every process started later Fast DDS's profile for large images.

    Images are larger than its default shared memory, for driver and node alike. A profile that
    the user has set stays.
    """
    profile = str(share() / "config/fastdds_large_images.xml")
    return [
        SetEnvironmentVariable(name, profile)
        for name in PROFILE_VARIABLES
        if not os.environ.get(name)
    ]


def camera_description(arguments: Sequence[Any], make_driver: Makes) -> LaunchDescription:
    """Describe a camera's driver and the node behind it.

    The driver comes first and in a scope of its own, so that neither sees the other's arguments
    but those that were given: a driver has arguments of our names with other defaults.

    Args:
        arguments: Arguments of the launch file beside the common ones; ``camera`` and
            ``camera_base`` among them. Those named like the driver's own reach it.
        make_driver: Returns the driver's actions once the arguments have their values.
    """

    def start(context: LaunchContext) -> list[Any]:
        return [PushRosNamespace(value(context, "namespace")), *make_driver(context)]

    return LaunchDescription(
        [
            *arguments,
            argument("driver", "true", "Start the driver too: true or false."),
            argument(
                "namespace",
                "",
                "Namespace of driver and node: one for each camera, where there are several.",
            ),
            *large_image_profile(),
            GroupAction(
                [OpaqueFunction(function=start)],
                condition=IfCondition(LaunchConfiguration("driver")),
            ),
            IncludeLaunchDescription(source("gam_depth_ros", "gam_depth.launch.py")),
        ]
    )


def source(package: str, name: str, install: str = "") -> PythonLaunchDescriptionSource:
    """Return a launch file of a package; raises as :func:`require`."""
    return PythonLaunchDescriptionSource(str(require(package, install) / "launch" / name))


def require(package: str, install: str) -> Path:
    """Return a package's share folder.

    Args:
        package: Its name.
        install: How to get it, for who has not.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        return Path(get_package_share_directory(package))
    except PackageNotFoundError:
        raise MissingPackageError(
            f"driver: got no package {package}, expected the camera's driver; {install}, or start "
            "it yourself and say driver:=false"
        ) from None
