"""Tags by which runs are found again, and know each other."""

PARENT_TAG = "mlflow.parentRunId"  # the run that this one belongs to
OUTPUT_TAG = "output_dir"  # absolute path of the job's folder
SLURM_TAG = "slurm.job"  # see ``mriad.tracking.sweep.slurm_job``
JOB_TAG = "sweep.job"  # see ``mriad.tracking.sweep.job_name``
