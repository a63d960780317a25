"""What an onlooker makes of a fleet's messages: vehicles, chain, health. Knows no ROS."""
