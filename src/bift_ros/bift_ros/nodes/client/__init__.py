"""Calls to running vehicles, without ROS types."""
