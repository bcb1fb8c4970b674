"""The processes and devices that a task runs on."""
