"""MLflow: stores, runs, parents of sweeps, and the model that is served."""
