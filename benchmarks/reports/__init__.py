"""Scripts that turn results into the tables and pictures of ``docs``."""
