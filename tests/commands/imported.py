"""What a command imports sooner or later: the fork server does it once for all, and looks through the packages once."""

import functools
import importlib

import importlib_metadata

for name in (
    *("mriad.tasks.train", "mriad.tasks.evaluate", "mriad.tasks.predict", "mriad.tasks.audit"),
    *("mriad.tasks.listen", "mriad.writing.dicom.objects"),
    *("mriad.sweeps", "mriad.sweeps.sweeper", "mriad.sweeps.launchers", "hydra_plugins.mriad_sweeps"),
    *("mlflow.pyfunc", "mlflow.tracing.processor.otel", "mlflow.store.tracking.sqlalchemy_workspace_store"),
    *("sqlalchemy.dialects.sqlite", "alembic.command", "albumentations", "antlr4", "email.policy"),
    *("pyarrow.parquet", "pyarrow.dataset", "pandas.io.formats.csvs", "scipy.fftpack", "torch.utils.serialization"),
    *("contourpy", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "PIL.AvifImagePlugin"),
    *("hydra._internal.core_plugins.basic_sweeper", "hydra._internal.core_plugins.importlib_resources_config_source"),
):
    importlib.import_module(name)

importlib_metadata.packages_distributions = functools.cache(importlib_metadata.packages_distributions)
importlib_metadata.packages_distributions()  # MLflow asks for it at every model that is logged
