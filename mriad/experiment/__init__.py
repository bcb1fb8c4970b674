"""What a run is: its options, where it goes on, its store, and what it leaves there."""
