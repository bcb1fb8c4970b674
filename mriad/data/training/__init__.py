"""What train scans go through on their way to a network."""
