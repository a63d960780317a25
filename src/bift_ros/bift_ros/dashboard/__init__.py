"""A fleet in the browser: a page on loopback, kept current by a stream. Knows no ROS."""
