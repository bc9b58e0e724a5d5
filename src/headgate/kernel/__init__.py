"""What every room may use: the clock, the error tree, threads; without domain words."""
