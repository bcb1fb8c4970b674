"""A trained detector and scans from anywhere in, scores and maps out; what is served takes the same road."""
