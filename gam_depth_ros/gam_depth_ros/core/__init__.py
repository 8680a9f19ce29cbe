"""The perception pipeline in numpy, OpenCV and ONNX Runtime: no ROS, no torch, no clock.

The node and the offline tools run this same code, so what a bag shows is what the robot gets.
"""
