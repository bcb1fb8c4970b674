"""A detector behind HTTP: an upload in, score, lesions and map out."""
