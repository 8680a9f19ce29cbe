# syntax=docker/dockerfile:1.7
# Training: PyTorch with CUDA, no ROS. From the repository's root:
#   docker build -f docker/training.Dockerfile -t gam_depth_training .
#   docker run --rm --gpus all --user "$(id -u)" --volume "$PWD/data:/data" gam_depth_training \
#       fit --data /data/train --prepared /data/prepared --out /data/out

FROM python:3.12.11-slim-bookworm
WORKDIR /opt/gam_depth
COPY constraints.txt constraints.txt
# First: the largest layer changes least. torch alone, as make setup does it.
RUN python -m pip install --no-cache-dir --constraint constraints.txt torch==2.13.0 \
    && python -m pip install --no-cache-dir --constraint constraints.txt \
        setuptools==79.0.1 wheel==0.48.0 onnxruntime==1.31.1
COPY gam_depth_ros gam_depth_ros
COPY launch launch
COPY config config
COPY models models
COPY training training
RUN python -m pip install --no-cache-dir --no-build-isolation --constraint constraints.txt \
        ./gam_depth_ros[cpu] ./training \
    && useradd --uid 2000 --no-create-home trainer
ENV HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 2000
RUN gam-depth-train --help
# Nothing listens in here: a run that ends, ends the container.
HEALTHCHECK NONE
ENTRYPOINT ["gam-depth-train"]
CMD ["--help"]
