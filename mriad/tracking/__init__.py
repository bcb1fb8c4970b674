"""MLflow: stores, runs and the parents of sweeps."""
