"""The conda format: names, records, repodata, shards, match specs, archives, patches. Knows nothing of the server."""
