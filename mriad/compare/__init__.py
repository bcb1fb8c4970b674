"""Which of several trained methods is better on the same test scans, and how sure that is.

``mriad.compare.comparison.compare`` works on tables of scores; ``python -m mriad.compare`` reads them from MLflow.
"""
