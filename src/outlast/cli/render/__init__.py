"""How things read on a terminal or through a pipe: values in, text out."""
