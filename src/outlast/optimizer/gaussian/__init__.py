"""A Gaussian process over rows of numbers, and the search for the row from which most improvement is expected."""
