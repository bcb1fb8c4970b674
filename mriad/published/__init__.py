"""What was published, repeated as it was, flaws included; ``conf/experiment`` puts splits and networks together."""
