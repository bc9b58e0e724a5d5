"""Reports: tables of what was taken, what is kept, and what of it is affected."""
