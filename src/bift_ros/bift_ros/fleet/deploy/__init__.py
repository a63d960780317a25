"""A fleet as files for the tools of others, and the image that they run."""
