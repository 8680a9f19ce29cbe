"""Training for gam_depth_ros: synthetic rooms, networks, losses, and export to ONNX (PyTorch)."""

__version__ = "0.1.0"
