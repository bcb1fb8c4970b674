"""A scan in, what a network is shown out; kept in the cache."""
