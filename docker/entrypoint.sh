#!/bin/sh
# ROS 2 and this package on the path, then whatever was asked for.
set -e
. "/opt/ros/${ROS_DISTRO}/setup.sh"
. /opt/gam_depth_ros/local_setup.sh
exec "$@"
