"""Copies of the data folder that are data folders themselves: made while the server runs, kept, checked."""
