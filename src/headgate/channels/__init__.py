"""What is kept and published: channels, their sources, maps of shards and revisions."""
