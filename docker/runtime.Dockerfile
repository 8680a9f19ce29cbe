# syntax=docker/dockerfile:1.7
# The node on ROS 2 Jazzy. From the repository's root:
#   docker build -f docker/runtime.Dockerfile --target cpu -t gam_depth_ros:cpu .
#   docker build -f docker/runtime.Dockerfile --target gpu -t gam_depth_ros:gpu .
# Targets: cpu, gpu (CUDA and TensorRT), camera (RealSense driver), foxglove (its bridge).

FROM ros:jazzy-ros-base-noble AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /ws
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ros-jazzy-diagnostic-msgs=5.3.8-* \
        ros-jazzy-sensor-msgs=5.3.8-* \
        ros-jazzy-std-srvs=5.3.8-* \
        ros-jazzy-vision-msgs=4.1.1-* \
    && rm -rf /var/lib/apt/lists/*
COPY gam_depth_msgs src/gam_depth_msgs
COPY gam_depth_ros src/gam_depth_ros
COPY launch src/launch
COPY config src/config
COPY models src/models
RUN . /opt/ros/jazzy/setup.sh \
    && colcon build --merge-install --install-base /opt/gam_depth_ros

FROM ros:jazzy-ros-core-noble AS packages
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# numpy and OpenCV of Ubuntu 24.04: ROS 2's message classes are built with this numpy.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3-jinja2=3.1.2-* \
        python3-matplotlib=3.6.3-* \
        python3-numpy=1:1.26.4+ds-* \
        python3-opencv=4.6.0+dfsg-* \
        python3-pip=24.0+dfsg-* \
        python3-rich=13.7.1-* \
        python3-typer=0.9.0-* \
        python3-yaml=6.0.1-* \
        ros-jazzy-diagnostic-msgs=5.3.8-* \
        ros-jazzy-launch-ros=0.26.12-* \
        ros-jazzy-nav-msgs=5.3.8-* \
        ros-jazzy-ros2launch=0.26.12-* \
        ros-jazzy-sensor-msgs=5.3.8-* \
        ros-jazzy-std-srvs=5.3.8-* \
        ros-jazzy-tf2-msgs=0.36.22-* \
        ros-jazzy-vision-msgs=4.1.1-* \
    && rm -rf /var/lib/apt/lists/*
COPY docker/requirements-runtime.txt /tmp/requirements-runtime.txt
RUN python3 -m pip install --no-cache-dir --no-deps --target /opt/python \
        --requirement /tmp/requirements-runtime.txt \
    && rm /tmp/requirements-runtime.txt

FROM packages AS node
COPY --from=build /opt/gam_depth_ros /opt/gam_depth_ros
COPY docker/entrypoint.sh /entrypoint.sh
# One user id in every container: Fast DDS shares memory between processes of one user.
RUN groupadd --gid 2000 robot \
    && useradd --uid 2000 --gid robot --no-create-home --shell /usr/sbin/nologin robot \
    && install --directory --owner robot --group robot /var/cache/gam_depth
ENV PYTHONPATH=/opt/python \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ROS_HOME=/tmp/ros \
    MPLCONFIGDIR=/tmp/matplotlib \
    FASTRTPS_DEFAULT_PROFILES_FILE=/opt/gam_depth_ros/share/gam_depth_ros/config/fastdds_large_images.xml
USER 2000:2000
WORKDIR /tmp
ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "launch", "gam_depth_ros", "gam_depth.launch.py"]

FROM node AS cpu
USER 0
COPY docker/requirements-cpu.txt /tmp/requirements-cpu.txt
RUN python3 -m pip install --no-cache-dir --no-deps --target /opt/python \
        --requirement /tmp/requirements-cpu.txt \
    && rm /tmp/requirements-cpu.txt
USER 2000:2000
# Fails the build, not the robot, where something does not fit together.
RUN /entrypoint.sh gam-depth --help
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["/entrypoint.sh", "/opt/gam_depth_ros/lib/gam_depth_ros/gam_depth_health", "--timeout", "10"]

FROM node AS gpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
USER 0
COPY docker/requirements-gpu.txt /tmp/requirements-gpu.txt
RUN python3 -m pip install --no-cache-dir --no-deps --target /opt/python \
        --requirement /tmp/requirements-gpu.txt \
    && rm /tmp/requirements-gpu.txt \
    && find /opt/python/nvidia /opt/python/tensorrt_libs -name '*.so*' -printf '%h\n' \
        | sort --unique > /etc/ld.so.conf.d/gam_depth.conf \
    && ldconfig
# TensorRT builds an engine for minutes, once for each card and model; the volume keeps it.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    ORT_TENSORRT_ENGINE_CACHE_ENABLE=1 \
    ORT_TENSORRT_TIMING_CACHE_ENABLE=1 \
    ORT_TENSORRT_CACHE_PATH=/var/cache/gam_depth
VOLUME ["/var/cache/gam_depth"]
USER 2000:2000
RUN /entrypoint.sh gam-depth --help
HEALTHCHECK --interval=30s --timeout=20s --start-period=900s --retries=3 \
    CMD ["/entrypoint.sh", "/opt/gam_depth_ros/lib/gam_depth_ros/gam_depth_health", "--timeout", "10"]

FROM node AS camera
USER 0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ros-jazzy-realsense2-camera=4.58.3-* \
    && rm -rf /var/lib/apt/lists/*
USER 2000:2000
CMD ["ros2", "launch", "realsense2_camera", "rs_launch.py", "align_depth.enable:=true", "enable_sync:=true"]

FROM node AS foxglove
USER 0
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ros-jazzy-foxglove-bridge=3.4.3-* \
    && rm -rf /var/lib/apt/lists/*
USER 2000:2000
EXPOSE 8765
CMD ["ros2", "launch", "foxglove_bridge", "foxglove_bridge_launch.xml"]
