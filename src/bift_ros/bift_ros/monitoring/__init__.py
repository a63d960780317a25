"""What an observer makes of a fleet's messages: vehicles, chain, health. Knows no ROS."""
