"""The built-in data set: healthy and diseased brains bent from the MNI152 template, with exact masks."""
