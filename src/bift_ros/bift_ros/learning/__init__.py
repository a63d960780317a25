"""Models, local training and evaluation, and the worker process that runs them."""
