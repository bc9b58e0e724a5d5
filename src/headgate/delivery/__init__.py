"""The chain of sources that turns a channel and a file name into verified bytes."""
