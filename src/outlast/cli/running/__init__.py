"""What begins, tries out and ends searches from a terminal, here or in the background, and what is said of that."""
