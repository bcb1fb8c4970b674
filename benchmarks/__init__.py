"""What mriad costs, measured against what it should cost.

``make bench``, or ``python -m benchmarks [ROW ...]``, prints a table, with ``--markdown`` as Markdown. Both sides of a
comparison run in turns, in one run, with one number of threads. The targets are set for two cores, which is what
``taskset -c 0,1 make bench`` leaves of a large machine.

Each module in ``benchmarks.rows`` measures one row of the table, or a few that belong together.
"""
