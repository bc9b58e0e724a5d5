"""What every room may use: the clock and the error tree, without domain words."""
