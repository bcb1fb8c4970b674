"""What Lightning's Trainer does for a run: fit, and the two passes that follow."""
