"""Scans: who they are, how they are read and prepared, their roles, and what trains."""
