"""Launchers: each job of a sweep in a process of its own, here or on a cluster; none takes others down with it."""
