"""Who trains, who validates, who is tested."""

ROLES = ("train", "labelled", "val", "test")  # a scan that stands in two of them leaks into the later one
