"""What a data set gives away without any model: leaks, trivial features, mix and odd images."""
