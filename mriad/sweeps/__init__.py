"""Sweeps: many jobs of one command, started by any launcher, kept below one parent run."""
